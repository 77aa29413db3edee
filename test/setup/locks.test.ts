import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { REPOSITORY } from '../../engine/setup/arguments.mjs';
import {
  DirectoryInUse, lockDataDir, lockHolder, readLiveRun, removeRun, stopRun, writeRun,
} from '../../engine/setup/services.mjs';
import { temporaryDirectory } from './checkout.ts';

const STORES = { natsUrl: 'nats://127.0.0.1:1', postgres: { url: 'postgres://127.0.0.1:1' }, redisUrl: null };

/** Source of a process that evaluates `body` with the launcher at hand. */
const script = (body: string) => `import * as services from ${JSON.stringify(
  join(REPOSITORY, 'engine', 'setup', 'services.mjs'))};\n${body}`;

/** Start such a process and wait for its first output; it is killed when the test ends. */
async function start(body: string, ...args: string[]) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script(body), ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => { child.kill('SIGKILL'); });
  const [first] = await once(child.stdout, 'data') as [Buffer];
  return { child, line: first.toString().trim() };
}

const HOLD = 'services.lockDataDir(process.argv[1], "night"); console.log("held"); setInterval(() => {}, 1000);';
const RUN = `services.writeRun(process.argv[1],
    { command: 'night', natsUrl: '', postgres: { url: '' }, redisUrl: null });
  console.log('written'); setInterval(() => {}, 1000);`;

test('a second lock is refused in one line that names the holder', async () => {
  const dataDir = temporaryDirectory();
  const { child } = await start(HOLD, dataDir);
  expect(() => lockDataDir(dataDir, 'verify')).toThrow(DirectoryInUse);
  expect(() => lockDataDir(dataDir, 'verify'))
    .toThrow(new RegExp(`^data directory ${dataDir} is in use by pid ${child.pid} \\(vesper night, since [^\\n]*\\)$`));
  expect(lockHolder(dataDir)).toMatchObject({ pid: child.pid, command: 'night' });
});

test('the same process cannot own a data directory twice, and can again after releasing it', () => {
  const dataDir = temporaryDirectory();
  const lock = lockDataDir(dataDir, 'night');
  expect(() => lockDataDir(dataDir, 'night')).toThrow(DirectoryInUse);
  lock.release();
  lockDataDir(dataDir, 'night').release();
  expect(lockHolder(dataDir)).toBeNull();
});

test('the lock of a process that was killed is taken over', async () => {
  const dataDir = temporaryDirectory();
  const { child } = await start(HOLD, dataDir);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(lockHolder(dataDir)).toBeNull();
  lockDataDir(dataDir, 'night').release();
});

test('of many processes that find a dead owner\'s lock at once, exactly one takes it', async () => {
  const dataDir = temporaryDirectory();
  const dead = await start(HOLD, dataDir);
  dead.child.kill('SIGKILL');
  await once(dead.child, 'exit');
  // Each tries as soon as the start signal file is there, and keeps what it got until it is killed.
  const contend = `import { existsSync } from 'node:fs';
    console.log('ready');
    while (!existsSync(process.argv[1] + '/go')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    try {
      services.lockDataDir(process.argv[1], 'night');
      console.log('held');
    } catch (error) { console.log(error.name); }
    setInterval(() => {}, 1000);`;
  const contenders = await Promise.all(Array.from({ length: 6 }, () => start(contend, dataDir)));
  const answers = contenders.map(async ({ child }) => String((await once(child.stdout, 'data'))[0]).trim());
  writeFileSync(join(dataDir, 'go'), '');
  const outcomes = (await Promise.all(answers)).sort();
  expect(outcomes).toEqual([...Array<string>(5).fill('DirectoryInUse'), 'held']);
});

test('a run is live only while the very process that wrote it lives', () => {
  const dataDir = temporaryDirectory();
  const run = writeRun(dataDir, { ...STORES, command: 'night', dashboardUrl: 'http://127.0.0.1:2/' });
  expect(readLiveRun(dataDir)).toEqual(run);

  // The same pid, taken by a process that started at another time.
  const path = join(dataDir, 'run.json');
  const record = JSON.parse(readFileSync(path, 'utf8')) as typeof run;
  writeFileSync(path, JSON.stringify({ ...record, pidStartTicks: record.pidStartTicks - 1 }));
  expect(readLiveRun(dataDir)).toBeNull();
  removeRun(dataDir);
  expect(readLiveRun(dataDir)).toBeNull();
});

test('a run of another live process is not removed', async () => {
  const dataDir = temporaryDirectory();
  const { child } = await start(RUN, dataDir);
  removeRun(dataDir);
  expect(readLiveRun(dataDir)?.pid).toBe(child.pid);
});

test('stopRun ends the live run, by force when it does not listen, and a stranger never', async () => {
  const dataDir = temporaryDirectory();
  expect(await stopRun(dataDir)).toBe('none');

  const willing = await start(RUN, dataDir);
  expect(await stopRun(dataDir)).toBe('stopped');
  expect(willing.child.exitCode ?? willing.child.signalCode ?? 'SIGTERM').toBe('SIGTERM');

  await start(`process.on('SIGTERM', () => {}); ${RUN}`, dataDir);
  expect(await stopRun(dataDir, { limitMs: 300 })).toBe('killed');

  const stranger = await start('console.log("here"); setInterval(() => {}, 1000);');
  const record = { pid: stranger.child.pid, pidStartTicks: 1, bootId: 'other' };
  writeFileSync(join(dataDir, 'run.json'), JSON.stringify(record));
  expect(await stopRun(dataDir)).toBe('none');
  expect(stranger.child.exitCode).toBeNull();
});

test('a data directory that cannot be made is an error of one line', () => {
  const file = join(temporaryDirectory(), 'file');
  writeFileSync(file, '');
  expect(() => lockDataDir(join(file, 'data'), 'night')).toThrow(/^[^\n]*lock cannot be made: ENOTDIR[^\n]*$/);
});
