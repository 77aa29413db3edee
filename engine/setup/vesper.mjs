#!/usr/bin/env node
// The `vesper` command: reads the command line, sets up what is missing, hands over to engine/main.ts on Node 24.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY, parseArguments, userDirectory } from './arguments.mjs';
import { bootstrap, SetupError, tell } from './bootstrap.mjs';
import { exitCodeOf, tiedToUs, watchParent } from './processes.mjs';
import { findProgram, withoutCredentials } from './servers.mjs';
import { doctor, formatDoctor, readLiveRun, stopRun } from './services.mjs';

/** How long the command may take to close its stores once our own parent has gone. */
const ORPHANED_LIMIT_MS = 60_000;

/** A terminal signals its whole foreground and npm forwards too: the same within this time is one wish, not two. */
const SAME_SIGNAL_MS = 1000;

/** Commands that need nothing installed. Each returns the exit code. */
const PLAIN_COMMANDS = {
  async doctor({ dataDir, json }) {
    const report = await doctor(dataDir);
    print(json ? JSON.stringify(report) : formatDoctor(report));
    return report.problems.length === 0 ? 0 : 1;
  },
  async status({ dataDir, json }) {
    const live = readLiveRun(dataDir);
    const run = live === null ? null : { ...live, natsUrl: withoutCredentials(live.natsUrl) };
    const where = run === null ? '' : `; page ${run.dashboardUrl ?? 'none'}; log ${run.natsUrl}`;
    const text = run === null ? `no live run in ${dataDir}`
      : `vesper ${run.command} runs as pid ${run.pid} since ${run.startedAt}${where}`;
    print(json ? JSON.stringify({ dataDir, run }) : text);
    return run === null ? 1 : 0;
  },
  async stop({ dataDir, json }) {
    const outcome = await stopRun(dataDir);
    const texts = { none: `no live run in ${dataDir}`, stopped: 'stopped', killed: 'did not end by itself; killed' };
    print(json ? JSON.stringify({ dataDir, outcome }) : texts[outcome]);
    return 0;
  },
  async version() {
    const { version } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
    print(`vesper ${version}, node ${process.versions.node}`);
    return 0;
  },
};

async function main(argv) {
  const request = parseArguments(argv);
  if (request.kind === 'help') return print(request.text), 0;
  if (request.kind === 'usage') return tell(request.message), 2;
  try {
    if (request.setup === 'none') return await PLAIN_COMMANDS[request.command](request.options);
    const { node } = await bootstrap({ repository: REPOSITORY, what: request.setup });
    return await handOver(node, argv);
  } catch (error) {
    if (!(error instanceof SetupError) && request.setup !== 'none') throw error;
    tell(error.message);
    return 2;
  }
}

/** Run the command proper as a child that gets our signals once each, our input and output, and our fate. */
function handOver(node, argv) {
  const setpriv = findProgram('setpriv');
  const prefix = setpriv === null ? [] : tiedToUs('SIGTERM', setpriv);
  const [command, ...args] = [...prefix, node, join(REPOSITORY, 'engine', 'main.ts'), ...argv];
  // A process group of its own, so that Ctrl-C reaches it through us alone, once.
  const child = spawn(command, args, { stdio: 'inherit', cwd: userDirectory(), detached: true, env: cachingModules() });
  const lastForwarded = { SIGINT: -Infinity, SIGTERM: -Infinity };
  const forward = (signal) => {
    if (performance.now() - lastForwarded[signal] < SAME_SIGNAL_MS) return;
    lastForwarded[signal] = performance.now();
    child.kill(signal);
  };
  process.on('SIGINT', () => forward('SIGINT'));
  process.on('SIGTERM', () => forward('SIGTERM'));
  process.on('SIGHUP', () => forward('SIGTERM'));
  watchParent(() => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), ORPHANED_LIMIT_MS).unref(); // The child alone keeps us waiting.
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(exitCodeOf({ code, signal })));
  });
}

/**
 * Where the command keeps its modules compiled: it names the place itself too, but by then its first ones have been
 * read, at a quarter of its start.
 */
function cachingModules() {
  const NODE_COMPILE_CACHE = join(REPOSITORY, 'node_modules', '.cache', 'vesper');
  return { NODE_COMPILE_CACHE, ...process.env };
}

function print(text) {
  process.stdout.write(`${text}\n`);
}

process.exitCode = await main(process.argv.slice(2));
