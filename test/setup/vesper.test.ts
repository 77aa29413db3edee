// The launcher around a command proper that the test writes itself; no servers.
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SERVERS_BY_URL, bareCheckout, installedCheckout } from './checkout.ts';

const ENV = { ...process.env, ...SERVERS_BY_URL };

/** A command that says its pid, then every signal it gets, and ends at the second. */
const LISTENER = `let count = 0;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => { console.log(signal); if (++count === 2) process.exit(9); });
}
console.log(process.pid);
setInterval(() => {}, 1000);
`;

async function startVesper(main: string): Promise<{ vesper: ChildProcess; commandPid: number; output: () => string }> {
  const checkout = installedCheckout(main);
  const vesper = spawn(process.execPath, [join(checkout, 'engine', 'setup', 'vesper.mjs'), 'night'],
    { env: ENV, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  vesper.stdout.on('data', (bytes: Buffer) => { text += bytes.toString(); });
  await once(vesper.stdout, 'data');
  const commandPid = Number(text.trim());
  onTestFinished(() => { vesper.kill('SIGKILL'); });
  return { vesper, commandPid, output: () => text };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => { setTimeout(resolve, 20); });
}

/** A zombie has ended too; whether it is reaped is its parent's affair. */
function isGone(pid: number): boolean {
  try {
    return /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

test('the command proper gets the arguments, the user\'s directory and our output, and its exit code is ours', () => {
  const checkout = installedCheckout(`console.log(JSON.stringify({ argv: process.argv.slice(2), cwd: process.cwd() }));
    process.exitCode = 3;`);
  const { status, stdout, stderr } = spawnSync(process.execPath,
    [join(checkout, 'engine', 'setup', 'vesper.mjs'), 'night', '--visits', '2'],
    { cwd: '/', env: { ...ENV, npm_lifecycle_event: 'start', INIT_CWD: checkout }, encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ argv: ['night', '--visits', '2'], cwd: checkout });
  expect(status).toBe(3);
});

test('a signal is passed on, and one that comes twice at once counts once', async () => {
  const { vesper, output } = await startVesper(LISTENER);
  vesper.kill('SIGINT');
  vesper.kill('SIGINT'); // As npm does after the terminal.
  await until(() => output().includes('SIGINT'));
  vesper.kill('SIGTERM');
  const [code] = await once(vesper, 'exit') as [number];
  expect(code).toBe(9);
  expect(output().match(/SIG\w+/g)).toEqual(['SIGINT', 'SIGTERM']);
});

test('the command proper is asked to end when the launcher is killed with SIGKILL', async () => {
  const { vesper, commandPid } = await startVesper('console.log(process.pid); setInterval(() => {}, 1000);');
  vesper.kill('SIGKILL');
  await until(() => isGone(commandPid));
});

test('launcher and command end when what started them is killed, even with a shell between it and them', async () => {
  const checkout = installedCheckout('console.log(process.pid, process.ppid); setInterval(() => {}, 1000);');
  const launcher = join(checkout, 'engine', 'setup', 'vesper.mjs');
  // Named as npm names itself, since that is how the one behind the shell is recognised.
  const source = `process.title = 'npm start'; const { spawn } = await import('node:child_process');
    spawn('sh', ['-c', '"$0" "$1" night; true', process.execPath, process.argv[1]], { stdio: 'inherit' });`;
  const npm = spawn(process.execPath, ['--input-type=module', '-e', source, launcher],
    { env: ENV, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(npm.stdout, 'data') as [Buffer];
  const pids = line.toString().trim().split(' ').map(Number); // The command's, then the launcher's.
  expect(pids).toHaveLength(2);
  npm.kill('SIGKILL');
  await until(() => pids.every(isGone));
});

test('servers that are missing and cannot be installed are named in one line, with exit 2', () => {
  const checkout = installedCheckout('console.log("must not run");');
  const { status, stdout, stderr } = spawnSync(process.execPath,
    [join(checkout, 'engine', 'setup', 'vesper.mjs'), 'night'], { env: { PATH: '/nonexistent' }, encoding: 'utf8' });
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^vesper: install [^\n]*redis-server[^\n]* \(Debian: apt-get install [^\n]*\n$/);
});

test('an npm that fails is one line and exit 2', () => {
  const checkout = bareCheckout();
  const npm = join(checkout, 'npm-cli.js');
  const vesper = () => spawnSync(process.execPath, [join(checkout, 'engine', 'setup', 'vesper.mjs'), 'night'],
    { env: { ...ENV, npm_execpath: npm }, encoding: 'utf8' });
  writeFileSync(npm, 'console.error("npm error code ENOTFOUND\\nnpm error the registry is away"); process.exit(1);');
  const failing = vesper();
  expect(failing.status).toBe(2);
  expect(failing.stdout).toBe('');
  expect(failing.stderr.trimEnd().split('\n'))
    .toEqual(['vesper: installing the locked npm packages', 'vesper: npm ci failed: the registry is away']);
});

test('two set-ups at once in one checkout install the packages once', async () => {
  const checkout = bareCheckout();
  writeFileSync(join(checkout, 'engine', 'main.ts'), 'console.log("ran");');
  const npm = join(checkout, 'npm-cli.cjs');
  writeFileSync(npm, `const fs = require('node:fs');
    fs.appendFileSync('installed', 'x');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    fs.mkdirSync('node_modules');
    fs.writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages: {} }));`);
  const outcomes = await Promise.all([0, 1].map(async () => {
    const vesper = spawn(process.execPath, [join(checkout, 'engine', 'setup', 'vesper.mjs'), 'night'],
      { env: { ...ENV, npm_execpath: npm }, stdio: ['ignore', 'pipe', 'ignore'] });
    const [exit, data] = await Promise.all([once(vesper, 'exit'), once(vesper.stdout, 'data')]);
    return { code: exit[0] as number, line: String(data[0]) };
  }));
  expect(outcomes).toEqual([{ code: 0, line: 'ran\n' }, { code: 0, line: 'ran\n' }]);
  expect(readFileSync(join(checkout, 'installed'), 'utf8')).toBe('x');
});
