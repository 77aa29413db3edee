// A private Postgres cluster on a Unix socket, never run as root.
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, realpathSync,
  renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asAccount, awaitOrphans, end, launch, processesIn } from './processes.mjs';
import { ORPHAN_LIMIT_MS, STOP_LIMIT_MS, awaitReady, digestOf, makePrivateDirectory, reasonOf } from './readiness.mjs';
import { createDatabase, tryDatabase } from './postgresWire.mjs';
import { findAccount } from './servers.mjs';

/** Names the socket file only; there is no TCP. */
const PORT = 5432;

const USER = 'vesper';
const DATABASE = 'vesper';

/** `<directory>/.s.PGSQL.5432.lock` must stay below the 107 bytes of a Unix socket's path. */
const SOCKET_DIRECTORY_BYTES_MAX = 88;

/** Where clusters go whose data directory the account cannot enter: open to all, and kept over a reboot. */
const ELSEWHERE = '/var/tmp';

/** In such a cluster's directory: the data directory it belongs to. */
const OWNER_FILE = 'data-directory';

/** In a data directory: where its cluster is, when it is elsewhere. */
const LOCATION_FILE = 'postgres.location';

const SETTINGS = [
  'listen_addresses=',
  `port=${PORT}`,
  'unix_socket_permissions=0700',
  'fsync=on',
  'max_connections=64',
  // No replica reads this cluster, and the log rebuilds it: COPY into new partitions need not be logged twice.
  'wal_level=minimal', 'max_wal_senders=0', 'max_wal_size=1GB',
  // The other cores belong to pixels, and our statements are too short to be worth compiling.
  'max_parallel_workers_per_gather=0', 'jit=off',
  // Objects of a field lie on a thousand pages here and there: asked for ahead, they come in a half to two thirds of the
  // time from a disk that serves many requests at once.
  'effective_io_concurrency=128',
  'log_destination=stderr', 'logging_collector=off', 'log_timezone=UTC', 'timezone=UTC',
];

/**
 * Start the data directory's cluster, making it first when there is none.
 *
 * @returns `{ server, connection: { host, port, user, database }, isNew, location, stop }`; `isNew` when an empty
 *   cluster was made, so that projections begin anew.
 */
export async function startPostgres({ dataDir, servers, log }) {
  const account = accountToUse();
  const root = clusterDirectory(dataDir, account, servers.setpriv, log);
  const data = join(root, 'data');
  const logPath = join(dataDir, 'logs', 'postgres.log');
  const { bin, version } = binariesFor(data, servers.postgres.all);
  const common = { account, cwd: '/', logPath, setpriv: servers.setpriv };

  const isNew = !existsSync(join(data, 'PG_VERSION'));
  if (isNew) await makeCluster({ root, data, bin, common, log });
  else await clearStaleLock(data);

  const socketDirectory = socketDirectoryFor(dataDir, root, account);
  const settings = [...SETTINGS, `unix_socket_directories=${socketDirectory}`];
  const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  // SIGINT is the fast shutdown: sessions are cut, everything is written, no recovery at the next start.
  const server = launch({ ...common, name: 'postgres', program: join(bin, 'postgres'), args, deathSignal: 'SIGINT' });
  const stop = async () => {
    await end(server, 'SIGINT', STOP_LIMIT_MS);
    rmSync(socketDirectory, { recursive: true, force: true });
  };
  const socketPath = join(socketDirectory, `.s.PGSQL.${PORT}`);
  await awaitReady(server, () => readyDatabase(socketPath), stop);
  log(`postgres ${version} at ${socketPath}`);
  const connection = { host: socketDirectory, port: PORT, user: USER, database: DATABASE };
  return { server, connection, isNew, location: root, stop };
}

/** Null when we are an ordinary user; for root Debian's `postgres` account, else `nobody`. */
function accountToUse() {
  if (process.getuid() !== 0) return null;
  const account = findAccount('postgres') ?? findAccount('nobody');
  if (account === null) throw new Error('postgres cannot run as root, and there is no account `postgres` or `nobody`');
  return account;
}

/**
 * Where the cluster lives: `<dataDir>/postgres`, or `/var/tmp/vesper-<digest>` when the account cannot enter the data
 * directory. The latter is recorded in `<dataDir>/postgres.location`; without that record whatever is found there
 * belonged to a data directory since deleted, and is removed.
 */
