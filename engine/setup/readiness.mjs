// Waiting for a server, with a limit and a reason.
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { lastLogLine, sleep } from './processes.mjs';

/** Readiness takes about a second; recovery of a large store after a crash takes minutes at worst. */
const READY_LIMIT_MS = 120_000;

/** How long a server may take to write out what it holds when asked to end; then it is killed. */
export const STOP_LIMIT_MS = 15_000;

/** The same for a server left over by a run that was killed. */
export const ORPHAN_LIMIT_MS = 15_000;

/**
 * Repeat `attempt` until it gives something other than null. A server that ends first, or takes longer than the
 * limit, is an error of one line: its name, the reason, and where its log is.
 */
export async function awaitReady(server, attempt, stop) {
  const deadline = Date.now() + READY_LIMIT_MS;
  let ended = null;
  server.exited.then((how) => { ended = how; });
  for (;;) {
    const ready = await attempt();
    if (ended !== null) throw new Error(`${server.name} ended as it started: ${reasonOf(server, ended)}`);
    if (ready !== null) return ready;
    if (Date.now() > deadline) {
      await stop();
      throw new Error(`${server.name} is not ready after ${READY_LIMIT_MS / 1000} s: ${reasonOf(server, {})}`);
    }
    await sleep(20);
  }
}

/** How a server ended and the last thing it said; and where to read more. */
export function reasonOf(server, { error, code = null, signal = null }) {
  const how = error?.message ?? (signal !== null ? `by ${signal}` : code !== null ? `exit ${code}` : '');
  const said = [how, lastLogLine(server)].filter((part) => part !== '').join(': ');
  return `${said} (log: ${server.logPath})`;
}

/** Eight hex digits that stand for a data directory where its own path would be too long or unreachable. */
export function digestOf(dataDir) {
  return createHash('sha256').update(dataDir).digest('hex').slice(0, 8);
}

/**
 * A directory of our own in a place that all may write to. Refuses one that somebody else put there.
 * @param uid Who must own it; null for ourselves.
 */
export function makePrivateDirectory(path, uid = null) {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (error.code !== 'EEXIST') throw new Error(`${path} cannot be made: ${error.message}`);
    const found = lstatSync(path);
    const owners = [process.getuid(), ...(uid === null ? [] : [uid])];
    if (!found.isDirectory() || !owners.includes(found.uid)) {
      throw new Error(`${path} belongs to somebody else; remove it or choose another --data-dir`);
    }
  }
}
