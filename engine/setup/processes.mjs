// Processes: who is alive, how a child is tied to us, and how one is ended.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, readdirSync, readlinkSync,
  renameSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { isMainThread } from 'node:worker_threads';

/** A log that has grown past this is set aside when its server starts next; one older copy is kept. */
const LOG_BYTES_MAX = 10 * 1024 * 1024;

/** How often a process looks whether its parent is still there. Half a second is far below anybody's patience. */
const PARENT_POLL_MS = 500;

export function sleep(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

/**
 * When a process started, in clock ticks since boot; null when there is none (or it is a zombie, which holds
 * nothing any more). A pid alone can be taken over by a stranger; a pid with its start cannot.
 */
export function startTicksOf(pid) {
  let stat;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null; // No such process.
  }
  // The command name may hold spaces and brackets, so fields are counted from its last bracket: state is field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  return Number(fields[19]);
}

/** True when the very process that was recorded, not a later one with its number, still runs. */
export function isAlive(pid, pidStartTicks) {
  return startTicksOf(pid) === pidStartTicks;
}

/** Tells boots apart, because both pids and start ticks begin again after one. */
export function bootId() {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

/** The command line prefix that runs a program as another account; empty for our own. */
export function asAccount(account, setpriv) {
  if (account === null) return [];
  return [setpriv, `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', '--'];
}

/**
 * The command line prefix that ends a program with `signal` when the process that starts it dies, however it dies.
 *
 * The kernel forgets the request when the account changes, so it is made after that. Between the fork and the
 * request our death would go unseen: the shell therefore looks once, afterwards, whether we are still its parent.
 */
export function tiedToUs(signal, setpriv) {
  const check = '[ "$PPID" = "$1" ] || exit 125; shift; exec "$@"';
  return [setpriv, '--pdeathsig', signal, '--', 'sh', '-c', check, 'vesper', String(process.pid)];
}

/**
 * Start a server as a child that dies with us, its output appended to `logPath`.
 *
 * The death signal follows the *thread* that forks, so this must be the main one.
 *
 * @returns `{ name, child, pid, logPath, exited }`; `exited` resolves once, with `{ code, signal }`.
 */
export function launch({ name, program, args, cwd, logPath, setpriv, account = null, deathSignal = 'SIGTERM' }) {
  if (!isMainThread) throw new Error(`${name} must be started from the main thread: its life is tied to that thread`);
  const log = openLog(logPath);
  const logStartBytes = fstatSync(log).size;
  const [command, ...rest] = [...asAccount(account, setpriv), ...tiedToUs(deathSignal, setpriv), program, ...args];
  // The user's PG*, NATS_* and locale settings are for the user's servers, not for ours.
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const child = spawn(command, rest, { cwd, env, stdio: ['ignore', log, log] });
  closeSync(log);
  const exited = new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  child.unref(); // A forgotten server must not keep us alive: it ends when we do.
  return { name, child, pid: child.pid ?? 0, logPath, logStartBytes, exited, deathSignal };
}

function openLog(path) {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path) && statSync(path).size > LOG_BYTES_MAX) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

/** The last line that a server wrote since it was started; empty when it wrote none. */
export function lastLogLine(server) {
  let file;
  try {
    file = openSync(server.logPath, 'r');
    const size = fstatSync(file).size;
    const start = Math.max(server.logStartBytes, size - 8192);
    const bytes = Buffer.alloc(Math.max(0, size - start));
    readSync(file, bytes, 0, bytes.length, start);
    const lines = bytes.toString('utf8').split('\n').map((line) => line.trim()).filter((line) => line !== '');
    // Postgres and NATS end with what they closed; the line that names the trouble comes before.
    return lines.findLast((line) => /FATAL|PANIC|\[FTL\]|\[ERR\]|error/i.test(line)) ?? lines.at(-1) ?? '';
  } catch {
    return ''; // No log, no last line: the caller still names the server.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Ask a server to end, wait `limitMs`, then make it. Resolves when it is gone. */
export async function end(server, signal, limitMs) {
  server.child.ref();
  if (server.child.exitCode !== null || server.child.signalCode !== null) return;
  server.child.kill(signal);
  const timer = setTimeout(() => server.child.kill('SIGKILL'), limitMs);
  await server.exited;
  clearTimeout(timer);
}

/**
 * Wait until no earlier process named `comm` works in `directory`, ending it if it will not go.
 *
 * After a `kill -9` of their parent the servers take a moment to write out what they hold. A second server on the
 * same files in that moment would destroy them. The caller holds the lock on the data directory, so whatever still
 * runs there is an orphan.
 */
export async function awaitOrphans(directory, comm, limitMs) {
  const deadline = Date.now() + limitMs;
  const orphans = () => processesIn(directory, comm);
  while (orphans().length > 0 && Date.now() < deadline) await sleep(50);
  for (const pid of orphans()) killQuietly(pid, 'SIGKILL');
  while (orphans().length > 0 && Date.now() < deadline + limitMs) await sleep(50);
  const [left] = orphans();
  if (left !== undefined) throw new Error(`${comm} (pid ${left}) of an earlier run in ${directory} cannot be ended`);
}

/** Pids of the processes of that name whose working directory is `directory`. */
export function processesIn(directory, comm) {
  const found = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (readlinkSync(`/proc/${entry}/cwd`) !== directory) continue;
      if (readFileSync(`/proc/${entry}/comm`, 'utf8').trim() === comm && startTicksOf(Number(entry)) !== null) {
        found.push(Number(entry));
      }
    } catch {
      // Ended while we looked, or another account's: not ours.
    }
  }
  return found;
}

export function killQuietly(pid, signal) {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (error.code === 'ESRCH') return false; // Gone already, which is what was wanted.
    throw error;
  }
}

/**
 * Call `onDeath` once when the process that started us has gone. Returns a function that stops watching.
 *
 * Under npm a shell may stand between: when npm is killed the shell stays, so npm itself is watched too.
 */
export function watchParent(onDeath) {
  const parent = process.ppid;
  const starter = npmBehind(parent);
  const timer = setInterval(() => {
    const starterGone = starter !== null && !isAlive(starter.pid, starter.ticks);
    if (process.ppid === parent && !starterGone) return;
    clearInterval(timer);
    onDeath();
  }, PARENT_POLL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function npmBehind(parent) {
  try {
    if (!/^(sh|dash|bash)$/.test(readFileSync(`/proc/${parent}/comm`, 'utf8').trim())) return null;
    const stat = readFileSync(`/proc/${parent}/stat`, 'utf8');
    const pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (!/^npm/.test(readFileSync(`/proc/${pid}/comm`, 'utf8').trim())) return null;
    const ticks = startTicksOf(pid);
    return ticks === null ? null : { pid, ticks };
  } catch {
    return null; // No shell, no npm, or no /proc: watching the parent itself is enough.
  }
}

/** Exit code by the shell's convention: its own, or 128 + signal number. */
export function exitCodeOf({ code, signal }) {
  return code ?? 128 + (constants.signals[signal] ?? 0);
}
