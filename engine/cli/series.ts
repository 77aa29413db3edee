/** `vesper series DIR`: real frames of one field through the engine of a simulated night, each frame a visit. */
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { archivePaths } from '../../brokers/archive/layout.ts';
import { openPostgresApdb } from '../../apdb/postgres/postgresApdb.ts';
import type { Apdb } from '../../apdb/apdb.ts';
import type { Camera } from '../../schemas/camera.ts';
import type { PipelineEvent } from '../../schemas/events.ts';
import { eventsOfFrame, nightEvent, type IdentifiedEvent } from '../batch/series/names.ts';
import { readManifest, seriesPaths, type SeriesManifest } from '../batch/series/manifest.ts';
import type { SeriesOptions } from '../setup/arguments.mjs';
import { lockDataDir, withStores, type StoreAddresses } from '../setup/services.mjs';
import { EngineRun, type ProcessDetector } from '../stream/engineRun.ts';
import { closeLog, openLog, type Log } from '../stream/log.ts';
import { publishObservatory } from '../stream/observatory.ts';
import { openInstrumentStreams } from '../stream/streams.ts';
import { engineConfig } from '../config.ts';
import type { AssociateConfig } from '../stages/associate/config.ts';
import { startBrokerServices } from './brokerServices.ts';
import { countNight } from './countNight.ts';
import { runDigests } from './digests.ts';
import { note, print, printJson } from './output.ts';
import { findInputs, planSeries, type SeriesInputs, type SeriesPlan } from './seriesPlan.ts';
import { createSeriesPool, type SeriesPool } from './seriesPool.ts';
import { Differences, seriesProcess } from './seriesProcess.ts';
import { formatSeries, summarizeSeries } from './seriesSummary.ts';
import { Teardown, within } from './teardown.ts';
import { formatAudit } from './verify.ts';

/** Differences made ahead of the visit that is being committed, for each thread. */
const LOOKAHEAD_PER_THREAD = 2;

export async function runSeries(directory: string, options: SeriesOptions, signal: AbortSignal): Promise<number> {
  const teardown = new Teardown();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const stopped = () => failed.reject(new Error('the series was stopped before its end; repeating it begins afresh'));
  signal.addEventListener('abort', stopped, { once: true });
  try {
    if (signal.aborted) stopped();
    const inputs = findInputs(directory, options.reference);
    return await withStores({ dataDir: options.dataDir, command: 'series', log: note }, (stores) => {
      const observed = observe(inputs, options, stores, teardown, failed.reject);
      return Promise.race([observed, failed.promise]).finally(() => teardown.run());
    });
  } finally {
    signal.removeEventListener('abort', stopped);
  }
}

async function observe(
  inputs: SeriesInputs, options: SeriesOptions, stores: StoreAddresses, teardown: Teardown,
  fail: (error: Error) => void,
): Promise<number> {
  const { dataDir } = options;
  const pool = createSeriesPool(Math.max(1, availableParallelism()));
  teardown.add(() => pool.close());
  const plan = await planSeries(inputs, options, pool);
  const { manifest } = plan, { instrument, dayObs } = manifest;
  // A live run's stores are shared: the same series twice at once would begin afresh under itself.
  const own = lockDataDir(join(dataDir, 'locks', instrument), 'series');
  teardown.add(() => own.release());
  const folder = join(seriesPaths.folder(dataDir, instrument), 'differences');
  const differences = new Differences(manifest, seriesPaths.template(dataDir, instrument), folder, pool);

  const log = await openLog(stores.natsUrl, 'vesper series', (reason) => fail(new Error(reason)));
  teardown.add(() => closeLog(log));
  const apdb = await openPostgresApdb(stores.postgres, instrument);
  teardown.add(() => apdb.close());
  await beginAfresh(log, apdb, dataDir, manifest);
  await openInstrumentStreams(log, instrument);

  const visits = new VisitWaits();
  const run = await EngineRun.open({
    log, apdb, instrument, camera: manifest.camera, dayObs, dataDir, associate: manifest.associate, now: Date.now,
    note, fail,
    onProgress: (event) => visits.onProgress(event),
    process: seriesProcess(
      manifest, plan.manifestDigest, differences, pool, runDigests(), (frame) => differences.lighten(frame),
    ),
    warm: async () => 1,
  });
  teardown.add(() => run.stop());
  const brokers = startBrokerServices({
    connection: log.connection, dataDir, instrument, dayObs, fail, onArchived: (ids) => run.onArchived(ids),
  });
  teardown.add(() => brokers.stop());
  await run.follow(1);
  const failures = await observeFrames(plan, differences, visits, log, pool);
  await run.settled();
  // The seal comes last: a night that is killed before is taken up again, one that is sealed is over.
  await within(engineConfig.drainLimitMs, 'archiving and delivering the alerts', brokers.drain());
  await within(engineConfig.drainLimitMs, 'sealing the night and its projection', run.seal());
  const audit = await countNight({ log, apdb, dataDir, instrument, dayObs });
  const summary = await summarizeSeries(plan, failures, differences, apdb, pool, audit.counts.published);
  for (const frame of manifest.frames) await differences.drop(frame);
  if (options.json) printJson(summary); else print(formatSeries(summary, manifest));
  if (!audit.closes) note(formatAudit(audit));
  return audit.closes ? 0 : 1;
}

