/** A Postgres of its own for the bench: filled in bulk, and made cold as far as a user can. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Apdb } from '../apdb/apdb.ts';
import { openPostgresApdb } from '../apdb/postgres/postgresApdb.ts';
import { openRedisTiles } from '../apdb/redis/redisTiles.ts';
import { packHistory } from '../apdb/postgres/packedHistory.ts';
import { PostgresServer } from '../apdb/postgres/session.ts';
import { TABLE_COLUMNS, quotedColumns } from '../apdb/postgres/tables.ts';
import { PIXEL_ORDER } from '../apdb/pixelization.ts';
import { startStores, type Stores } from '../engine/setup/services.mjs';
import { DAYS_A_MONTH, FIRST_MJD, HISTORY_POSITION, MONTHS, objectRows, sourceRows, type Sky } from './apdbSky.ts';

export const INSTRUMENT = 'bench';
const SCHEMA = `apdb_${INSTRUMENT}`;
/** Rows of one COPY: 16 MB. */
const ROWS_A_COPY = 25_000;
/** A day of the last month: what is packed follows from it. */
const LAST_MJD = FIRST_MJD + MONTHS * DAYS_A_MONTH - 1;
/** Bytes on disk of one source with its share of the indexes and its packed copy, and of everything beside the sources, measured. */
const BYTES_A_SOURCE = 1_120;
const BYTES_BESIDE = 2e9;

export class BenchStore {
  readonly #dataDir: string;
  #stores: Stores;
  #apdb: Apdb;
  /** False while the servers are restarted: what fails then must not be hidden by closing twice. */
  #isOpen = true;

  private constructor(dataDir: string, stores: Stores, apdb: Apdb) {
    this.#dataDir = dataDir;
    this.#stores = stores;
    this.#apdb = apdb;
  }

