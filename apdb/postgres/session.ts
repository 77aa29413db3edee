/** Connections and transactions; every failure of the server becomes one line that names it. */
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { apdbConfig } from '../config.ts';
import { CopyOut, LendingSocket } from './copyOut.ts';

/** A server by its address, or by a URL. */
export type PostgresAddress =
  | Readonly<{ host: string; port: number; user: string; database: string }>
  | Readonly<{ url: string }>;

/**
 * `read`: one snapshot for all its statements, by index; `readAll`: the same over whole tables.
 * `write`: durable when it returns, whatever the server's default. (Rows and position would be lost together, but a
 * projection that goes on from what it was told would then leave a gap.)
 * `maintain`: changes of whole tables, likewise durable.
 */
export type TransactionKind = 'read' | 'readAll' | 'write' | 'maintain';

/** Pieces in which a COPY is handed to the socket, so that the server need not hold it as one message. */
const COPY_PIECE_BYTES = 256 * 1024;

export class PostgresServer {
  /** The instrument's schema, as an SQL identifier. */
  readonly schema: string;
  /** Address without password, for messages. */
  readonly name: string;
  readonly #pool: pg.Pool;
  /** Connections of `readAlong`: apart, because a transaction waits for them while it holds one of the others. */
  readonly #alongPool: pg.Pool;
  #alongCount = 0;
  readonly #silenceLimitMs: number;

  /** @param silenceLimitMs Longest wait for the answer of a statement that has the statement limit. */
  constructor(address: PostgresAddress, schema: string, silenceLimitMs: number = apdbConfig.silenceLimitMs) {
    this.#silenceLimitMs = silenceLimitMs;
    this.schema = pg.escapeIdentifier(schema);
    this.name = `Postgres at ${nameOf(address)}, schema ${schema}`;
    this.#pool = newPool(address, apdbConfig.connectionsMax);
    this.#alongPool = newPool(address, apdbConfig.alongConnectionsMax);
  }

  /** Run `work` in one transaction: committed when it returns, rolled back when it throws. */
  async transaction<T>(kind: TransactionKind, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#within(await this.#connect(), kind, BEGIN[kind], work);
  }

  /**
   * Reads along with a transaction, in its snapshot (`Session.exportSnapshot`), which must stay open meanwhile.
   * Does nothing when no further connection is to be had: whoever asks for help has to be able to do without.
   */
  async readAlong(snapshot: string, work: (session: Session) => Promise<void>): Promise<void> {
    if (this.#alongCount >= apdbConfig.alongConnectionsMax) return;
    this.#alongCount++;
    try {
      const client = await this.#alongPool.connect().catch(() => null);
      // The name is the server's own: digits and hyphens.
      const begin = `${BEGIN.read}; SET TRANSACTION SNAPSHOT ${pg.escapeLiteral(snapshot)}`;
      if (client) await this.#within(client, 'read', begin, work);
    } finally {
      this.#alongCount--;
    }
  }

  async #within<T>(
    client: pg.PoolClient, kind: TransactionKind, begin: string, work: (session: Session) => Promise<T>,
  ): Promise<T> {
    // A connection that breaks between statements says so by an event; the next statement on it then fails.
    client.on('error', ignoreBrokenConnection);
    const hasLimit = kind === 'read' || kind === 'write';
    const session = new Session(client, this.name, hasLimit ? this.#silenceLimitMs : null);
    let isClean = false;
    try {
      await session.execute(`${begin}; SET LOCAL search_path TO ${this.schema}`);
      const result = await work(session);
      await session.execute('COMMIT');
      isClean = true;
      return result;
    } catch (error) {
      // A failed ROLLBACK means that the connection is gone, and the transaction with it.
      isClean = await session.execute('ROLLBACK').then(() => true, () => false);
      throw error;
    } finally {
      client.removeListener('error', ignoreBrokenConnection);
      client.release(!isClean);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.end(), this.#alongPool.end()]);
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw namedError(this.name, error);
    }
  }
}

function newPool(address: PostgresAddress, max: number): pg.Pool {
  const pool = new pg.Pool({
    // Servers by URL may want TLS, which has a socket of its own.
    ...'url' in address ? { connectionString: address.url } : { ...address, stream: () => new LendingSocket() },
    max, connectionTimeoutMillis: apdbConfig.connectLimitMs, application_name: 'vesper apdb',
    // An idle connection must not keep a finished command alive.
    allowExitOnIdle: true,
  });
  // The pool discards a broken idle connection by itself; who asks next gets a new one or an error of their own.
  pool.on('error', ignoreBrokenConnection);
  return pool;
}

/** One transaction's statements. */
export class Session {
  /** The server's name, for messages. */
  readonly server: string;
  readonly #client: pg.PoolClient;
  readonly #silenceLimitMs: number | null;

  /** @param silenceLimitMs Null where statements walk whole tables. */
  constructor(client: pg.PoolClient, server: string, silenceLimitMs: number | null) {
    this.#client = client;
    this.server = server;
    this.#silenceLimitMs = silenceLimitMs;
  }

