// A private nats-server: JetStream in the data directory, on a loopback port that the kernel chooses.
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { makeDirectory } from './locks.mjs';
import { awaitOrphans, end, launch } from './processes.mjs';
import { isAtLeast } from './servers.mjs';
import { ORPHAN_LIMIT_MS, STOP_LIMIT_MS, awaitReady } from './readiness.mjs';

/** Largest message: an alert is about 80 kB, a detector's commit a few MB; larger row sets go to the spool. */
const MAX_PAYLOAD = '8MB';

/**
 * Far above any disk, on purpose. The server's own default is three quarters of what is free when it starts, and a
 * stream that reserved more than that is then not restored at all. Quotas are the streams' own (`max_bytes`).
 */
const MAX_FILE_STORE = '16TB';

/** Start it and wait until JetStream has restored its streams. Resolves to `{ server, url, stop }`. */
export async function startNats({ dataDir, servers, log }) {
  const { path, version } = servers.nats;
  const directory = join(dataDir, 'nats');
  makeDirectory(directory);
  await awaitOrphans(directory, 'nats-server', ORPHAN_LIMIT_MS);
  removePortsFiles(directory);
  const configPath = join(dataDir, 'nats.conf');
  writeFileSync(configPath, configuration(directory, version), { mode: 0o600 });

  const server = launch({ name: 'nats-server', program: path, args: ['-c', configPath], cwd: directory,
    logPath: join(dataDir, 'logs', 'nats.log'), setpriv: servers.setpriv });
  const stop = () => end(server, 'SIGTERM', STOP_LIMIT_MS);
  const url = await awaitReady(server, () => listeningUrl(directory), stop);
  log(`nats-server ${version} at ${url}`);
  return { server, url, stop };
}

function configuration(directory, version) {
  const store = [`store_dir: ${JSON.stringify(directory)}`, `max_file_store: ${MAX_FILE_STORE}`];
  // An acknowledged commit must outlive a power cut: what is acknowledged is on the disk. Before 2.10 it cannot be.
  if (isAtLeast(version, '2.10')) store.push('sync_interval: always');
  return [
    '# Written by Vesper at every start; changes are lost.',
    'host: "127.0.0.1"',
    'port: -1',
    `ports_file_dir: ${JSON.stringify(directory)}`,
    `max_payload: ${MAX_PAYLOAD}`,
    'jetstream {',
    ...store.map((line) => `  ${line}`),
    '}',
    '',
  ].join('\n');
}

function portsFiles(directory) {
  return readdirSync(directory).filter((name) => name.endsWith('.ports')).map((name) => join(directory, name));
}

function removePortsFiles(directory) {
  for (const file of portsFiles(directory)) rmSync(file);
}

/** The address the server says it listens on, once it answers there; null before. */
async function listeningUrl(directory) {
  const [file] = portsFiles(directory);
  if (file === undefined) return null;
  let url;
  try {
    url = JSON.parse(readFileSync(file, 'utf8')).nats[0];
  } catch {
    return null; // Half-written: the next look sees it whole.
  }
  return await greets(url) ? url : null;
}

/** A NATS server speaks first: INFO and what it offers. */
function greets(url) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const answer = (isReady) => { socket.destroy(); resolve(isReady); };
    socket.setTimeout(1000, () => answer(false));
    socket.once('error', () => answer(false));
    socket.once('data', (bytes) => answer(bytes.toString('latin1').startsWith('INFO ')));
  });
}
