// One owner per directory, and the record of the run that owns it.
import { linkSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bootId, isAlive, killQuietly, sleep, startTicksOf } from './processes.mjs';

/** A contender decides within microseconds; one that takes this long was stopped by a debugger. */
const CLAIM_WAIT_MS = 2000;

/** How long a run may take to close its night and stop its stores after it is asked. */
const STOP_LIMIT_MS = 30_000;

/** Somebody else owns the directory. `holder` is `{ pid, command, startedAt }`. */
export class DirectoryInUse extends Error {
  constructor(message, holder) {
    super(message);
    this.name = 'DirectoryInUse';
    this.holder = holder;
  }
}

/**
 * Own a data directory, or throw {@link DirectoryInUse} with one line that says who does.
 *
 * Every contender has a file of its own, named by boot, pid and start: a name that no other process can ever have.
 * A dead one's file may so be removed by anybody, and there is no shared name whose takeover two could race for.
 * A contender announces itself, then looks at the others: a holder wins, and among those that announced themselves
 * at once the lowest name does. Whoever looks last sees all.
 */
export function lockDataDir(dataDir, command) {
  const directory = join(dataDir, 'lock');
  makeDirectory(directory);
  const self = `${bootId().slice(0, 8)}-${process.pid}-${startTicksOf(process.pid)}`;
  const claim = join(directory, `${self}.claim`);
  const held = join(directory, `${self}.held`);
  const record = { pid: process.pid, command, startedAt: new Date().toISOString() };
  try {
    writeFileSync(claim, `${JSON.stringify(record)}\n`, { flag: 'wx' });
  } catch (error) {
    if (error.code === 'EEXIST') throw inUse(dataDir, directory, `${self}.claim`);
    throw new Error(`data directory ${resolve(dataDir)} cannot be locked: ${error.message}`);
  }
  try {
    awaitRivals(dataDir, directory, self);
    linkSync(claim, held);
  } catch (error) {
    rmSync(claim, { force: true });
    throw error;
  }
  const release = () => {
    process.removeListener('exit', release);
    rmSync(held, { force: true });
    rmSync(claim, { force: true });
  };
  process.on('exit', release);
  return { release };
}

/** The live owner of a data directory, `{ pid, command, startedAt }`, or null. Changes nothing. */
export function lockHolder(dataDir) {
  const directory = join(dataDir, 'lock');
  const held = namesIn(directory).find((name) => name.endsWith('.held') && isOwnerAlive(name));
  return held === undefined ? null : readRecord(join(directory, held));
}

function awaitRivals(dataDir, directory, self) {
  const deadline = Date.now() + CLAIM_WAIT_MS;
  for (;;) {
    const names = namesIn(directory).filter((name) => !name.startsWith(`${self}.`));
    for (const name of names) if (!isOwnerAlive(name)) rmSync(join(directory, name), { force: true });
    const rivals = names.filter(isOwnerAlive);
    const blocking = rivals.find((name) => name.endsWith('.held')) ?? rivals.find((name) => name < `${self}.claim`);
    if (blocking !== undefined || (rivals.length > 0 && Date.now() > deadline)) {
      throw inUse(dataDir, directory, blocking ?? rivals[0]);
    }
    if (rivals.length === 0) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2); // A rival above us is about to withdraw or hold.
  }
}

function isOwnerAlive(name) {
  const [boot, pid, ticks] = name.split('.')[0].split('-');
  return boot === bootId().slice(0, 8) && isAlive(Number(pid), Number(ticks));
}

function namesIn(directory) {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

function readRecord(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null; // Released, or not yet written, between listing and reading.
  }
}

function inUse(dataDir, directory, name) {
  const holder = readRecord(join(directory, name));
  const who = holder === null ? `pid ${name.split('-')[1]}`
    : `pid ${holder.pid} (vesper ${holder.command}, since ${holder.startedAt})`;
  return new DirectoryInUse(`data directory ${resolve(dataDir)} is in use by ${who}`, holder);
}

export function makeDirectory(path) {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new Error(`${resolve(path)} cannot be made: ${error.message}`);
  }
}

/** Record the run that other commands on this data directory may use. Replaces the file as a whole. */
export function writeRun(dataDir, run) {
  const full = { pid: process.pid, pidStartTicks: startTicksOf(process.pid), bootId: bootId(),
    startedAt: new Date().toISOString(), dashboardUrl: null, ...run };
  const path = join(dataDir, 'run.json');
  writeFileSync(`${path}.${process.pid}`, `${JSON.stringify(full, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.${process.pid}`, path);
  return full;
}

/** The recorded run if its process still runs, else null. */
export function readLiveRun(dataDir) {
  const run = readRecord(join(dataDir, 'run.json'));
  return run !== null && run.bootId === bootId() && isAlive(run.pid, run.pidStartTicks) ? run : null;
}

/** Remove the record, but only if it is this process's own or a dead one's. */
export function removeRun(dataDir) {
  const live = readLiveRun(dataDir);
  if (live === null || live.pid === process.pid) rmSync(join(dataDir, 'run.json'), { force: true });
}

/**
 * Ask the live run to end, wait, then insist.
 *
 * @returns `'none'` without a live run, `'stopped'`, or `'killed'` when it did not end by itself in `limitMs`.
 */
export async function stopRun(dataDir, { limitMs = STOP_LIMIT_MS } = {}) {
  const run = readLiveRun(dataDir);
  if (run === null) return 'none';
  killQuietly(run.pid, 'SIGTERM');
  if (await hasEnded(run, limitMs)) return 'stopped';
  if (isAlive(run.pid, run.pidStartTicks)) killQuietly(run.pid, 'SIGKILL');
  if (!await hasEnded(run, limitMs)) throw new Error(`pid ${run.pid} (vesper ${run.command}) cannot be ended`);
  return 'killed';
}

async function hasEnded(run, limitMs) {
  const deadline = Date.now() + limitMs;
  while (isAlive(run.pid, run.pidStartTicks)) {
    if (Date.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}
