// From a bare checkout to one that runs: npm packages, pixel kernels, Node 24, servers. Says what it does, on stderr only; asks
// nothing; does nothing, in a few milliseconds, when all is there.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { areKernelsCurrent, kernelScript } from './kernels.mjs';
import { DirectoryInUse, lockDataDir } from './locks.mjs';
import { arePackagesCurrent, recordPackages } from './packages.mjs';
import { installDebianPackages } from './debian.mjs';
import { sleep, tiedToUs } from './processes.mjs';
import { findProgram, missingServers } from './servers.mjs';

/** Oldest Node that runs the TypeScript in this checkout as it is. */
const NODE_MAJOR_MIN = 24;

/** `npm ci` takes some 20 s; on a slow line minutes. */
const OTHER_SETUP_LIMIT_MS = 15 * 60_000;

/** Set-up that cannot be completed; its message is the one line that says what to do, before exit code 2. */
export class SetupError extends Error {}

/**
 * Make sure of what a command needs.
 *
 * @param what `'packages'` for npm packages, compiled kernels and Node 24, `'servers'` for NATS, Postgres and Redis too.
 * @returns `{ node }`: path of the Node to run TypeScript with.
 * @throws SetupError with one line that says what to install.
 */
export async function bootstrap({ repository, what, env = process.env, log = tell }) {
  if (!arePackagesCurrent(repository)) {
    await underSetupLock(repository, log, () => installPackages(repository, env, log));
  }
  if (!areKernelsCurrent(repository)) {
    await underSetupLock(repository, log, () => buildKernels(repository, env, log));
  }
  const node = findNode(repository);
  if (what === 'servers' && missingServers(env).length > 0) {
    await underSetupLock(repository, log, () => installServers(env, log));
  }
  return { node };
}

export function tell(line) {
  process.stderr.write(`vesper: ${line}\n`);
}

/** One set-up at a time in a checkout: a second one waits, and then finds it done. */
async function underSetupLock(repository, log, work) {
  const deadline = Date.now() + OTHER_SETUP_LIMIT_MS;
  let hasTold = false;
  for (;;) {
    let lock;
    try {
      lock = lockDataDir(join(repository, '.vesper', 'setup'), 'set-up');
    } catch (error) {
      if (!(error instanceof DirectoryInUse) || Date.now() > deadline) throw new SetupError(error.message);
      if (!hasTold) log(`waiting for another set-up to finish (pid ${error.holder?.pid ?? 'unknown'})`);
      hasTold = true;
      await sleep(200);
      continue;
    }
    try {
      return work();
    } finally {
      lock.release();
    }
  }
}

function installPackages(repository, env, log) {
  if (arePackagesCurrent(repository)) return; // Another set-up did it while we waited.
  log('installing the locked npm packages');
  // Under `npm start` this is the npm that runs us; it need not be on the PATH.
  const npm = /npm-cli\.c?js$/.test(env.npm_execpath ?? '') ? [process.execPath, env.npm_execpath]
    : [findProgram('npm', env)];
  if (npm[0] === null) throw new SetupError('npm is missing: install the package npm');
  // Interrupted, it leaves no installation record behind, so that the next set-up begins again.
  const setpriv = findProgram('setpriv', env);
  const tie = setpriv === null ? [] : tiedToUs('SIGTERM', setpriv);
  const [command, ...args] = [...tie, ...npm, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund',
    '--loglevel=error'];
  const result = spawnSync(command, args, { cwd: repository, env, encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status !== 0) throw new SetupError(`npm ci failed: ${reasonOfNpm(result)}`);
  recordPackages(repository);
}

/** Runs on the Node that we run on: the compiler needs no newer one. */
function buildKernels(repository, env, log) {
  if (areKernelsCurrent(repository)) return; // Another set-up did it while we waited.
  const result = spawnSync(process.execPath, [kernelScript(repository)], { cwd: repository, env, encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status !== 0) throw new SetupError(`the pixel kernels are not compiled: ${reasonOfScript(result)}`);
  if (result.stdout.startsWith('compiled')) log('compiled the pixel kernels');
}

/** The line of the error, among the lines that show where it was thrown. */
function reasonOfScript({ error, stderr, status, signal }) {
  if (error !== undefined) return error.message;
  const line = stderr.split('\n').find((text) => /^\w*(Error|ERROR)\b/.test(text));
  return line ?? (signal ? `ended by ${signal}` : `exit ${status}`);
}

function reasonOfNpm({ error, stderr = '', status, signal }) {
  if (error !== undefined) return error.message;
  const lines = stderr.split('\n').filter((line) => /^npm (error|ERR!)/i.test(line))
    .map((line) => line.replace(/^npm (error|ERR!) ?/i, '').trim());
  const said = lines.filter((line) => line !== '' && !/^(code|errno|syscall|A complete log)/.test(line));
  return said[0] ?? (signal ? `ended by ${signal}` : `exit ${status}`);
}

/** Node 24 from the locked packages; where there is none for this machine, whichever we run on if it is new enough. */
function findNode(repository) {
  const ownMajor = Number(process.versions.node.split('.')[0]);
  if (ownMajor >= NODE_MAJOR_MIN) return process.execPath;
  const packaged = join(repository, 'node_modules', '.bin', 'node');
  const result = spawnSync(packaged, ['--version'], { encoding: 'utf8', timeout: 30_000 });
  if (result.status === 0 && Number(/^v(\d+)/.exec(result.stdout)?.[1]) >= NODE_MAJOR_MIN) return packaged;
  const reason = result.error?.code === 'ENOENT' ? 'is not among the packages for this machine'
    : `does not run here (${(result.error?.message ?? result.stderr ?? '').split('\n')[0]})`;
  throw new SetupError(`Node ${NODE_MAJOR_MIN} ${reason}: install Node ${NODE_MAJOR_MIN} or newer in place of `
    + `${process.version} (${process.execPath})`);
}

function installServers(env, log) {
  const packages = missingServers(env);
  if (packages.length === 0) return; // Another set-up did it while we waited.
  const problem = installDebianPackages(packages, env, log);
  const left = missingServers(env);
  if (left.length === 0) return;
  throw new SetupError(`${problem}install ${left.join(', ')} (Debian: apt-get install ${left.join(' ')}), or set `
    + 'VESPER_NATS_URL, VESPER_POSTGRES_URL, VESPER_REDIS_URL to servers that you have');
}
