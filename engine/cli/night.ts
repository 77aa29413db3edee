/**
 * `npm start`: a night through the whole system, from the first announcement to decoded alerts in a consumer's hand.
 * It is performed by the simulator in this process, told from a recording, or followed as somebody else publishes it.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { availableParallelism } from 'node:os';
import { startDashboard } from '../../brokers/dashboard/server.ts';
import { readPolicy, recordRules, withholdingOf } from '../../brokers/policy.ts';
import { openPostgresApdb } from '../../apdb/postgres/postgresApdb.ts';
import { openRedisTiles } from '../../apdb/redis/redisTiles.ts';
import { loadCamera } from '../../schemas/camera.ts';
import type { PipelineEvent } from '../../schemas/events.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { createObservatory } from '../../simulator/observatory.ts';
import { progressOf } from '../../simulator/nightProgress.ts';
import { streams } from '../../schemas/subjects.ts';
import { ProductCatalog } from '../archive/productCatalog.ts';
import { engineConfig } from '../config.ts';
import { Component, sendCommand } from '../ocs/component.ts';
import type { NightOptions } from '../setup/arguments.mjs';
import {
  lockDataDir, removeRun, startStores, writeRun, type StoreAddresses, type Stores,
} from '../setup/services.mjs';
import { EngineRun } from '../stream/engineRun.ts';
import { closeLog, openLog, type Log } from '../stream/log.ts';
import { publishObservatory, readObservatory, type StoredObservatoryEvent } from '../stream/observatory.ts';
import { lastSequence, openInstrumentStreams } from '../stream/streams.ts';
import { createFileChecker } from '../workers/fileChecker.ts';
import { createDetectorPool } from '../workers/pool.ts';
import { startBrokerServices } from './brokerServices.ts';
import { countNight } from './countNight.ts';
import { runDigests } from './digests.ts';
import { formatAudit } from './verify.ts';
import { formatSummary, summarizeNight } from './nightSummary.ts';
import { planFollowedNight, planPerformedNight, planRecordedNight, SIMULATED, type NightPlan } from './nightPlan.ts';
import { bodiesOfNight } from './orbitCatalogue.ts';
import { note, print, printJson } from './output.ts';
import { detectorProcess, warmProducts } from './processDetector.ts';
import { recordedPixels } from './recordedPixels.ts';
import { adoptProducts, readRecordedNight, tellNight } from './recordedNight.ts';
import { awaitTurn, type Turn } from './standby.ts';
import { Teardown, within } from './teardown.ts';

export async function runNight(options: NightOptions, signal: AbortSignal): Promise<number> {
  const teardown = new Teardown();
  // A lost server or a broken invariant ends the night where it is; starting again resumes it.
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  try {
    return await Promise.race([observe(options, signal, teardown, failed.reject), failed.promise]);
  } finally {
    await teardown.run();
  }
}

async function observe(
  options: NightOptions, signal: AbortSignal, teardown: Teardown, fail: (error: Error) => void,
): Promise<number> {
  const { dataDir } = options;
  if (options.follow && options.from !== null) throw new Error('a night is taken --from a folder or followed, not both');
  const recorded = options.from === null ? null : readRecordedNight(options.from);
  // Of a stand-by the workers are up, their code compiled, before they are needed.
  const warmPool = options.standby ? createDetectorPool(Math.max(1, availableParallelism())) : null;
  if (warmPool) teardown.add(() => warmPool.close());
  const turn = options.standby ? await awaitTurn(dataDir, options.camera, signal)
    : { lock: lockDataDir(dataDir, 'night'), atMs: Date.now(), followed: null };
  if (turn === null) return 0;
  const { lock, followed } = turn;
  teardown.add(() => lock.release());
  const stores = await startStores({ dataDir, need: { redis: true }, log: (line) => note(line) });
  teardown.add(() => stores.stop());
  stores.onExit((death) => {
    if (death.name === 'redis-server') {
      // A cache: the tables answer in its place.
      note(`${death.reason}; the night goes on without it`);
    } else if (death.name === 'postgres') {
      // A projection: alerts leave without it, and it catches up from the log.
      note(`${death.reason}; it is started again, the night goes on`);
      void restartPostgres(stores, signal);
    } else {
      fail(new Error(death.reason));
    }
  });
  const log = await openLog(stores.natsUrl, 'vesper night', (reason) => fail(new Error(reason)));
  teardown.add(() => closeLog(log));
  const plan = recorded ? await planRecordedNight(log, dataDir, recorded)
    : options.follow ? await awaitNight(log, stores, options, signal, teardown)
      : await planPerformedNight(log, options);
  if (plan === null) {
    note('no night was opened');
    return 1;
  }
  if (options.standby && !options.follow && !plan.isResumed) {
    note('stand-by: no night is left open, there is nothing to take over');
    return 0;
  }
  const { instrument, arguments: night, dayObs } = plan;
  await openInstrumentStreams(log, instrument);
  const camera = loadCamera(night.camera);
  const productsFrom = options.products ?? options.from;
  if (productsFrom !== null) {
    note(`${adoptProducts(dataDir, productsFrom, instrument)} products of ${productsFrom} are in force`);
  }
  const how = plan.source !== 'performed' ? plan.source
    : `of ${camera.detectors.length} detectors, one every ${night.cadenceSeconds} s, seed ${night.seed}`;
  note(`night ${dayObs} of ${instrument}${plan.isResumed ? ' goes on' : ''}: ${night.visits} visits ${how}`);

  const { redisUrl } = stores;
  const apdb = await openPostgresApdb(stores.postgres, instrument, (epoch) => (
    redisUrl === null ? null : openRedisTiles(redisUrl, epoch)));
  teardown.add(() => apdb.close());
  const pool = warmPool ?? createDetectorPool(Math.max(1, availableParallelism()));
  if (!warmPool) teardown.add(() => pool.close());
  const fakes = options.fakes > 0 ? createDetectorPool(1, true) : null;
  if (fakes) teardown.add(() => fakes.close());
  const precovery = options.noPrecovery ? null : createDetectorPool(1, true);
  if (precovery) teardown.add(() => precovery.close());
  const past = await readObservatory(log, instrument, dayObs, note);
  const catalog = new ProductCatalog(dataDir, instrument), checker = createFileChecker();
  teardown.add(() => checker.close());
  const progress = visitProgress(past);
  const policy = readPolicy(dataDir);
  recordRules(dataDir, policy);
  const run = await EngineRun.open({
    log, apdb, instrument, camera, dayObs, dataDir, now: Date.now, note, fail, onProgress: progress,
    followed: followed?.dayObs === dayObs && followed.commits.instrument === instrument ? followed : null,
    rawWaitMs: rawWaitOf(plan), withholding: withholdingOf(policy),
    testMessage: plan.isSimulated ? SIMULATED : null,
    process: detectorProcess(camera, dataDir, catalog, pool, runDigests(), checker),
    ...(fakes && { fakes: {
      process: detectorProcess(camera, dataDir, catalog, fakes, runDigests(), checker), idle: () => pool.idle(),
      share: options.fakes, seed: night.seed,
    } }),
    ...(precovery && { precovery: {
      days: engineConfig.precoveryDays,
      idle: async () => {
        await fakes?.idle();
        await pool.idle();
      },
      pixels: (night, facts) => recordedPixels(dataDir, instrument, night, facts, precovery),
      facts: async (night) => (await readObservatory(log, instrument, night, note)).map(({ event }) => event),
    } }),
    warm: (visit, boresight) => warmProducts(camera, catalog, checker, visit, boresight, dayObs),
    knownBodies: () => bodiesOfNight(catalog, camera, dayObs, note),
  });
  teardown.add(() => run.stop());
  const brokers = startBrokerServices({
    connection: log.connection, dataDir, instrument, dayObs, fail, onArchived: (ids) => run.onArchived(ids),
  });
  teardown.add(() => brokers.stop());
  const dashboard = await startDashboard({
    connection: log.connection, instrument, dayObs, dataDir, port: options.dashboardPort,
    host: options.dashboardHost, tls: tlsOf(options),
  });
  teardown.add(() => dashboard.close());
  writeRun(dataDir, { ...stores, command: 'night', dashboardUrl: dashboard.url });
  teardown.add(() => removeRun(dataDir));
  note(`dashboard: ${dashboard.url}`);

  await enable(log, instrument, run, past, teardown);
  if (options.standby) note(tookOver(turn));
  if (plan.source === 'performed') await performNight(log, options, plan, past, signal, teardown);
  if (recorded) {
    const told = new Set(past.map(({ id }) => id));
    note(`told ${await tellNight(log, recorded, { pace: options.pace, told, signal })} events of ${options.from}`);
  }
  const isStopped = await Promise.race([run.settled().then(() => false), aborted(signal).then(() => true)]);
  if (isStopped) return stopped(dayObs);
  const owed = await Promise.race([run.finishPrecovery(1000 * options.precoveryWait), aborted(signal).then(() => 0)]);
  if (signal.aborted) return stopped(dayObs);
  if (owed > 0) note(`precovery: ${owed} new objects are left to the next night, or to "npx vesper apdb precover"`);
  // The seal comes last: a night that is killed before is taken up again, one that is sealed is over.
  await within(engineConfig.drainLimitMs, 'archiving and delivering the alerts', brokers.drain());
  await within(engineConfig.drainLimitMs, 'sealing the night and its projection', run.seal());
  await disable(log, instrument);
  const audit = await countNight({ log, apdb, dataDir, instrument, dayObs });
  dashboard.setCounts({ counts: audit.counts, closes: audit.closes, violations: audit.violations });
  const truthDir = productsFrom ?? dataDir; // A recording keeps its truth beside its products.
  const summary = await summarizeNight({ log, dataDir, truthDir, instrument, dayObs }, audit);
  if (options.json) printJson(summary); else print(formatSummary(summary));
  if (!audit.closes) note(formatAudit(audit));
  if (options.keepRunning) {
    note(`the stores and ${dashboard.url} stay up until Ctrl-C or "npx vesper stop"`);
    await aborted(signal);
  }
  return audit.closes ? 0 : 1;
}

function stopped(dayObs: DayObs): number {
  note(`night ${dayObs} was stopped before its end; start again to resume it`);
  return 1;
}

/** What a stand-by had ready, and how long it took to be at work. */
function tookOver({ atMs, followed }: Turn): string {
  const held = followed === null ? 'nothing of the night read before'
    : `${followed.entries.length} entries and ${followed.state.objectCount} objects in memory`;
  return `stand-by: at work ${((Date.now() - atMs) / 1000).toFixed(2)} s after its turn came, ${held}`;
}

