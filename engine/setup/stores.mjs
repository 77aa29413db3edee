// All stores of one data directory, started and ended together.
import { realpathSync, statfsSync } from 'node:fs';
import { resolve } from 'node:path';
import { DirectoryInUse, lockDataDir, makeDirectory, readLiveRun } from './locks.mjs';
import { startNats } from './nats.mjs';
import { startPostgres } from './postgres.mjs';
import { sleep } from './processes.mjs';
import { reasonOf } from './readiness.mjs';
import { startRedis } from './redis.mjs';
import { SERVERS, findServers, probe, redacted } from './servers.mjs';

/** A fresh cluster takes 40 MB and its log 16 MB a segment: below this nothing useful can be started. */
export const FREE_BYTES_MIN = 256 * 1024 * 1024;

/** How long a command waits for another short command, or for a run that is just starting. */
const BUSY_LIMIT_MS = 20_000;

/**
 * Start private stores in a data directory, or reach those named by VESPER_NATS_URL, VESPER_POSTGRES_URL and
 * VESPER_REDIS_URL. The caller holds the directory's lock. Ready when it resolves; on any failure whatever had
 * started is ended again and the error is one line that names the server.
 */
export async function startStores({ dataDir, log = () => {}, need = {}, env = process.env }) {
  const wanted = { nats: true, postgres: true, redis: false, ...need };
  makeDirectory(dataDir);
  const directory = realpathSync(dataDir);
  const servers = await findServers(env);
  refuseMissing(wanted, servers, env);
  refuseFullDisk(directory);

  const starters = { nats: startNats, postgres: startPostgres, redis: startRedis };
  const names = SERVERS.filter(({ name }) => wanted[name]);
  const outcomes = await Promise.allSettled(names.map(async ({ name, variable }) => {
    const url = env[variable] ?? '';
    if (url === '') return { name, ...await starters[name]({ dataDir: directory, servers, log }) };
    await probe(variable, url);
    log(`${name} at ${redacted(url)} (${variable})`);
    return { name, url, server: null, stop: async () => {} };
  }));
  const started = outcomes.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
  const failure = outcomes.find(({ status }) => status === 'rejected');
  if (failure !== undefined) {
    await Promise.all(started.map(({ stop }) => stop()));
    throw failure.reason;
  }
  return together(started, (name) => starters[name]({ dataDir: directory, servers, log }));
}

function refuseMissing(wanted, servers, env) {
  const needed = SERVERS.filter(({ name, variable }) => wanted[name] && (env[variable] ?? '') === '');
  for (const { name, program, debianPackage, variable } of needed) {
    if (servers[name] === null) {
      throw new Error(`${program} is missing: install the package ${debianPackage}, or set ${variable}`);
    }
  }
  if (needed.length > 0 && servers.setpriv === null) {
    throw new Error('setpriv is missing: install the package util-linux');
  }
}

function refuseFullDisk(directory) {
  const { bavail, bsize } = statfsSync(directory);
  const freeBytes = bavail * bsize;
  if (freeBytes >= FREE_BYTES_MIN) return;
  const mebibytes = (bytes) => Math.floor(bytes / 1024 / 1024);
  throw new Error(`the disk under ${directory} is full: ${mebibytes(freeBytes)} MB free, `
    + `${mebibytes(FREE_BYTES_MIN)} MB needed`);
}

/** The started stores as one; see `Stores` in services.d.mts. @param start Starts one of them again. */
function together(started, start) {
  const by = (name) => started.find((store) => store.name === name);
  const listeners = [];
  let stopping = null;
  let reviving = Promise.resolve();
  const pids = {};
  const watch = ({ name, server }) => {
    if (server === null) return;
    pids[name] = server.pid;
    server.exited.then((how) => {
      if (stopping !== null) return;
      const death = { name: server.name, code: how.code, signal: how.signal, reason: reasonOf(server, how) };
      for (const listener of listeners) listener(death);
    });
  };
  started.forEach(watch);
  const notAsked = (name) => { throw new Error(`${name} was not asked for when the stores were started`); };
  const stores = {
    redisUrl: by('redis')?.url ?? null,
    isNewCluster: by('postgres')?.isNew ?? false,
    pids,
    onExit: (listener) => { listeners.push(listener); },
    restart: async (name) => {
      if (stopping !== null) return;
      const restarted = start(name).then((fresh) => {
        const store = Object.assign(by(name), fresh);
        if (stopping === null) watch(store);
      });
      reviving = restarted.catch(() => undefined); // Told to whoever called.
      await restarted;
    },
    stop: async () => {
      stopping ??= reviving.then(() => Promise.all(started.map(({ stop }) => stop())));
      await stopping;
    },
  };
  const postgres = by('postgres');
  define(stores, 'natsUrl', by('nats')?.url, () => notAsked('nats'));
  define(stores, 'postgres', postgres && (postgres.connection ?? { url: postgres.url }), () => notAsked('postgres'));
  return stores;
}

/** A plain field when there is a value; else a hidden one that explains itself when it is used after all. */
function define(stores, field, value, explain) {
  if (value === undefined) Object.defineProperty(stores, field, { get: explain, enumerable: false });
  else stores[field] = value;
}

/**
 * Run `work` with the stores of a data directory: those of the live run when there is one, else private ones that
 * are started for it and ended after it, under the directory's lock.
 *
 * @param work Receives `{ natsUrl, postgres, redisUrl, isLive }`; what it returns is returned.
 */
export async function withStores({ dataDir, command, log = () => {}, need = {}, env = process.env }, work) {
  const owned = await runOrLock(dataDir, command);
  if (owned.run !== null) {
    const { natsUrl, postgres, redisUrl } = owned.run;
    return work({ natsUrl, postgres, redisUrl, isLive: true });
  }
  try {
    const stores = await startStores({ dataDir, log, need, env });
    try {
      const { natsUrl, postgres } = { natsUrl: null, postgres: null, ...stores };
      return await work({ natsUrl, postgres, redisUrl: stores.redisUrl, isLive: false });
    } finally {
      await stores.stop();
    }
  } finally {
    owned.lock.release();
  }
}

/** The live run, or else the lock; waits a while for a holder that is not (yet) a run others can use. */
async function runOrLock(dataDir, command) {
  const deadline = Date.now() + BUSY_LIMIT_MS;
  makeDirectory(resolve(dataDir));
  for (;;) {
    const run = readLiveRun(dataDir);
    if (run !== null) return { run, lock: null };
    try {
      return { run: null, lock: lockDataDir(dataDir, command) };
    } catch (error) {
      if (!(error instanceof DirectoryInUse) || Date.now() > deadline) throw error;
    }
    await sleep(100);
  }
}