  /** Statements without parameters; several may be joined by semicolons. */
  async execute(sql: string): Promise<void> {
    await this.#named(() => this.#client.query(sql));
  }

  /** Few rows, as records; the caller knows their columns. bigint columns come as strings. */
  async rows<Row extends pg.QueryResultRow>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.#named(() => this.#client.query<Row>(sql, [...parameters]));
    return result.rows;
  }

  /** A name by which others read what this transaction sees, while it is open. */
  async exportSnapshot(): Promise<string> {
    const [{ name }] = await this.rows<{ name: string }>('SELECT pg_export_snapshot() AS name');
    return name;
  }

  /** `sql` is a COPY … FROM STDIN (FORMAT binary). */
  async copyIn(sql: string, stream: Buffer): Promise<void> {
    await this.#named(() => new Promise<void>((resolve, reject) => {
      const sink = this.#client.query(copyFrom(sql));
      sink.once('finish', resolve);
      sink.once('error', reject);
      for (let at = 0; at < stream.length; at += COPY_PIECE_BYTES) {
        sink.write(stream.subarray(at, at + COPY_PIECE_BYTES));
      }
      sink.end();
    }));
  }

  /** `sql` is a COPY … TO STDOUT (FORMAT binary); the whole answer in one buffer. */
  async copyOut(sql: string): Promise<Buffer> {
    const pieces: Buffer[] = [];
    await this.copyOutPieces(sql, (piece) => pieces.push(Buffer.from(piece)));
    return Buffer.concat(pieces);
  }

  /**
   * The same, piece by piece as it arrives. Pieces do not end with rows, and one is the taker's until it returns: what
   * is kept has to be copied.
   */
  async copyOutPieces(sql: string, take: (piece: Buffer) => void): Promise<void> {
    await this.#named(() => this.#client.query(new CopyOut(sql, take)).done);
  }

  /**
   * A server ends its own statements in time, but one whose disk or machine stands still does not, and sends nothing:
   * then the connection is cut, and who waits is told.
   */
  async #named<T>(run: () => Promise<T>): Promise<T> {
    const limitMs = this.#silenceLimitMs;
    let isSilent = false;
    const timer = limitMs === null ? undefined : setTimeout(() => {
      isSilent = true;
      (this.#client as unknown as { connection: pg.Connection }).connection.stream.destroy();
    }, limitMs);
    try {
      return await run();
    } catch (error) {
      throw isSilent ? new Error(`${this.server}: no answer in ${limitMs} ms`) : namedError(this.server, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

const SNAPSHOT = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
const STATEMENT_LIMIT = `SET LOCAL statement_timeout = ${apdbConfig.statementLimitMs}`;
const LOCK_LIMIT = `SET LOCAL lock_timeout = ${apdbConfig.lockLimitMs}`;
const MAINTENANCE_LIMIT = `SET LOCAL statement_timeout = ${apdbConfig.maintenanceLimitMs}`;

/**
 * Rows are known by key and few beside their tables, but a partition made this hour has no statistics yet, and the
 * planner would walk all of it: 66 ms in place of 1 ms for 100 objects among 60,000 sources. And a plan that changes
 * when the tables have grown would do so in the middle of a night.
 */
const BY_INDEX = ['seqscan', 'hashjoin', 'mergejoin'].map((way) => `SET LOCAL enable_${way} = off`).join('; ');

/** The same for work on tables of which a few rows at a time are read. */
export const MAINTAIN_BY_INDEX = BY_INDEX;

/** The objects of Rubin's fullest field, 70,000 of 0.4 kB, are put in order without files. */
const SORT_IN_MEMORY = "SET LOCAL work_mem = '48MB'";

const DURABLE = 'SET LOCAL synchronous_commit = on';

const BEGIN: Readonly<Record<TransactionKind, string>> = {
  read: `${SNAPSHOT}; ${STATEMENT_LIMIT}; ${BY_INDEX}; ${SORT_IN_MEMORY}`,
  readAll: `${SNAPSHOT}; ${MAINTENANCE_LIMIT}`,
  write: `BEGIN; ${STATEMENT_LIMIT}; ${LOCK_LIMIT}; ${BY_INDEX}; ${DURABLE}`,
  maintain: `BEGIN; ${MAINTENANCE_LIMIT}; ${LOCK_LIMIT}; ${DURABLE}`,
};

function namedError(server: string, error: unknown): Error {
  // Whatever was thrown may lack both, and then they are undefined.
  const { message, code } = error as Readonly<{ message?: string; code?: string }>;
  // A refused connection to a name with two addresses has a code and no message.
  const reason = (message || code || String(error)).split('\n')[0];
  return new Error(`${server}: ${reason}`, { cause: error });
}

function nameOf(address: PostgresAddress): string {
  if (!('url' in address)) return `${address.host}:${address.port}/${address.database}`;
  return address.url.replace(/^postgres(ql)?:\/\//, '').replace(/^[^@/]*@/, '').replace(/([?&]password=)[^&]*/, '$1…');
}

function ignoreBrokenConnection(): void {}