  /** @throws Error of one line when the disk is too small for so many sources. */
  static async open(sources: number): Promise<BenchStore> {
    const { bavail, bsize } = statfsSync(tmpdir());
    const neededBytes = sources * BYTES_A_SOURCE + BYTES_BESIDE;
    if (bavail * bsize < neededBytes) {
      const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
      throw new Error(`${sources} sources need ${gigabytes(neededBytes)} GB below ${tmpdir()}, `
        + `${gigabytes(bavail * bsize)} GB are free: name another place with TMPDIR, or ask for fewer`);
    }
    const dataDir = mkdtempSync(join(tmpdir(), 'vesper-bench-apdb-'));
    // Postgres's account must be able to enter, or its cluster would be made elsewhere and stay there.
    chmodSync(dataDir, 0o755);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => { rmSync(dataDir, { recursive: true, force: true }); process.exit(130); });
    }
    try {
      const stores = await start(dataDir);
      return new BenchStore(dataDir, stores, await openCached(stores));
    } catch (error) {
      rmSync(dataDir, { recursive: true, force: true });
      throw error;
    }
  }

  get apdb(): Apdb { return this.#apdb; }

  /** Connections to its tables; the caller closes them. */
  server(): PostgresServer {
    return new PostgresServer(this.#stores.postgres, SCHEMA);
  }

  /** A second connection's view of the store. */
  openAgain(): Promise<Apdb> {
    return openPostgresApdb(this.#stores.postgres, INSTRUMENT);
  }

  /**
   * Fills the tables: objects, and their sources month by month into partitions without indexes, which are built when
   * the rows are in; then packed as the day-time work would have left them.
   *
   * @param note Told of each month.
   */
  async fill(sky: Sky, sourcesEach: number, seed: number, note: (line: string) => void): Promise<void> {
    const server = this.server();
    try {
      for (let from = 0; from < sky.count; from += ROWS_A_COPY) {
        await copy(server, 'DiaObjectLast', '"DiaObjectLast"', [
          objectRows(sky, from, Math.min(sky.count, from + ROWS_A_COPY), sourcesEach)]);
      }
      for (let month = 0; month < MONTHS; month++) {
        await fillMonth(server, sky, month, sourcesEach, seed);
        note(`month ${month + 1} of ${MONTHS} is loaded`);
      }
      await server.transaction('maintain', (session) => session.execute(
        `UPDATE projection SET position = ${HISTORY_POSITION}; ANALYZE "DiaObjectLast"`));
      note(`${await packHistory(server, LAST_MJD, FIRST_MJD / DAYS_A_MONTH)} tiles are packed`);
    } finally {
      await server.close();
    }
    await this.#vacuum();
  }

  /**
   * Cold: the servers are ended and started again, and the kernel is told of each of their files that its pages are not
   * needed (posix_fadvise by `dd iflag=nocache`, which needs no privilege). The disk's own cache stays.
   */
  async makeCold(): Promise<void> {
    await this.#apdb.close();
    this.#isOpen = false;
    await this.#stores.stop();
    execFileSync('sync');
    execFileSync('find', [clusterOf(this.#dataDir), '-type', 'f', '-size', '+0',
      '-exec', 'dd', 'if={}', 'iflag=nocache', 'count=0', 'status=none', ';']);
    this.#stores = await start(this.#dataDir);
    this.#apdb = await openCached(this.#stores);
    this.#isOpen = true;
  }

  async close(): Promise<void> {
    if (this.#isOpen) await this.#apdb.close();
    await this.#stores.stop();
    const cluster = clusterOf(this.#dataDir);
    rmSync(cluster, { recursive: true, force: true });
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  /** As the server does by itself in the day: hint bits and visibility are written once, not by the first reader. */
  async #vacuum(): Promise<void> {
    const { Client } = (await import('pg')).default;
    const address = this.#stores.postgres;
    const client = new Client('url' in address ? { connectionString: address.url } : address);
    await client.connect();
    try {
      await client.query(`SET search_path TO ${SCHEMA}`);
      await client.query('VACUUM (ANALYZE) "DiaObjectLast"');
      await client.query('VACUUM "DiaSource"');
      await client.query('CHECKPOINT');
    } finally {
      await client.end();
    }
  }
}

/** As a night opens it. */
function openCached({ postgres, redisUrl }: Stores): Promise<Apdb> {
  return openPostgresApdb(postgres, INSTRUMENT, (epoch) => (
    redisUrl === null ? null : openRedisTiles(redisUrl, epoch)));
}

function start(dataDir: string): Promise<Stores> {
  // Stores of their own, whatever the environment names: this bench stops them.
  const need = { nats: false, postgres: true, redis: true };
  return startStores({ dataDir, need, env: { PATH: process.env['PATH'] } });
}

/** Where the cluster lies: in the data directory, or where the launcher had to put it. */
function clusterOf(dataDir: string): string {
  const location = join(dataDir, 'postgres.location');
  return existsSync(location) ? readFileSync(location, 'utf8').trim() : join(dataDir, 'postgres');
}

async function fillMonth(
  server: PostgresServer, sky: Sky, month: number, sourcesEach: number, seed: number,
): Promise<void> {
  const isLatest = month === MONTHS - 1;
  const firstDay = FIRST_MJD + month * DAYS_A_MONTH;
  const parent = `"DiaSource_days${firstDay}"`;
  for (let base = 0; base < 12; base++) {
    const [low, high] = [base * 4 ** PIXEL_ORDER, (base + 1) * 4 ** PIXEL_ORDER];
    const [first, end] = [firstAtLeast(sky.pixel, low), firstAtLeast(sky.pixel, high)];
    if (first === end) continue;
    const leaf = `"DiaSource_days${firstDay}_pixel${base}"`;
    await server.transaction('maintain', async (session) => {
      await session.execute(`CREATE TABLE ${leaf} (LIKE "DiaSource");
        CREATE TABLE IF NOT EXISTS ${parent} (LIKE "DiaSource" INCLUDING ALL) PARTITION BY RANGE ("homePixel")`);
      const columns = quotedColumns(TABLE_COLUMNS.DiaSource);
      for (let from = first; from < end;) {
        const to = Math.min(end, isLatest ? end : from + Math.ceil((ROWS_A_COPY * MONTHS) / sourcesEach));
        // In a table that this transaction has made, frozen rows need neither WAL nor a later vacuum.
        await session.copyIn(`COPY ${leaf} (${columns}) FROM STDIN (FORMAT binary, FREEZE)`,
          sourceRows(sky, from, to, month, sourcesEach, isLatest, seed));
        from = to;
      }
      // Attaching builds the indexes that the parent has. Statistics now, or autovacuum makes them in mid-measurement.
      await session.execute(`SET LOCAL maintenance_work_mem = '512MB';
        ALTER TABLE ${parent} ATTACH PARTITION ${leaf} FOR VALUES FROM (${low}) TO (${high});
        ANALYZE ${leaf}`);
    });
  }
  const days = `FROM (${firstDay}) TO (${firstDay + DAYS_A_MONTH})`;
  await server.transaction('maintain', (session) => session.execute(
    `ALTER TABLE "DiaSource" ATTACH PARTITION ${parent} FOR VALUES ${days}`));
}

async function copy(
  server: PostgresServer, table: 'DiaObjectLast', name: string, pieces: readonly Buffer[],
): Promise<void> {
  await server.transaction('maintain', async (session) => {
    for (const piece of pieces) {
      await session.copyIn(`COPY ${name} (${quotedColumns(TABLE_COLUMNS[table])}) FROM STDIN (FORMAT binary)`, piece);
    }
  });
}

function firstAtLeast(sorted: Int32Array, value: number): number {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}
