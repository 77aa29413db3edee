// A private nats-server: JetStream in the data directory, on a loopback port that the kernel chooses.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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

/** Pause between looks at the users' keys and the policy while the server runs, ms. */
const KEYS_LOOK_MS = 1000;

/** Start it and wait until JetStream has restored its streams. Resolves to `{ server, url, stop }`. */
export async function startNats({ dataDir, servers, log }) {
  const { path, version } = servers.nats;
  const directory = join(dataDir, 'nats');
  makeDirectory(directory);
  await awaitOrphans(directory, 'nats-server', ORPHAN_LIMIT_MS);
  removePortsFiles(directory);
  const configPath = join(dataDir, 'nats.conf');
  // Our own programs come as `vesper`, with a password of this start; nobody is asked for one while there are no keys.
  const [password, localPassword] = [1, 2].map(() => randomBytes(24).toString('hex'));
  const hasLocal = natsUsers(dataDir).length === 0;
  const text = () => configuration(directory, version, {
    users: natsUsers(dataDir), isEmbargoed: isPixelEmbargo(dataDir), password, local: hasLocal ? localPassword : null,
  });
  moveStreams(directory);
  let written = text();
  writeFileSync(configPath, written, { mode: 0o600 });

  const server = launch({ name: 'nats-server', program: path, args: ['-c', configPath], cwd: directory,
    logPath: join(dataDir, 'logs', 'nats.log'), setpriv: servers.setpriv });
  // A key that is granted or revoked holds within a second: the server reads its configuration again by signal.
  let trouble = null;
  const look = () => {
    let next;
    try {
      next = text();
      trouble = null;
    } catch (error) { // Damaged: the server goes on with what it has.
      if (error.message !== trouble) log(error.message);
      trouble = error.message;
      return;
    }
    if (next === written) return;
    writeFileSync(`${configPath}.part`, next, { mode: 0o600 });
    renameSync(`${configPath}.part`, configPath);
    written = next;
    server.child.kill('SIGHUP');
    log('the log has read its users anew');
  };
  const looking = setInterval(look, KEYS_LOOK_MS);
  looking.unref();
  const stop = () => { clearInterval(looking); return end(server, 'SIGTERM', STOP_LIMIT_MS); };
  const url = await awaitReady(server, () => listeningUrl(directory), stop);
  server.exited.then(() => clearInterval(looking));
  log(`nats-server ${version} at ${url}`);
  return { server, url: url.replace('//', `//vesper:${password}@`), stop };
}

/** Whether pixels are withheld from those not entitled: unless the operator has set the time to 0. */
function isPixelEmbargo(dataDir) {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'policy.json'), 'utf8')).pixelEmbargoHours !== 0;
  } catch (error) {
    if (error.code === 'ENOENT') return true;
    throw new Error(`${join(dataDir, 'policy.json')} cannot be read: ${error.message}`);
  }
}

