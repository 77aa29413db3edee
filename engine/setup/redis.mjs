// A private redis-server on a Unix socket; its data are in memory alone.
import { rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { makeDirectory } from './locks.mjs';
import { awaitOrphans, end, launch } from './processes.mjs';
import { ORPHAN_LIMIT_MS, STOP_LIMIT_MS, awaitReady, digestOf, makePrivateDirectory } from './readiness.mjs';

/** A Unix socket's path may have 107 bytes. */
const SOCKET_PATH_BYTES_MAX = 100;

/** Start it and wait until it answers. Resolves to `{ server, url, stop }`, the URL being `unix:///…`. */
export async function startRedis({ dataDir, servers, log }) {
  const directory = join(dataDir, 'redis');
  makeDirectory(directory);
  await awaitOrphans(directory, 'redis-server', ORPHAN_LIMIT_MS);
  const socketPath = socketPathFor(dataDir, directory);
  rmSync(socketPath, { force: true }); // A killed server's.
  const configPath = join(dataDir, 'redis.conf');
  writeFileSync(configPath, configuration(directory, socketPath), { mode: 0o600 });

  const server = launch({ name: 'redis-server', program: servers.redis.path, args: [configPath], cwd: directory,
    logPath: join(dataDir, 'logs', 'redis.log'), setpriv: servers.setpriv });
  const stop = async () => {
    await end(server, 'SIGTERM', STOP_LIMIT_MS);
    if (dirname(socketPath) !== directory) rmSync(dirname(socketPath), { recursive: true, force: true });
  };
  await awaitReady(server, () => answersPing(socketPath), stop);
  log(`redis-server ${servers.redis.version} at ${socketPath}`);
  return { server, url: `unix://${socketPath}`, stop };
}

function socketPathFor(dataDir, directory) {
  const beside = join(directory, 'redis.sock');
  if (Buffer.byteLength(beside) <= SOCKET_PATH_BYTES_MAX) return beside;
  const short = `/tmp/vesper-redis-${digestOf(dataDir)}`;
  makePrivateDirectory(short);
  return join(short, 'redis.sock');
}

function configuration(directory, socketPath) {
  return [
    '# Written by Vesper at every start; changes are lost.',
    'port 0',
    `unixsocket ${JSON.stringify(socketPath)}`,
    'unixsocketperm 700',
    `dir ${JSON.stringify(directory)}`,
    // A cache: what it loses is read again from the tables, and what was not asked for of late makes room.
    'appendonly no',
    'save ""',
    'maxmemory 1gb',
    'maxmemory-policy allkeys-lru',
    'daemonize no',
    'logfile ""',
    '',
  ].join('\n');
}

/** True once it answers PONG; null while it does not listen, or still loads what it wrote last time. */
function answersPing(socketPath) {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath }, () => socket.write('PING\r\n'));
    const answer = (ready) => { socket.destroy(); resolve(ready); };
    socket.setTimeout(1000, () => answer(null));
    socket.once('error', () => answer(null));
    socket.once('data', (bytes) => answer(bytes.toString('latin1').startsWith('+PONG') ? true : null));
  });
}
