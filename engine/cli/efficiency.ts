/** `vesper efficiency`: which share of synthetic sources a night's pipeline finds, against their magnitude and SNR. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setPriority } from 'node:os';
import { loadCamera } from '../../schemas/camera.ts';
import type { DiaSourcesAssociated } from '../../schemas/commit.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { ProductCatalog } from '../archive/productCatalog.ts';
import type { EfficiencyOptions } from '../setup/arguments.mjs';
import { orderFakes } from '../stages/inject/inject.ts';
import { readCommits } from '../stream/commitLog.ts';
import type { Log } from '../stream/log.ts';
import { readObservatory } from '../stream/observatory.ts';
import { factsOf } from '../stream/replayNight.ts';
import { readFakes } from '../stream/secondPass.ts';
import { createDetectorPool } from '../workers/pool.ts';
import { runDigests } from './digests.ts';
import { efficiencyChart } from './efficiencyChart.ts';
import { fakeOf, summarizeEfficiency, type Efficiency, type Fake, type Shares } from './efficiencyTable.ts';
import { isSimulated } from './instruments.ts';
import { note, print, printJson, table } from './output.ts';
import { detectorProcess } from './processDetector.ts';
import { chooseNight, withOpenStores } from './stores.ts';

/** Least urgent of what the system runs: a live night on the same machine goes first. */
const LOW_PRIORITY = 19;

export async function runEfficiency(options: EfficiencyOptions, signal: AbortSignal): Promise<number> {
  setPriority(LOW_PRIORITY);
  const measured = await withOpenStores(options.dataDir, 'efficiency', async ({ log }) => {
    const { instrument, dayObs } = await chooseNight(log, options.instrument, options.night);
    if (!isSimulated(instrument)) {
      throw new Error(`${instrument} is a series of frames; efficiency is of a camera's night`);
    }
    const fakes = options.fresh ? await secondPass(log, instrument, dayObs, options, signal)
      : await recorded(log, instrument, dayObs);
    return { instrument, dayObs, fakes };
  });
  if (measured.fakes.length === 0) throw new Error(`no detector of night ${measured.dayObs} took a synthetic source`);
  const { instrument, dayObs, fakes } = measured, efficiency = summarizeEfficiency(fakes);
  const directory = options.out ?? join(options.dataDir, 'efficiency', instrument, String(dayObs));
  const files = writeFiles(directory, dayObs, fakes, efficiency);
  const source = options.fresh ? 'fresh' : 'night';
  const result = { instrument, dayObs, source, ...(options.fresh && { seed: options.seed }), ...efficiency, files };
  if (options.json) printJson(result); else print(describe(result));
  return 0;
}

/** What the night's own second passes recorded. @throws Error of one line when it recorded none. */
async function recorded(log: Log, instrument: string, dayObs: DayObs): Promise<Fake[]> {
  const { measured, droppedByReason } = await readFakes(log, instrument, dayObs);
  for (const [reason, count] of Object.entries(droppedByReason)) note(`${count} second passes dropped: ${reason}`);
  if (measured.length === 0) {
    throw new Error(`the log tells of no synthetic sources of night ${dayObs} (progress is kept for a week, `
      + 'and --fakes 0 makes none): run the second pass now with --fresh');
  }
  return measured.flatMap(({ visit, detector, band, sources }) => (
    sources.map((source) => fakeOf(source, { visit, detector, band }))
  ));
}

/** Runs the night's visits again with synthetic sources: detectors in turn, so many of each visit. */
async function secondPass(
  log: Log, instrument: string, dayObs: DayObs, { dataDir, detectors, count, seed }: EfficiencyOptions,
  signal: AbortSignal,
): Promise<Fake[]> {
  const facts = (await readObservatory(log, instrument, dayObs, note)).map(({ event }) => event);
  const commits: DiaSourcesAssociated[] = [];
  for await (const { entry } of readCommits(log, instrument, dayObs)) {
    if (entry.associated) commits.push(entry.associated);
  }
  const chosen = chooseDetectors(commits, detectors), pool = createDetectorPool(availableParallelism());
  const process = detectorProcess(
    cameraOf(facts, instrument), dataDir, new ProductCatalog(dataDir, instrument), pool, runDigests(),
  );
  const fakes: Fake[] = [];
  let done = 0;
  try {
    await Promise.all(chosen.map(async (commit) => {
      const { visit, detector, band, knownPosition } = commit;
      const outcome = await process({
        ...factsOf(facts, commit), attempt: 1, known: [], knownPosition,
        fakes: orderFakes(seed, visit, detector, count),
      });
      if (signal.aborted) throw new Error('the second pass was stopped');
      if (outcome.status === 'failed') {
        note(`visit ${visit}, detector ${detector}: ${outcome.failure.message}`);
      } else {
        const recovered = outcome.measurements.recovered ?? [];
        fakes.push(...recovered.map((source) => fakeOf(source, { visit, detector, band })));
      }
      if (++done % 10 === 0 || done === chosen.length) note(`second pass: ${done} of ${chosen.length} detectors`);
    }));
  } finally {
    await pool.close();
  }
  return fakes.sort((a, b) => a.visit - b.visit || a.detector - b.detector || a.y - b.y || a.x - b.x);
}

