// Which servers this machine has, where, and in which version.
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, dirname, join } from 'node:path';

/** Debian puts daemons where a user's PATH does not look. */
const DAEMON_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

const DEBIAN_POSTGRES = '/usr/lib/postgresql';

/** How long an existing server, given by URL, may take to answer. */
const PROBE_LIMIT_MS = 5000;

/** The Debian package that brings each program, and the variable that makes it unnecessary. */
export const SERVERS = [
  { name: 'nats', program: 'nats-server', debianPackage: 'nats-server', variable: 'VESPER_NATS_URL' },
  { name: 'postgres', program: 'postgres', debianPackage: 'postgresql', variable: 'VESPER_POSTGRES_URL' },
  { name: 'redis', program: 'redis-server', debianPackage: 'redis-server', variable: 'VESPER_REDIS_URL' },
];

/** Full path of a program on the PATH or among the daemons, else null. */
export function findProgram(name, env = process.env) {
  const directories = [...(env.PATH ?? '').split(delimiter).filter((entry) => entry !== ''), ...DAEMON_DIRECTORIES];
  return directories.map((directory) => join(directory, name)).find(isExecutable) ?? null;
}

/**
 * Directories that hold both `postgres` and `initdb`: the one on the PATH first, then Debian's, newest first.
 * @returns `[{ bin, major }]`, `major` null when the directory's name does not tell it.
 */
export function findPostgres(env = process.env) {
  const onPath = findProgram('initdb', env);
  const found = onPath === null ? [] : [{ bin: dirname(onPath), major: null }];
  if (existsSync(DEBIAN_POSTGRES)) {
    const majors = readdirSync(DEBIAN_POSTGRES).filter((name) => /^\d+$/.test(name)).map(Number).sort((a, b) => b - a);
    for (const major of majors) found.push({ bin: join(DEBIAN_POSTGRES, String(major), 'bin'), major });
  }
  return found.filter(({ bin }) => isExecutable(join(bin, 'initdb')) && isExecutable(join(bin, 'postgres')));
}

/** Names of the entries of `SERVERS` (and `setpriv`) that are neither installed nor replaced by a URL. */
export function missingServers(env = process.env) {
  const missing = SERVERS.filter(({ name, program, variable }) => (env[variable] ?? '') === ''
    && (name === 'postgres' ? findPostgres(env).length === 0 : findProgram(program, env) === null));
  const packages = missing.map(({ debianPackage }) => debianPackage);
  const startsAny = SERVERS.some(({ variable }) => (env[variable] ?? '') === '');
  if (startsAny && findProgram('setpriv', env) === null) packages.push('util-linux');
  return packages;
}

/**
 * Paths and versions of what would be started; null for what is not there.
 * @returns `{ nats, redis: { path, version } | null, postgres: { bin, version, all } | null, setpriv: path | null }`
 */
export async function findServers(env = process.env) {
  const natsPath = findProgram('nats-server', env);
  const redisPath = findProgram('redis-server', env);
  const [nats, redis, all] = await Promise.all([
    natsPath === null ? null : versionOf(natsPath),
    redisPath === null ? null : versionOf(redisPath),
    Promise.all(findPostgres(env).map(async ({ bin }) => ({ bin, version: await versionOf(join(bin, 'postgres')) }))),
  ]);
  return {
    nats: natsPath === null ? null : { path: natsPath, version: nats },
    redis: redisPath === null ? null : { path: redisPath, version: redis },
    postgres: all.length === 0 ? null : { ...all[0], all },
    setpriv: findProgram('setpriv', env),
  };
}

/** Program's own version, such as `2.9.10`; null when it does not say. */
async function versionOf(path) {
  const text = await new Promise((resolve) => {
    execFile(path, ['--version'], { timeout: 10_000 }, (error, stdout) => resolve(error === null ? stdout : ''));
  });
  return /(\d+\.\d+(\.\d+)?)/.exec(text)?.[1] ?? null;
}

/** True when version `a` is at least `b`, compared number by number; an unknown version is older than any. */
export function isAtLeast(a, b) {
  if (a === null) return false;
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < right.length; i++) {
    if ((left[i] ?? 0) !== right[i]) return (left[i] ?? 0) > right[i];
  }
  return true;
}

/** What the log on this nats-server cannot promise, one sentence each; empty for a recent one. */
export function natsCaveats(version) {
  const caveats = [];
  if (!isAtLeast(version, '2.10')) {
    caveats.push('safe against crashes of processes, not of power (sync_interval needs 2.10)');
  }
  if (!isAtLeast(version, '2.12')) {
    caveats.push('no wildcard-subject expectation, message TTL or atomic batch (2.12): such requests are ignored');
  }
  return caveats;
}

/** The same for Postgres. */
export function postgresCaveats(version) {
  return isAtLeast(version, '15') ? [] : ['older than Postgres 15, the oldest that Vesper is tested with'];
}

/** The address behind a server's URL: `{ host, port }` or `{ path }` of a Unix socket. */
export function addressOf(url) {
  const defaultPorts = { 'nats:': 4222, 'tls:': 4222, 'postgres:': 5432, 'postgresql:': 5432, 'redis:': 6379,
    'rediss:': 6379 };
  if (url.startsWith('/') || url.startsWith('unix://')) return { path: url.replace(/^unix:\/\//, '') };
  let parsed;
  try {
    parsed = new URL(url);
  } catch {
    throw new Error(`${redacted(url)} is not a URL`);
  }
  const defaultPort = defaultPorts[parsed.protocol];
  if (defaultPort === undefined) throw new Error(`${redacted(url)} is not the URL of a NATS, Postgres or Redis server`);
  const port = Number(parsed.port || parsed.searchParams.get('port') || defaultPort);
  const host = parsed.searchParams.get('host') ?? parsed.hostname;
  if (host.startsWith('/')) return { path: `${host}/.s.PGSQL.${port}` };
  return { host: host.replace(/^\[|\]$/g, '') || 'localhost', port };
}

/** A URL without its password, fit for a log. */
export function redacted(url) {
  return url.replace(/\/\/[^@/]*@/, '//…@');
}

/** The address alone, for those who have credentials of their own or need none. */
export function withoutCredentials(url) {
  return url.replace(/\/\/[^@/]*@/, '//');
}

/** Reach an existing server, or throw one line that names the variable, the address and the reason. */
export async function probe(variable, url) {
  try {
    const address = addressOf(url);
    await new Promise((resolve, reject) => {
      const socket = connect(address);
      socket.setTimeout(PROBE_LIMIT_MS, () => socket.destroy(new Error(`no answer in ${PROBE_LIMIT_MS / 1000} s`)));
      socket.once('connect', () => { socket.destroy(); resolve(); });
      socket.once('error', reject);
    });
  } catch (error) {
    throw new Error(`${variable}: ${redacted(url)} cannot be reached: ${error.message || error.code}`);
  }
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** uid and gid of an account of this machine, or null. */
export function findAccount(name) {
  const line = readFileSync('/etc/passwd', 'utf8').split('\n').find((entry) => entry.startsWith(`${name}:`));
  if (line === undefined) return null;
  const fields = line.split(':');
  return { name, uid: Number(fields[2]), gid: Number(fields[3]) };
}