/** Waits for a night that somebody else opens; commands that publish one find the stores by the record of this run. */
async function awaitNight(
  log: Log, stores: StoreAddresses, options: NightOptions, signal: AbortSignal, teardown: Teardown,
): Promise<NightPlan | null> {
  const { dataDir, camera } = options;
  loadCamera(camera); // Refuses an unknown one before anything is waited for.
  await openInstrumentStreams(log, camera);
  writeRun(dataDir, { ...stores, command: 'night' });
  teardown.add(() => removeRun(dataDir));
  return planFollowedNight(log, dataDir, camera, signal);
}

/** Performs the night in this process: frames are rendered while the sky is exposed. */
async function performNight(
  log: Log, { dataDir }: NightOptions, plan: NightPlan, past: readonly StoredObservatoryEvent[], signal: AbortSignal,
  teardown: Teardown,
): Promise<void> {
  const { instrument, dayObs, arguments: { camera, seed, visits, cadenceSeconds } } = plan;
  const observatory = createObservatory({
    dataDir, instrument, camera: loadCamera(camera), seed, dayObs, visits, cadenceSeconds, now: Date.now, signal,
    publish: (event, id) => publishObservatory(log, event, id, Date.now),
    sleepUntil: (unixMs) => sleep(Math.max(0, unixMs - Date.now()), undefined, { signal }).catch(() => undefined),
    alreadyDone: progressOf(past.map(({ event }) => event)), report: note,
  });
  teardown.add(() => observatory.close());
  await observatory.run();
}