function cameraOf(facts: readonly ObservatoryEvent[], instrument: string): ReturnType<typeof loadCamera> {
  const opened = facts.find((event) => event.type === 'NightOpened');
  return loadCamera(opened?.type === 'NightOpened' ? opened.arguments.camera : instrument);
}

/** So many detectors of each visit, others from one visit to the next. */
function chooseDetectors(commits: readonly DiaSourcesAssociated[], perVisit: number): DiaSourcesAssociated[] {
  const visits = new Map<number, DiaSourcesAssociated[]>();
  for (const commit of commits) visits.set(commit.visit, [...visits.get(commit.visit) ?? [], commit]);
  return [...visits.keys()].sort((a, b) => a - b).flatMap((visit, n) => {
    const all = visits.get(visit)!.sort((a, b) => a.detector - b.detector); // A key of the map.
    return Array.from({ length: Math.min(perVisit, all.length) }, (_, i) => all[(n * perVisit + i) % all.length]);
  });
}

type Files = Readonly<{ table: string; summary: string; chart: string }>;

function writeFiles(directory: string, dayObs: DayObs, fakes: readonly Fake[], efficiency: Efficiency): Files {
  mkdirSync(directory, { recursive: true });
  const files = {
    table: join(directory, 'fakes.csv'), summary: join(directory, 'efficiency.json'),
    chart: join(directory, 'efficiency.svg'),
  };
  const number = (value: number | null | undefined, digits: number) => (value == null ? '' : value.toFixed(digits));
  const lines = fakes.map(({ visit, detector, band, x, y, mag, fluxNJy, snr, isHosted, isMasked, found }) => [
    visit, detector, band, number(x, 3), number(y, 3), number(mag, 4), number(fluxNJy, 2), number(snr, 3),
    isHosted ? 1 : 0, isMasked ? 1 : 0, found === null ? 0 : 1, number(found?.reliability, 4),
    number(found?.psfFlux, 2), number(found?.psfFluxErr, 2),
  ].join(','));
  const header = 'visit,detector,band,x,y,mag,fluxNJy,snr,hosted,masked,found,reliability,psfFlux,psfFluxErr';
  replace(files.table, `${[header, ...lines].join('\n')}\n`);
  replace(files.summary, `${JSON.stringify({ dayObs, ...efficiency }, null, 1)}\n`);
  replace(files.chart, efficiencyChart(`Efficiency of night ${dayObs}`, efficiency));
  return files;
}

function replace(path: string, content: string): void {
  writeFileSync(`${path}.part`, content);
  renameSync(`${path}.part`, path);
}

function describe(
  { dayObs, bands, injected, masked, bySnr, kinds, photometry, files }:
  Efficiency & { dayObs: DayObs; files: Files },
): string {
  const share = (value: number) => `${(100 * value).toFixed(0)} %`;
  const digits = (value: number | null, count: number) => value?.toFixed(count) ?? '–';
  const rows = bands.flatMap(({ band, bins }) => bins.map(({ magMin, magMax, injected: count, found, reliable }) => [
    `${band} ${magMin.toFixed(1)}–${magMax.toFixed(1)}`, String(count), share(found / count), share(reliable / count),
  ]));
  const named = (names: string[], { injected: count, found, reliable }: Shares) => (
    count === 0 ? [...names, '0', '–', '–'] : [...names, String(count), share(found / count), share(reliable / count)]
  );
  return [
    `night ${dayObs}: ${injected} synthetic sources, ${masked} of them on masked pixels`,
    table(['magnitude', 'injected', 'found', 'reliable'], rows),
    '', table(['SNR', 'injected', 'found', 'reliable'], bySnr.map((bin) => (
      named([`${bin.snrMin}–${bin.snrMax === null ? '' : bin.snrMax}`], bin)
    ))),
    '', table(['with SNR ≥ 8', 'injected', 'found', 'reliable'], [
      named(['brightening, blank sky'], kinds.positiveBlank), named(['brightening, on a host'], kinds.positiveHosted),
      named(['fading, blank sky'], kinds.negativeBlank), named(['fading, on a host'], kinds.negativeHosted),
    ]), '',
    ...bands.map(({ band, mag50, mag90 }) => (
      `${band}: half are found to ${digits(mag50, 2)}, nine of ten to ${digits(mag90, 2)}`
    )),
    `flux of those found: ratio ${digits(photometry.ratioMedian, 4)}, pulls scatter by `
      + digits(photometry.pullScatter, 2),
    `wrote ${files.table}, efficiency.json, efficiency.svg`,
  ].join('\n');
}
