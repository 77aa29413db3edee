// What this machine has, what it lacks, and what its versions cannot promise.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { REPOSITORY } from './arguments.mjs';
import { lockHolder, readLiveRun } from './locks.mjs';
import { arePackagesCurrent } from './packages.mjs';
import {
  SERVERS, findServers, missingServers, natsCaveats, postgresCaveats, probe, redacted, withoutCredentials,
} from './servers.mjs';
import { FREE_BYTES_MIN } from './stores.mjs';

/** Look at everything, change nothing. See `DoctorReport` in services.d.mts. */
export async function doctor(dataDir, env = process.env) {
  const found = await findServers(env);
  const servers = await Promise.all(SERVERS.map((server) => describeServer(server, found, env)));
  const packaged = spawnSync(join(REPOSITORY, 'node_modules', '.bin', 'node'), ['--version'], { encoding: 'utf8' });
  const report = {
    system: systemName(),
    node: { running: process.versions.node, packaged: packaged.status === 0 ? packaged.stdout.trim().slice(1) : null },
    packagesCurrent: arePackagesCurrent(REPOSITORY),
    servers,
    setpriv: found.setpriv,
    missingPackages: missingServers(env),
    dataDir: describeDataDir(dataDir),
    lock: lockHolder(dataDir),
    run: readLiveRun(dataDir),
  };
  return { ...report, problems: problemsOf(report) };
}

const caveatsOf = { nats: natsCaveats, postgres: postgresCaveats, redis: () => [] };

async function describeServer({ name, variable }, found, env) {
  const url = env[variable] ?? '';
  if (url !== '') {
    const problem = await probe(variable, url).then(() => null, (error) => error.message);
    return { name, url: redacted(url), path: null, version: null, isReachable: problem === null, problem, caveats: [] };
  }
  const installed = found[name];
  return { name, url: null, path: installed?.path ?? installed?.bin ?? null, version: installed?.version ?? null,
    isReachable: null, problem: null, caveats: installed === null ? [] : caveatsOf[name](installed.version) };
}

function systemName() {
  const file = '/etc/os-release';
  const name = existsSync(file) ? /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined;
  return `${name ?? process.platform}, kernel ${release()}, ${process.arch}`;
}

/** The directory need not exist yet: what counts is its nearest ancestor that does. */
function describeDataDir(dataDir) {
  let place = dataDir;
  while (!existsSync(place) && place !== dirname(place)) place = dirname(place);
  const { bavail, bsize } = statfsSync(place);
  let isWritable = true;
  try {
    accessSync(place, constants.W_OK);
  } catch {
    isWritable = false;
  }
  const record = join(dataDir, 'postgres.location');
  const postgresLocation = existsSync(record) ? readFileSync(record, 'utf8').trim() : null;
  return { path: dataDir, exists: place === dataDir, isWritable, freeBytes: bavail * bsize, postgresLocation };
}

function problemsOf({ packagesCurrent, node, servers, missingPackages, dataDir }) {
  const problems = servers.filter(({ problem }) => problem !== null).map(({ problem }) => problem);
  if (!packagesCurrent) problems.push('the npm packages are not those of package-lock.json: npm ci');
  if (packagesCurrent && node.packaged === null && Number(node.running.split('.')[0]) < 24) {
    problems.push('Node 24 is not among the packages for this machine: install Node 24 or newer');
  }
  if (missingPackages.length > 0) problems.push(`missing: apt-get install ${missingPackages.join(' ')}`);
  if (!dataDir.isWritable) problems.push(`${dataDir.path} cannot be written to`);
  if (dataDir.freeBytes < FREE_BYTES_MIN) problems.push(`the disk under ${dataDir.path} is full`);
  return problems;
}

/** The report for people. */
export function formatDoctor(report) {
  const { system, node, packagesCurrent, servers, setpriv, dataDir, lock, run, problems } = report;
  const lines = [
    ['system', system],
    ['node', `${node.running} (this process), ${node.packaged ?? 'none'} (packages)`],
    ['npm packages', packagesCurrent ? 'as locked' : 'not as locked'],
    ...servers.flatMap(serverLines),
    ['setpriv', setpriv ?? 'missing'],
    ['data directory', `${dataDir.path}${dataDir.exists ? '' : ' (not made yet)'}, `
      + `${(dataDir.freeBytes / 1024 ** 3).toFixed(1)} GB free${dataDir.isWritable ? '' : ', not writable'}`],
    ...(dataDir.postgresLocation === null ? [] : [['', `Postgres cluster in ${dataDir.postgresLocation}`]]),
    ['lock', lock === null ? 'free' : `pid ${lock.pid} (vesper ${lock.command}, since ${lock.startedAt})`],
    ['live run', run === null ? 'none' : `pid ${run.pid} (vesper ${run.command}), log at ${withoutCredentials(run.natsUrl)}`],
  ];
  const width = Math.max(...lines.map(([label]) => label.length));
  const verdict = problems.length === 0 ? ['nothing is missing'] : problems.map((problem) => `problem: ${problem}`);
  return [...lines.map(([label, text]) => `${label.padEnd(width)}  ${text}`), '', ...verdict].join('\n');
}

function serverLines({ name, url, path, version, isReachable, caveats }) {
  const what = url !== null ? `${url} (${isReachable ? 'reachable' : 'not reachable'})`
    : path === null ? 'missing' : `${version ?? 'unknown version'} at ${path}`;
  return [[name, what], ...caveats.map((caveat) => ['', caveat])];
}
