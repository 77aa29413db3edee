/** The `vesper` command on Node 24: reads the command line and hands over to the command. Only wiring. */
import { parseArguments } from './setup/arguments.mjs';
import { watchParent } from './setup/services.mjs';
import { runAccessGrant, runAccessList, runAccessRevoke } from './cli/access.ts';
import { runAlertsExport, runAlertsGet, runAlertsTail } from './cli/alerts.ts';
import { runBench } from './cli/bench.ts';
import { runCalibrate } from './cli/calibrate.ts';
import { runCamera } from './cli/camera.ts';
import { runClean } from './cli/clean.ts';
import { runFilterExplain, runFilterList, runFilterTest } from './cli/filter.ts';
import {
  runFilterActivate, runFilterDeactivate, runFilterDefine, runFilterStatus,
} from './cli/filterRecords.ts';
import { runDifference } from './cli/difference.ts';
import { runDetect } from './cli/detect.ts';
import { runIsr } from './cli/isr.ts';
import { runNight } from './cli/night.ts';
import { runReplay } from './cli/replay.ts';
import { runSeries } from './cli/series.ts';
import { runSimulateCalibrations, runSimulateExposure, runSimulateNight } from './cli/simulate.ts';
import { runTruth } from './cli/truth.ts';
import { runVerify } from './cli/verify.ts';
import { assertNever } from '../schemas/events.ts';

/** Runs one command; resolves to its exit code: 0 done and sound, 1 ran but found a fault, 2 bad usage or input. */
async function main(): Promise<number> {
  const request = parseArguments(process.argv.slice(2));
  if (request.kind === 'help') { process.stdout.write(`${request.text}\n`); return 0; }
  if (request.kind === 'usage') { process.stderr.write(`vesper: ${request.message}\n`); return 2; }
  const stop = new AbortController();
  const requestStop = () => stop.abort();
  process.on('SIGINT', requestStop);
  process.on('SIGTERM', requestStop);
  watchParent(requestStop);
  const { signal } = stop;
  switch (request.command) {
    case 'night': return runNight(request.options, signal);
    case 'series': return runSeries(request.positionals.directory, request.options, signal);
    case 'difference':
      return runDifference(request.positionals.science, request.positionals.template, request.options);
    case 'verify': return runVerify(request.options);
    case 'replay': return runReplay(request.positionals.night, request.options, signal);
    case 'alerts tail': return runAlertsTail(request.options, signal);
    case 'alerts get': return runAlertsGet(request.positionals.diaSourceId, request.options);
    case 'alerts export': return runAlertsExport(request.options);
    case 'filter list': return runFilterList(request.options);
    case 'filter explain': return runFilterExplain(request.positionals, request.options);
    case 'filter test': return runFilterTest(request.positionals.filter, request.options);
    case 'filter status': return runFilterStatus(request.options);
    case 'filter create': return runFilterDefine(request.positionals.name, true, request.options);
    case 'filter edit': return runFilterDefine(request.positionals.name, false, request.options);
    case 'filter activate': return runFilterActivate(request.positionals.name, request.options);
    case 'filter deactivate': return runFilterDeactivate(request.positionals.name, request.options);
    case 'access grant': return runAccessGrant(request.positionals.user, request.options);
    case 'access revoke': return runAccessRevoke(request.positionals.user, request.options);
    case 'access list': return runAccessList(request.options);
    case 'isr': return runIsr(request.positionals.raw, request.options);
    case 'calibrate': return runCalibrate(request.positionals.image, request.options);
    case 'detect': return runDetect(request.positionals.image, request.options);
    case 'camera': return runCamera(request.positionals.camera, request.options);
    case 'simulate night': return runSimulateNight(request.options, signal);
    case 'simulate exposure': return runSimulateExposure(request.options, signal);
    case 'simulate calibrations': return runSimulateCalibrations(request.options, signal);
    case 'truth': return runTruth(request.positionals.directory, request.options);
    case 'clean': return runClean(request.options);
    case 'bench': return runBench(request.positionals.bench, request.options, signal);
    case 'doctor': case 'status': case 'stop': case 'version':
      throw new Error(`${request.command} is answered by the launcher and needs no stores`);
    default: return assertNever(request);
  }
}

// A reader that has gone (`| head`) wants no more.
process.stdout.on('error', () => process.exit());
try {
  process.exitCode = await main();
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(`vesper: ${reason.split('\n')[0]}\n`);
  if (process.env['VESPER_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = 2;
}
// A reader that is slower than we are must get all of it.
await new Promise<void>((resolve) => { process.stdout.write('', () => resolve()); });
// Pools and connections that a failed command left open must not keep a finished process alive.
process.exit();
