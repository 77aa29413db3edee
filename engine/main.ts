/** The `vesper` command on Node 24: reads the command line and hands over to the command. Only wiring. */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArguments } from './setup/arguments.mjs';
import { watchParent } from './setup/processes.mjs';
import { assertNever } from '../schemas/events.ts';

// Types are stripped and modules compiled once, not at each start: 0.25 s of a command's CPU. Kept beside the packages,
// which belong to whoever runs us, not in a temporary folder where others write; where we may not write, nothing is.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/vesper', import.meta.url)));

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
    case 'night': return (await import('./cli/night.ts')).runNight(request.options, signal);
    case 'series': return (await import('./cli/series.ts'))
      .runSeries(request.positionals.directory, request.options, signal);
    case 'difference':
      return (await import('./cli/difference.ts'))
        .runDifference(request.positionals.science, request.positionals.template, request.options);
    case 'verify': return (await import('./cli/verify.ts')).runVerify(request.options);
    case 'replay': return (await import('./cli/replay.ts'))
      .runReplay(request.positionals.night, request.options, signal);
    case 'alerts tail': return (await import('./cli/alerts.ts')).runAlertsTail(request.options, signal);
    case 'alerts get': return (await import('./cli/alerts.ts'))
      .runAlertsGet(request.positionals.diaSourceId, request.options);
    case 'alerts export': return (await import('./cli/alerts.ts')).runAlertsExport(request.options);
    case 'alerts replay': return (await import('./cli/alertsReplay.ts')).runAlertsReplay(request.options, signal);
    case 'alerts release': return (await import('./cli/alertsRelease.ts')).runAlertsRelease(request.options);
    case 'alerts quality': return (await import('./cli/alertsQuality.ts')).runAlertsQuality(request.options);
    case 'alerts voevent': return (await import('./cli/alertsReplay.ts'))
      .runAlertsVoEvent(request.positionals.diaSourceId, request.options);
    case 'filter list': return (await import('./cli/filter.ts')).runFilterList(request.options);
    case 'filter explain': return (await import('./cli/filter.ts'))
      .runFilterExplain(request.positionals, request.options);
    case 'filter test': return (await import('./cli/filter.ts'))
      .runFilterTest(request.positionals.filter, request.options);
    case 'filter status': return (await import('./cli/filterRecords.ts')).runFilterStatus(request.options);
    case 'filter create': return (await import('./cli/filterRecords.ts'))
      .runFilterDefine(request.positionals.name, true, request.options);
    case 'filter edit': return (await import('./cli/filterRecords.ts'))
      .runFilterDefine(request.positionals.name, false, request.options);
    case 'filter activate': return (await import('./cli/filterRecords.ts'))
      .runFilterActivate(request.positionals.name, request.options);
    case 'filter deactivate': return (await import('./cli/filterRecords.ts'))
      .runFilterDeactivate(request.positionals.name, request.options);
    case 'filter deliver': return (await import('./cli/filterDeliver.ts'))
      .runFilterDeliver(request.positionals.filter, request.options, signal);
    case 'schema list': return (await import('./cli/schema.ts')).runSchemaList(request.options);
    case 'schema check': return (await import('./cli/schema.ts'))
      .runSchemaCheck(request.positionals.file, request.options);
    case 'schema add': return (await import('./cli/schema.ts'))
      .runSchemaAdd(request.positionals.version, request.options);
    case 'access grant': return (await import('./cli/access.ts'))
      .runAccessGrant(request.positionals.user, request.options);
    case 'access revoke': return (await import('./cli/access.ts'))
      .runAccessRevoke(request.positionals.user, request.options);
    case 'access list': return (await import('./cli/access.ts')).runAccessList(request.options);
    case 'isr': return (await import('./cli/isr.ts')).runIsr(request.positionals.raw, request.options);
    case 'calibrations': return (await import('./cli/calibrations.ts'))
      .runCalibrations(request.positionals.directory, request.options);
    case 'calibrate': return (await import('./cli/calibrate.ts'))
      .runCalibrate(request.positionals.image, request.options);
    case 'detect': return (await import('./cli/detect.ts')).runDetect(request.positionals.image, request.options);
    case 'camera': return (await import('./cli/camera.ts')).runCamera(request.positionals.camera, request.options);
    case 'simulate night': return (await import('./cli/simulate.ts')).runSimulateNight(request.options, signal);
    case 'simulate exposure': return (await import('./cli/simulate.ts')).runSimulateExposure(request.options, signal);
    case 'simulate calibrations': return (await import('./cli/simulate.ts'))
      .runSimulateCalibrations(request.options, signal);
    case 'truth': return (await import('./cli/truth.ts')).runTruth(request.positionals.directory, request.options);
    case 'efficiency': return (await import('./cli/efficiency.ts')).runEfficiency(request.options, signal);
    case 'train reliability': return (await import('./cli/train.ts')).runTrainReliability(request.options);
    case 'clean': return (await import('./cli/clean.ts')).runClean(request.options);
    case 'bodies update': return (await import('./cli/bodies.ts')).runBodiesUpdate(request.options);
    case 'bodies list': return (await import('./cli/bodies.ts')).runBodiesList(request.options);
    case 'orbits import': return (await import('./cli/orbits.ts'))
      .runOrbitsImport(request.positionals.file, request.options);
    case 'ephemeris': return (await import('./cli/ephemeris.ts'))
      .runEphemeris(request.positionals.file, request.options);
    case 'bench': return (await import('./cli/bench.ts'))
      .runBench(request.positionals.bench, request.options, signal);
    case 'apdb object': return (await import('./cli/apdb.ts'))
      .runApdbObject(request.positionals.diaObjectId, request.options);
    case 'apdb cone': return (await import('./cli/apdb.ts')).runApdbCone(request.positionals, request.options);
    case 'apdb sources': return (await import('./cli/apdb.ts')).runApdbSources(request.options);
    case 'apdb duplicates': return (await import('./cli/apdb.ts')).runApdbDuplicates(request.options);
    case 'apdb maintain': return (await import('./cli/apdb.ts')).runApdbMaintain(request.options);
    case 'apdb reassign': return (await import('./cli/apdbCorrect.ts'))
      .runApdbReassign(request.positionals.diaSourceIds, request.options);
    case 'apdb withdraw': return (await import('./cli/apdbCorrect.ts'))
      .runApdbWithdraw(request.positionals.diaSourceIds, request.options);
    case 'apdb close': return (await import('./cli/apdbCorrect.ts'))
      .runApdbClose(request.positionals.diaObjectIds, request.options);
    case 'apdb merge': return (await import('./cli/apdbCorrect.ts'))
      .runApdbMerge(request.positionals.diaObjectId, request.positionals.diaObjectIds, request.options);
    case 'apdb precover': return (await import('./cli/apdbPrecover.ts')).runApdbPrecover(request.options, signal);
    case 'apdb stats': return (await import('./cli/apdb.ts')).runApdbStats(request.options);
    case 'apdb rebuild': return (await import('./cli/apdb.ts')).runApdbRebuild(request.options);
    case 'apdb changes': return (await import('./cli/apdbChanges.ts')).runApdbChanges(request.options);
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