function clusterDirectory(dataDir, account, setpriv, log) {
  const inside = join(dataDir, 'postgres');
  const outside = join(ELSEWHERE, `vesper-${digestOf(dataDir)}`);
  if (lineOf(join(dataDir, LOCATION_FILE)) !== outside) {
    mkdirSync(inside, { recursive: true, mode: 0o700 });
    if (account === null) return inside;
    chownSync(inside, account.uid, account.gid);
    if (canWrite(account, inside, setpriv)) return inside;
    if (existsSync(join(inside, 'data'))) {
      throw new Error(`account ${account.name} can no longer enter ${inside}, where the Postgres cluster is`);
    }
    makePrivateDirectory(outside, account.uid);
    rmSync(outside, { recursive: true });
    rmSync(inside, { recursive: true });
    removeForsakenClusters(account);
    writeFileSync(join(dataDir, LOCATION_FILE), `${outside}\n`);
    log(`account ${account.name} cannot enter ${dataDir}: the Postgres cluster lives in ${outside}`);
  }
  makePrivateDirectory(outside, account?.uid ?? null);
  if (account !== null) chownSync(outside, account.uid, account.gid);
  writeFileSync(join(outside, OWNER_FILE), `${dataDir}\n`);
  return outside;
}

/** The one line of a small file; null when there is no such file (any more). */
function lineOf(path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  }
}

/**
 * Remove the clusters whose data directories are gone; nobody else would. The record is written before the owner
 * file, so one that is just being made is never taken for one. Should a data directory only be out of reach, its
 * database is rebuilt from its log when it returns.
 */
function removeForsakenClusters(account) {
  for (const name of readdirSync(ELSEWHERE)) {
    const cluster = join(ELSEWHERE, name);
    if (!/^vesper-[0-9a-f]{8}$/.test(name)) continue;
    if (lstatSync(cluster, { throwIfNoEntry: false })?.uid !== account.uid) continue;
    const owner = lineOf(join(cluster, OWNER_FILE));
    if (owner === null || lineOf(join(owner, LOCATION_FILE)) === cluster) continue;
    if (processesIn(join(cluster, 'data'), 'postgres').length > 0) continue;
    rmSync(cluster, { recursive: true, force: true });
  }
}

function canWrite(account, directory, setpriv) {
  const [command, ...rest] = [...asAccount(account, setpriv), 'test', '-w', directory];
  return spawnSync(command, rest, { stdio: 'ignore' }).status === 0;
}

/** The binaries that can read the cluster: those of its own major version. Any for a new one. */
function binariesFor(data, candidates) {
  const versionFile = join(data, 'PG_VERSION');
  if (!existsSync(versionFile)) return candidates[0];
  const major = readFileSync(versionFile, 'utf8').trim();
  const fitting = candidates.find(({ version }) => version?.split('.')[0] === major);
  if (fitting !== undefined) return fitting;
  throw new Error(`the cluster in ${data} was made by Postgres ${major}, which is not installed; install it, or remove `
    + 'that directory to have it rebuilt from the log');
}

/** Make the cluster beside its place and move it there when it is whole: an interrupted one is never used. */
async function makeCluster({ root, data, bin, common, log }) {
  log('making the Postgres cluster');
  const making = join(root, 'data.new');
  rmSync(making, { recursive: true, force: true });
  rmSync(data, { recursive: true, force: true });
  const args = ['-D', making, '-U', USER, '--auth=trust', '--encoding=UTF8', '--locale=C'];
  const initdb = launch({ ...common, name: 'initdb', program: join(bin, 'initdb'), args });
  initdb.child.ref();
  const how = await initdb.exited;
  if (how.code !== 0) throw new Error(`initdb failed: ${reasonOf(initdb, how)}`);
  renameSync(making, data);
}

/**
 * Remove the lock file of a postmaster that was killed.
 *
 * Postgres does so itself unless the number in it is some other process's by now, which after a restart of a machine
 * or container is likely. First every process that still works on the cluster must be gone, because removing the
 * file also removes Postgres's own guard against them.
 */
async function clearStaleLock(data) {
  await awaitOrphans(realpathSync(data), 'postgres', ORPHAN_LIMIT_MS);
  rmSync(join(data, 'postmaster.pid'), { force: true });
}

function socketDirectoryFor(dataDir, root, account) {
  const beside = join(root, 'socket');
  const directory = Buffer.byteLength(beside) <= SOCKET_DIRECTORY_BYTES_MAX
    ? beside : `/tmp/vesper-postgres-${digestOf(dataDir)}`;
  makePrivateDirectory(directory, account?.uid ?? null);
  if (account !== null) chownSync(directory, account.uid, account.gid);
  for (const name of readdirSync(directory)) rmSync(join(directory, name)); // A killed postmaster's socket and lock.
  return directory;
}

/** True once our database answers, made when it is not there yet; null while the server starts. */
async function readyDatabase(socketPath) {
  const state = await tryDatabase(socketPath, USER, DATABASE);
  if (state === 'absent') await createDatabase(socketPath, USER, DATABASE);
  return state === 'ready' ? true : null;
}
