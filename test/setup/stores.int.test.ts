// Real servers, private to each test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { REPOSITORY } from '../../engine/setup/arguments.mjs';
import type { ServerDeath, StartOptions, Stores } from '../../engine/setup/services.mjs';
import {
  withoutCredentials,
  lockDataDir, readLiveRun, startStores, withStores, writeRun,
} from '../../engine/setup/services.mjs';
import { temporaryDirectory } from './checkout.ts';

const SERVICES = join(REPOSITORY, 'engine', 'setup', 'services.mjs');

async function started(options: StartOptions): Promise<Stores> {
  const stores = await startStores(options);
  onTestFinished(() => stores.stop());
  return stores;
}

/** Processes whose working directory or command line lies in `directory`; zombies have neither. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) return false;
    try {
      return readlinkSync(`/proc/${entry}/cwd`).startsWith(directory)
        || readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(directory);
    } catch {
      return false; // Ended while we looked.
    }
  });
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => { setTimeout(resolve, 20); });
}

async function query<T>(stores: { readonly postgres: Stores['postgres'] }, sql: string): Promise<T[]> {
  if ('url' in stores.postgres) throw new Error('a private cluster is expected');
  const client = new pg.Client(stores.postgres);
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows as T[];
}

/** Start all stores in a process of their own; resolves when they are ready. */
async function holder(dataDir: string) {
  const source = `import { lockDataDir, startStores } from ${JSON.stringify(SERVICES)};
    lockDataDir(process.argv[1], 'night');
    const { pids } = await startStores({ dataDir: process.argv[1], need: { redis: true } });
    console.log(JSON.stringify(pids));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source, dataDir],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => { child.kill('SIGKILL'); });
  const [line] = await once(child.stdout, 'data') as [Buffer];
  return { child, pids: JSON.parse(line.toString()) as Record<string, number> };
}

describe('startStores', () => {
  test('gives a log that takes 8 MB messages and an empty UTF-8 database, and keeps both over a restart', async () => {
    const dataDir = temporaryDirectory();
    const first = await started({ dataDir });
    expect(first.isNewCluster).toBe(true);
    const connection = await connect({ servers: withoutCredentials(first.natsUrl) });
    expect(connection.info?.max_payload).toBe(8 * 1024 * 1024);
    await (await jetstreamManager(connection)).streams.add({ name: 'KEPT', subjects: ['kept'] });
    await jetstream(connection).publish('kept', 'one');
    await connection.close();
    expect(await query(first, 'SHOW server_encoding')).toEqual([{ server_encoding: 'UTF8' }]);
    await query(first, 'CREATE TABLE kept AS SELECT 1 AS one');
    await first.stop();
    expect(processesOf(dataDir)).toEqual([]);

    const second = await started({ dataDir });
    expect(second.isNewCluster).toBe(false);
    expect(await query(second, 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
    const again = await connect({ servers: withoutCredentials(second.natsUrl) });
    expect((await (await jetstreamManager(again)).streams.info('KEPT')).state.messages).toBe(1);
    await again.close();
  });

  test('Postgres listens on a socket that only its owner may enter, and on no port', async () => {
    const stores = await started({ dataDir: temporaryDirectory(), need: { nats: false } });
    expect(await query(stores, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '' }]);
    if ('url' in stores.postgres) throw new Error('a private cluster is expected');
    expect(statSync(stores.postgres.host).mode & 0o777).toBe(0o700);
  });

  test('leaves no child behind when its process is killed by SIGKILL, and the next start is sound', async () => {
    const dataDir = temporaryDirectory();
    const { child, pids } = await holder(dataDir);
    expect(Object.keys(pids).sort()).toEqual(['nats', 'postgres', 'redis']);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // At once, while the servers may still be writing out what they hold.
    lockDataDir(dataDir, 'night');
    const next = await started({ dataDir, need: { redis: true } });
    for (const pid of Object.values(pids)) expect(existsSync(`/proc/${pid}/cwd`)).toBe(false);
    await next.stop();
    await until(() => processesOf(dataDir).length === 0);
  });

  test('a postmaster.pid left by a kill, its number now a stranger\'s, does not hinder the next start', async () => {
    const dataDir = temporaryDirectory();
    const first = await started({ dataDir, need: { nats: false } });
    const lockFile = readdirSync(join(dataDir, 'postgres', 'data')).includes('postmaster.pid');
    expect(lockFile).toBe(true);
    const path = join(dataDir, 'postgres', 'data', 'postmaster.pid');
    const [, ...rest] = readFileSync(path, 'utf8').split('\n');
    await first.stop();
    writeFileSync(path, [String(process.pid), ...rest].join('\n'), { mode: 0o600 });
    const second = await started({ dataDir, need: { nats: false } });
    expect(await query(second, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('tells which server died and how, but not of those it stops itself', async () => {
    const stores = await started({ dataDir: temporaryDirectory(), need: { redis: true, postgres: false } });
    const deaths: ServerDeath[] = [];
    const told = new Promise<void>((resolve) => {
      stores.onExit((death) => { deaths.push(death); resolve(); });
    });
    process.kill(stores.pids.nats ?? 0, 'SIGKILL');
    await told;
    await stores.stop();
    expect(deaths).toHaveLength(1);
    expect(deaths[0]).toMatchObject({ name: 'nats-server', signal: 'SIGKILL' });
    expect(deaths[0]?.reason).toMatch(/^by SIGKILL[^\n]*nats\.log\)$/);
  });

  test('works in a data directory whose path is too long for a socket', async () => {
    const dataDir = join(temporaryDirectory(), 'a'.repeat(120));
    const stores = await started({ dataDir, need: { nats: false, redis: true } });
    expect(await query(stores, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    if ('url' in stores.postgres) throw new Error('a private cluster is expected');
    const { host } = stores.postgres;
    expect(host).toMatch(/^\/tmp\/vesper-postgres-/);
    await stores.stop();
    expect(existsSync(host)).toBe(false);
  });

  test.skipIf(process.getuid?.() !== 0)(
    'as root in a directory that others cannot enter, keeps the cluster elsewhere, records it and finds it again',
    async () => {
      const home = temporaryDirectory();
      const dataDir = join(home, 'closed', 'data');
      mkdirSync(join(home, 'closed'), { mode: 0o700 });
      const first = await started({ dataDir, need: { nats: false } });
      const location = readFileSync(join(dataDir, 'postgres.location'), 'utf8').trim();
      onTestFinished(() => rmSync(location, { recursive: true, force: true }));
      expect(location).toMatch(/^\/var\/tmp\/vesper-[0-9a-f]{8}$/);
      await query(first, 'CREATE TABLE kept AS SELECT 1 AS one');
      await first.stop();
      const second = await started({ dataDir, need: { nats: false } });
      expect(await query(second, 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
      await second.stop();

      // The data directory is deleted: a new one at its place must not inherit the old database.
      rmSync(dataDir, { recursive: true });
      const third = await started({ dataDir, need: { nats: false } });
      expect(third.isNewCluster).toBe(true);
      await third.stop();

      // It is deleted for good: the next cluster that has to go there clears away what it left.
      rmSync(dataDir, { recursive: true });
      const other = join(home, 'closed', 'other');
      await started({ dataDir: other, need: { nats: false } });
      const otherLocation = readFileSync(join(other, 'postgres.location'), 'utf8').trim();
      onTestFinished(() => rmSync(otherLocation, { recursive: true, force: true }));
      expect(existsSync(location)).toBe(false);
    },
  );

  test.skipIf(process.getuid?.() !== 0)('never runs Postgres as root', async () => {
    const stores = await started({ dataDir: temporaryDirectory(), need: { nats: false } });
    expect(statSync(`/proc/${stores.pids.postgres}`).uid).not.toBe(0);
  });

  test('a server that cannot start is named in one line, and the others are ended again', async () => {
    const dataDir = temporaryDirectory();
    mkdirSync(join(dataDir, 'nats'));
    writeFileSync(join(dataDir, 'nats', 'jetstream'), 'a file where the store should be');
    await expect(startStores({ dataDir })).rejects.toThrow(/^nats-server ended as it started: exit 1: [^\n]+$/);
    await until(() => processesOf(dataDir).length === 0);
  });

  test('a missing server and an unreachable URL are errors of one line', async () => {
    const need = { nats: false, postgres: false, redis: true };
    await expect(startStores({ dataDir: temporaryDirectory(), need, env: { PATH: '/nonexistent' } }))
      .rejects.toThrow('redis-server is missing: install the package redis-server, or set VESPER_REDIS_URL');
    await expect(startStores({ dataDir: temporaryDirectory(), need: { postgres: false },
      env: { ...process.env, VESPER_NATS_URL: 'nats://user:secret@127.0.0.1:1' } }))
      .rejects.toThrow(/^VESPER_NATS_URL: nats:\/\/…@127\.0\.0\.1:1 cannot be reached: [^\n]*ECONNREFUSED[^\n]*$/);
  });

  test('an existing server named by URL is used and outlives us', async () => {
    const theirs = await started({ dataDir: temporaryDirectory(), need: { postgres: false } });
    const env = { ...process.env, VESPER_NATS_URL: theirs.natsUrl };
    const ours = await started({ dataDir: temporaryDirectory(), need: { postgres: false }, env });
    expect(ours.natsUrl).toBe(theirs.natsUrl);
    expect(ours.pids).toEqual({});
    await ours.stop();
    await (await connect({ servers: withoutCredentials(theirs.natsUrl) })).close();
  });

  test('what was not asked for explains itself when it is used', async () => {
    const stores = await started({ dataDir: temporaryDirectory(), need: { postgres: false } });
    expect(() => stores.postgres).toThrow('postgres was not asked for');
    expect({ ...stores }).not.toHaveProperty('postgres');
  });
});

describe('withStores', () => {
  test('starts private stores under the lock, and ends both after the work, also when it fails', async () => {
    const dataDir = temporaryDirectory();
    const options = { dataDir, command: 'verify', need: { postgres: false } };
    const work = async ({ natsUrl, isLive }: { natsUrl: string; isLive: boolean }) => {
      expect(isLive).toBe(false);
      expect(() => lockDataDir(dataDir, 'night')).toThrow('in use');
      await (await connect({ servers: withoutCredentials(natsUrl) })).close();
      throw new Error('the work failed');
    };
    await expect(withStores(options, work)).rejects.toThrow('the work failed');
    expect(processesOf(dataDir)).toEqual([]);
    lockDataDir(dataDir, 'night').release();
  });

  test('uses the live run\'s stores and starts none', async () => {
    const dataDir = temporaryDirectory();
    const stores = await started({ dataDir, need: { postgres: false } });
    const lock = lockDataDir(dataDir, 'night');
    onTestFinished(() => lock.release());
    writeRun(dataDir, { command: 'night', natsUrl: stores.natsUrl, postgres: { url: 'postgres://x' }, redisUrl: null });
    const seen = await withStores({ dataDir, command: 'verify' }, async (addresses) => addresses);
    expect(seen).toEqual({ natsUrl: stores.natsUrl, postgres: { url: 'postgres://x' }, redisUrl: null, isLive: true });
    expect(readLiveRun(dataDir)).not.toBeNull();
  });
});