/** Brings the engine up by command, as a control system does: it follows the night from its opening on. */
async function enable(
  log: Log, instrument: string, run: EngineRun, past: readonly StoredObservatoryEvent[], teardown: Teardown,
): Promise<void> {
  const first = past.find(({ event }) => event.type === 'NightOpened')?.sequence
    ?? (await lastSequence(log, streams.observatory(instrument)) ?? 0) + 1;
  const component = new Component(log.connection, instrument, {
    start: async () => undefined, enable: () => run.follow(first), disable: () => run.unfollow(),
    standby: async () => undefined, exitControl: async () => undefined,
  });
  teardown.add(() => component.close());
  await sendCommand(log.connection, instrument, 'start');
  await sendCommand(log.connection, instrument, 'enable');
}

async function disable(log: Log, instrument: string): Promise<void> {
  for (const command of ['disable', 'standby', 'exitControl'] as const) {
    await sendCommand(log.connection, instrument, command);
  }
}

/** A resumed night exposes again what was not read: its raws come as late as a visit takes. */
function rawWaitOf({ source, isResumed, arguments: { cadenceSeconds } }: NightPlan): number {
  return engineConfig.rawWaitMs + (source === 'performed' && isResumed ? 3000 * cadenceSeconds : 0);
}

/** @throws Error of one line when only one of the two is given, or cannot be read. */
function tlsOf({ tlsCert, tlsKey }: NightOptions): { cert: Buffer; key: Buffer } | null {
  if (tlsCert === null && tlsKey === null) return null;
  if (tlsCert === null || tlsKey === null) throw new Error('--tls-cert and --tls-key go together');
  return { cert: readFileSync(tlsCert), key: readFileSync(tlsKey) };
}

/** One line a visit on stderr when it is complete. */
function visitProgress(past: readonly StoredObservatoryEvent[]): (event: PipelineEvent) => void {
  const known = past.filter(({ event }) => event.type === 'ExposureEnded').length;
  let completed = 0;
  return (event) => {
    if (event.type !== 'VisitCompleted') return;
    const latency = event.latencyMsMax === null ? ''
      : `, last one ${(event.latencyMsMax / 1000).toFixed(2)} s after readout`;
    const deferred = event.deferred > 0 ? `, ${event.deferred} deferred` : '';
    const isEarlier = ++completed <= known && event.latencyMsMax === null;
    note(`visit ${event.visit}: ${event.committed}/${event.detectors} detectors${deferred}, `
      + `${event.alerts} alerts${isEarlier ? ' (earlier run)' : latency}`);
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Tries until it is up: what needs it by then waits, or gives detectors to the offline queue, or ends the night. */
async function restartPostgres(stores: Stores, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      return await stores.restart('postgres');
    } catch (error) {
      note(`${(error as Error).message}; it is tried again`); // The launcher throws Errors.
      await sleep(engineConfig.storeRestartMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