/** Removes all that an earlier run of this series has left: streams, projection, archive and spool. */
async function beginAfresh(
  log: Log, apdb: Apdb, dataDir: string, { instrument, dayObs }: SeriesManifest,
): Promise<void> {
  const own = new RegExp(`^(OBSERVATORY|PIPELINE|COMMITS|ALERTS|FILTERED)_${instrument}(_\\d{8})?$`);
  const names: string[] = [];
  for await (const name of log.jsm.streams.names()) if (own.test(name)) names.push(name);
  for (const name of names) await log.jsm.streams.delete(name);
  if (names.length > 0) note(`${instrument} was observed before; it begins afresh`);
  await apdb.reset();
  for (const folder of [
    archivePaths(dataDir, instrument, dayObs).directory, join(dataDir, 'spool', instrument),
    join(dataDir, 'exports', instrument),
  ]) {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Publishes the facts of each frame when the visit before it is complete, so that the commits come in time order;
 * pixels are worked on ahead. Returns why frames failed, by visit.
 */
async function observeFrames(
  { manifest }: SeriesPlan, differences: Differences, visits: VisitWaits, log: Log, pool: SeriesPool,
): Promise<ReadonlyMap<number, string>> {
  const publish = ({ event, id }: IdentifiedEvent) => publishObservatory(log, event, id, Date.now);
  const { frames } = manifest;
  await publish(nightEvent(manifest, 'NightOpened', frames.length));
  for (const [index, frame] of frames.entries()) {
    for (const next of frames.slice(index, index + LOOKAHEAD_PER_THREAD * pool.threads)) {
      differences.of(next).catch(() => undefined); // Its own visit awaits it and reports.
    }
    const completed = visits.completed(frame.visit);
    for (const event of eventsOfFrame(frame, manifest, Date.now())) await publish(event);
    const { diaSources, alerts } = await completed;
    const reason = visits.failures.get(frame.visit);
    const result = reason === undefined ? `${diaSources} diaSources, ${alerts} alerts` : `rejected: ${reason}`;
    note(`${index + 1}/${frames.length} ${frame.file}: ${result}`);
  }
  await publish(nightEvent(manifest, 'NightClosed', frames.length));
  return visits.failures;
}

type Completed = Extract<PipelineEvent, { type: 'VisitCompleted' }>;

/** Waits for visits by the engine's own progress. */
class VisitWaits {
  /** Reasons of deferrals. */
  readonly failures = new Map<number, string>();
  readonly #waiting = new Map<number, (event: Completed) => void>();

  completed(visit: number): Promise<Completed> {
    return new Promise((resolve) => { this.#waiting.set(visit, resolve); });
  }

  onProgress(event: PipelineEvent): void {
    if (event.type === 'DetectorDeferred') this.failures.set(event.visit, event.reason);
    if (event.type === 'VisitCompleted') this.#waiting.get(event.visit)?.(event);
  }
}

/** The pixels of a recorded series again, from its frames and its template; difference images are not kept. */
export function reopenSeries(
  dataDir: string, instrument: string,
): { camera: Camera; process: ProcessDetector; associate: Partial<AssociateConfig> } {
  const { manifest, digest } = readManifest(dataDir, instrument);
  const pool = createSeriesPool(Math.max(1, availableParallelism()));
  const folder = join(seriesPaths.folder(dataDir, instrument), 'replay');
  const differences = new Differences(manifest, seriesPaths.template(dataDir, instrument), folder, pool);
  return {
    camera: manifest.camera, associate: manifest.associate,
    process: seriesProcess(manifest, digest, differences, pool, runDigests(), (frame) => differences.drop(frame)),
  };
}