/** Users with a public key for NATS, of the list that `vesper access` keeps (brokers/access.ts). */
function natsUsers(dataDir) {
  let text;
  try {
    text = readFileSync(join(dataDir, 'access.json'), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
  const users = JSON.parse(text).users.filter(({ natsPublicKey }) => typeof natsPublicKey === 'string');
  for (const { user, natsPublicKey } of users) {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(user) || !/^U[A-Z2-7]{55}$/.test(natsPublicKey)) {
      throw new Error(`${join(dataDir, 'access.json')}: user ${JSON.stringify(user)} has no key that NATS knows`);
    }
  }
  return users;
}

/** Account of the log; streams of a start of before there were accounts are taken over. */
const LOG_ACCOUNT = 'LOG';

/** What brokers may ask of the log's account. */
const SERVICES = [
  '$JS.API.INFO', '$JS.API.STREAM.NAMES', '$JS.API.STREAM.INFO.*', '$JS.API.CONSUMER.CREATE.*.*.>',
  '$JS.API.CONSUMER.INFO.*.*', '$JS.API.CONSUMER.DELETE.*.*', '$JS.API.CONSUMER.MSG.NEXT.*.*', '$JS.ACK.>',
];

/**
 * What a broker may do: read alerts of any night (those without cutouts, where pixels are withheld from it), and the
 * matches of its own filters, through one durable consumer a stream that has its own name, and nothing else. The filter
 * stands in the subject of the request that makes a consumer, and the server holds the two together, so that no other stream can be read that way. Answers come to a prefix of its
 * own, where nobody else may listen.
 */
function permissionsOf({ user, hasPixels }, isEmbargoed) {
  const api = '$JS.API';
  const publish = [
    `${api}.INFO`, `${api}.STREAM.NAMES`, `${api}.STREAM.INFO.*`,
    ...(hasPixels || !isEmbargoed
      ? ['alerts', 'released'].map((subject) => `${api}.CONSUMER.CREATE.*.${user}.${subject}.>`) : []),
    `${api}.CONSUMER.CREATE.*.${user}.lite.>`, `${api}.CONSUMER.CREATE.*.${user}.filtered.${user}.>`,
    `${api}.CONSUMER.INFO.*.${user}`, `${api}.CONSUMER.MSG.NEXT.*.${user}`, `${api}.CONSUMER.DELETE.*.${user}`,
    `$JS.ACK.*.${user}.>`,
  ];
  return `{ publish: { allow: ${list(publish)} }, subscribe: { allow: ${list([`_INBOX_${user}.>`])} } }`;
}

function list(subjects) {
  return `[${subjects.map((subject) => JSON.stringify(subject)).join(', ')}]`;
}

/**
 * Brokers have an account of their own: subjects of one account do not exist in another, so that no answer, whatever
 * subject a broker asks it to be sent to, can reach a stream. (In one account a broker could have alerts delivered into
 * COMMITS.)
 */
function accounts({ users, isEmbargoed, password, local }) {
  return [
    'accounts {',
    `  ${LOG_ACCOUNT} {`,
    '    jetstream: enabled',
    `    users: [{ user: vesper, password: "${password}" }${localUser(local, users.length > 0)}]`,
    `    exports: [${SERVICES.map((subject) => `{ service: ${JSON.stringify(subject)}, response_type: stream }`).join(', ')}]`,
    '  }',
    '  BROKERS {',
    '    users: [',
    ...users.map((each) => `      { nkey: ${each.natsPublicKey}, permissions: ${permissionsOf(each, isEmbargoed)} }`),
    '    ]',
    `    imports: [${SERVICES.map((subject) =>
      `{ service: { account: ${LOG_ACCOUNT}, subject: ${JSON.stringify(subject)} } }`).join(', ')}]`,
    '  }',
    '}',
  ];
}

/**
 * Whoever comes without a name is this user, who may do everything as long as there are no keys, and then nothing: the
 * server cannot be told by signal to turn the nameless away, but what they may do it takes over.
 */
function localUser(local, hasKeys) {
  if (local === null) return '';
  const nothing = ', permissions: { publish: { deny: ">" }, subscribe: { deny: ">" } }';
  return `, { user: local, password: "${local}"${hasKeys ? nothing : ''} }`;
}

/** The server keeps streams by account; without accounts it is `$G`. */
function moveStreams(directory) {
  const folder = (account) => join(directory, 'jetstream', account);
  const [from, to] = ['$G', LOG_ACCOUNT];
  if (existsSync(folder(from)) && !existsSync(folder(to))) renameSync(folder(from), folder(to));
}

function configuration(directory, version, access) {
  const store = [`store_dir: ${JSON.stringify(directory)}`, `max_file_store: ${MAX_FILE_STORE}`];
  // An acknowledged commit must outlive a power cut: what is acknowledged is on the disk. Before 2.10 it cannot be.
  if (isAtLeast(version, '2.10')) store.push('sync_interval: always');
  return [
    '# Written by Vesper at every start; changes are lost.',
    'host: "127.0.0.1"',
    'port: -1',
    `ports_file_dir: ${JSON.stringify(directory)}`,
    `max_payload: ${MAX_PAYLOAD}`,
    // A client that does not read is let go, and keeps nobody else waiting.
    'write_deadline: "5s"',
    'jetstream {',
    ...store.map((line) => `  ${line}`),
    '}',
    ...(access.local === null ? [] : ['no_auth_user: local']),
    ...accounts(access),
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
