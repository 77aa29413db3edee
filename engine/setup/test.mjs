#!/usr/bin/env node
// What `npm test` runs: set-up, type check, tests; closes with the line `N passed, N failed`.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { REPOSITORY } from './arguments.mjs';
import { SetupError, bootstrap, tell } from './bootstrap.mjs';
import { exitCodeOf, watchParent } from './processes.mjs';

const HELP = [
  'Checks the types and runs the tests; sets up what is missing first.',
  '',
  'Usage: npm test -- [FOLDER|FILE …] [VITEST OPTIONS]',
  '',
  'Without a folder everything runs. The last line is `N passed, N failed`; a failed type check counts as one.',
  'Exit 0 when nothing failed, 1 when something did, 2 when the set-up cannot be completed.',
  '',
  'Example: npm test -- test/setup',
  'Example: npm test -- test/apdb -t "comes back the same"',
].join('\n');

async function main(argv) {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  let node;
  try {
    ({ node } = await bootstrap({ repository: REPOSITORY, what: 'servers' }));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    tell(error.message);
    return 2;
  }
  const typesFailed = await checkTypes(node) === 0 ? 0 : 1;
  const { passed, failed } = await runTests(node, argv);
  process.stdout.write(`${passed} passed, ${failed + typesFailed} failed\n`);
  return failed + typesFailed === 0 ? 0 : 1;
}

async function checkTypes(node) {
  process.stdout.write('checking types\n');
  const code = await run(node, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.', '--noEmit']);
  process.stdout.write(code === 0 ? 'types are sound\n' : 'the type check failed\n');
  return code;
}

/**
 * Files whose process died are run once more, and named: V8 was seen to trap in a thread that was being ended, once in
 * some hundred runs of the pools' tests. A test that makes it die dies again, and counts as failed.
 */
async function runTests(node, argv) {
  const first = await runVitest(node, argv);
  if (first.unfinished.length === 0) return first;
  const names = first.unfinished.map((path) => relative(REPOSITORY, path));
  process.stdout.write(`the process of ${names.join(', ')} died; once more\n`);
  const again = await runVitest(node, names);
  return { passed: first.passed + again.passed, failed: first.failed + again.failed + again.unfinished.length };
}

/** Vitest prints as it likes; the counts come from its JSON report, which colours and versions do not change. */
async function runVitest(node, argv) {
  const directory = mkdtempSync(join(tmpdir(), 'vesper-test-'));
  const report = join(directory, 'report.json');
  try {
    const code = await run(node, [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', '.',
      '--config', join('test', 'vitest.config.ts'), '--reporter=default', '--reporter=json',
      `--outputFile.json=${report}`, ...argv]);
    return countsOf(report, code);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A file that could not be loaded has no tests and counts as one failure; so does a run that failed otherwise. */
function countsOf(path, code) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, unfinished: [] }; // Vitest ended before it could report; it has said why.
  }
  const unloaded = report.testResults.filter(({ status, assertionResults }) => status === 'failed'
    && assertionResults.every((test) => test.status !== 'failed')).length;
  const failed = report.numFailedTests + unloaded;
  // Skipped tests are "skipped"; "pending" ones were never finished.
  const unfinished = report.testResults.filter(({ assertionResults }) => (
    assertionResults.some(({ status }) => status === 'pending')));
  const passed = report.testResults.filter((file) => !unfinished.includes(file))
    .reduce((sum, { assertionResults }) => sum + assertionResults.filter(({ status }) => status === 'passed').length, 0);
  const isUnexplained = failed === 0 && unfinished.length === 0 && code !== 0;
  return { passed, failed: isUnexplained ? 1 : failed, unfinished: unfinished.map(({ name }) => name) };
}

/** Run to the end with our output, and end it when we are ended. Resolves to its exit code. */
function run(node, args) {
  const path = [join(REPOSITORY, 'node_modules', '.bin'), dirname(node), process.env.PATH ?? ''].join(delimiter);
  const child = spawn(node, args, { cwd: REPOSITORY, stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: path } });
  const stop = () => child.kill('SIGTERM');
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, stop);
  const unwatch = watchParent(stop);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const name of signals) process.removeListener(name, stop);
      unwatch();
      resolve(exitCodeOf({ code, signal }));
    });
  });
}

process.exitCode = await main(process.argv.slice(2));
