/**
 * The summary of a simulated night, for people and as JSON: everything read back from the log, the truth tables beside
 * it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeDiaSource } from '../../schemas/avro.ts';
import { asVisit, type DayObs, type Visit } from '../../schemas/ids.ts';
import { splitPacket } from '../../schemas/packet.ts';
import { productPaths } from '../../schemas/products.ts';
import { streams } from '../../schemas/subjects.ts';
import { engineConfig } from '../config.ts';
import { readCommits } from '../stream/commitLog.ts';
import type { Log } from '../stream/log.ts';
import { readObservatory } from '../stream/observatory.ts';
import { PrecoverySurvey } from '../stream/precoverySurvey.ts';
import { readStored } from '../stream/readStream.ts';
import { readFakes } from '../stream/secondPass.ts';
import { Spool } from '../stream/spool.ts';
import type { NightAudit } from './countNight.ts';
import { fakeOf, isBright, sharesOf, type Shares } from './efficiencyTable.ts';
import { parseTruth, scoreVisit, type MeasuredAlert, type TruthScore } from './scoreTruth.ts';
import { table } from './output.ts';

export type LatencySeconds = Readonly<{
  p50: number | null; p95: number | null; p98: number | null; max: number | null;
}>;

export type VisitSummary = Readonly<{
  visit: Visit; detectors: number; committed: number; diaSources: number; alerts: number;
  latencySeconds: LatencySeconds;
}>;

export type NightSummary = Readonly<{
  dayObs: DayObs; instrument: string; visits: readonly VisitSummary[];
  totals: Readonly<{
    visits: number; detectors: number; committed: number; failed: number; diaSources: number;
    alertsPacked: number; alertsPublished: number; alertsArchived: number;
    alertsDelivered: Readonly<Record<string, number>>;
  }>;
  truth: TruthScore;
  /** Synthetic sources of the second passes; null when there were none. */
  fakes: NightFakes | null;
  precovery: NightPrecovered;
  countsClose: boolean; withinBudgetFraction: number | null;
}>;

/** New diaObjects of the night, those measured on the visits before, and such fluxes that its log holds. */
export type NightPrecovered = Readonly<{ newDiaObjects: number; precovered: number; forcedSources: number }>;

export type NightFakes = Shares & Readonly<{
  detectors: number; dropped: number; masked: number;
  /** Of those with SNR ≥ 8 on the difference. */
  bright: Shares;
}>;

type VisitFacts = {
  detectors: number; committed: number; deferred: number; diaSources: number; readoutEndedMs: number;
  alerts: MeasuredAlert[]; latencies: number[];
};

export async function summarizeNight(
  sources: Readonly<{ log: Log; dataDir: string; truthDir: string; instrument: string; dayObs: DayObs }>,
  audit: NightAudit,
): Promise<NightSummary> {
  const { truthDir, instrument, dayObs } = sources;
  const facts = await readFacts(sources), precovery = await precoveredIn(sources);
  const truths = [...facts].map(([visit, { alerts }]) => {
    const path = join(truthDir, productPaths.truth(instrument, dayObs, asVisit(visit)));
    return scoreVisit(existsSync(path) ? parseTruth(readFileSync(path, 'utf8')) : [], alerts);
  });
  const latencies = [...facts.values()].flatMap((visit) => visit.latencies);
  const total = (value: (visit: VisitFacts) => number) =>
    [...facts.values()].reduce((sum, visit) => sum + value(visit), 0);
  const { counts } = audit, fakes = await fakesOf(sources);
  return {
    dayObs, instrument,
    visits: [...facts].map(([visit, f]) => ({
      visit: asVisit(visit), detectors: f.detectors, committed: f.committed, diaSources: f.diaSources,
      alerts: f.alerts.length,
      latencySeconds: percentiles(f.latencies),
    })),
    totals: {
      visits: facts.size, detectors: total((v) => v.committed + v.deferred), committed: total((v) => v.committed),
      failed: total((v) => v.deferred),
      diaSources: counts.associated, alertsPacked: counts.packed, alertsPublished: counts.published,
      alertsArchived: counts.archived,
      alertsDelivered: counts.delivered,
    },
    truth: truths.reduce((sum, score) => ({
      injected: sum.injected + score.injected, detectable: sum.detectable + score.detectable,
      found: sum.found + score.found, falseAlerts: sum.falseAlerts + score.falseAlerts,
      reliableFound: sum.reliableFound + score.reliableFound,
      reliableFalseAlerts: sum.reliableFalseAlerts + score.reliableFalseAlerts,
    }), { injected: 0, detectable: 0, found: 0, falseAlerts: 0, reliableFound: 0, reliableFalseAlerts: 0 }),
    fakes, precovery, countsClose: audit.closes,
    withinBudgetFraction: latencies.length === 0 ? null
      : latencies.filter((seconds) => seconds <= engineConfig.alertBudgetSeconds).length / latencies.length,
  };
}

async function precoveredIn(
  { log, dataDir, instrument, dayObs }: Readonly<{ log: Log; dataDir: string; instrument: string; dayObs: DayObs }>,
): Promise<NightPrecovered> {
  const survey = new PrecoverySurvey((night) => night === dayObs), spool = new Spool(dataDir, instrument, dayObs);
  let forcedSources = 0;
  for await (const { entry, sequence } of readCommits(log, instrument, dayObs)) {
    survey.take(entry, sequence, spool);
    forcedSources += entry.corrected?.diaForcedSources.length ?? 0;
  }
  const newDiaObjects = survey.born.size;
  return { newDiaObjects, precovered: newDiaObjects - survey.open().length, forcedSources };
}

async function fakesOf(
  { log, instrument, dayObs }: Readonly<{ log: Log; instrument: string; dayObs: DayObs }>,
): Promise<NightFakes | null> {
  const { measured, droppedByReason } = await readFakes(log, instrument, dayObs);
  if (measured.length === 0) return null;
  const all = measured.flatMap(({ visit, detector, band, sources }) => (
    sources.map((source) => fakeOf(source, { visit, detector, band }))
  ));
  const usable = all.filter(({ isMasked }) => !isMasked);
  return {
    detectors: measured.length, dropped: Object.values(droppedByReason).reduce((sum, count) => sum + count, 0),
    masked: all.length - usable.length, ...sharesOf(usable), bright: sharesOf(usable.filter(isBright)),
  };
}

/**
 * Facts of each visit from the log, in order of visits. Latency: from the end of readout to the time the stream took
 * the alert.
 */
async function readFacts(
  { log, instrument, dayObs }: Readonly<{ log: Log; instrument: string; dayObs: DayObs }>,
): Promise<Map<number, VisitFacts>> {
  const facts = new Map<number, VisitFacts>();
  const of = (visit: number): VisitFacts => {
    let known = facts.get(visit);
    if (!known) {
      known = { detectors: 0, committed: 0, deferred: 0, diaSources: 0, readoutEndedMs: 0, alerts: [], latencies: [] };
      facts.set(visit, known);
    }
    return known;
  };
  for (const { event } of await readObservatory(log, instrument, dayObs, () => undefined)) {
    if (event.type === 'ExposureEnded') of(event.visit).detectors = event.detectors.length;
    if (event.type === 'DetectorRead') {
      of(event.visit).readoutEndedMs = Math.max(of(event.visit).readoutEndedMs, event.readoutEndedMs);
    }
  }
  for await (const { entry } of readCommits(log, instrument, dayObs)) {
    if (entry.associated) {
      of(entry.associated.visit).committed++;
      of(entry.associated.visit).diaSources += entry.associated.diaSourceCount;
    }
    if (entry.deferred) of(entry.deferred.visit).deferred++;
  }
  for await (const message of readStored(log, streams.alerts(instrument, dayObs))) {
    const source = decodeDiaSource(splitPacket(message.data).diaSource);
    const visit = of(Number(source.visit));
    visit.latencies.push((Number(message.timestampNanos / 1000n) / 1000 - visit.readoutEndedMs) / 1000);
    const { ra, dec, psfFlux, psfFluxErr, reliability } = source;
    visit.alerts.push({ ra, dec, psfFlux, psfFluxErr, reliability });
  }
  return new Map([...facts].sort(([a], [b]) => a - b));
}

/** Nearest-rank percentiles; null over nothing. */
export function percentiles(values: readonly number[]): LatencySeconds {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (fraction: number) => (sorted.length === 0 ? null
    : Number(sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)].toFixed(3)));
  return { p50: at(0.5), p95: at(0.95), p98: at(0.98), max: at(1) };
}

export function formatSummary(summary: NightSummary): string {
  const seconds = (value: number | null) => (value === null ? '–' : `${value.toFixed(2)} s`);
  const rows = summary.visits.map((v) => [
    String(v.visit), `${v.committed}/${v.detectors}`, String(v.diaSources), String(v.alerts),
    seconds(v.latencySeconds.p50), seconds(v.latencySeconds.p98), seconds(v.latencySeconds.max),
  ]);
  const { totals, truth, fakes, precovery } = summary;
  const { withinBudgetFraction } = summary;
  const inBudget = withinBudgetFraction === null ? '–' : `${(100 * withinBudgetFraction).toFixed(1)} %`;
  const percent = (part: number, whole: number) => (whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`);
  return [
    '', `Night ${summary.dayObs} of ${summary.instrument}`, '',
    table(['visit', 'detectors', 'diaSources', 'alerts', 'p50', 'p98', 'max'], rows), '',
    `alerts      ${totals.alertsPacked} packed, ${totals.alertsPublished} published, `
      + `${totals.alertsArchived} archived, `
      + Object.entries(totals.alertsDelivered).map(([consumer, n]) => `${n} to ${consumer}`).join(', '),
    `deferred    ${totals.failed} of ${totals.detectors} visit-detectors`,
    `truth       ${truth.found} of ${truth.detectable} detectable changes found `
      + `(${percent(truth.found, truth.detectable)}), ${truth.falseAlerts} false alerts; `
      + `reliability ≥ 0.5: ${truth.reliableFound} found, ${truth.reliableFalseAlerts} false`,
    ...(fakes === null ? [] : [
      `fakes       ${fakes.reliable} of ${fakes.injected} synthetic sources found reliably on ${fakes.detectors} detectors; `
        + `with SNR ≥ 8: ${fakes.bright.reliable} of ${fakes.bright.injected}`
        + (fakes.dropped > 0 ? `; ${fakes.dropped} detectors dropped` : ''),
    ]),
    `precovery   ${precovery.precovered} of ${precovery.newDiaObjects} new objects measured on the visits before, `
      + `${precovery.forcedSources} fluxes`,
    `budget      ${inBudget} of alerts within ${engineConfig.alertBudgetSeconds} s of the end of readout`,
    `counts      ${summary.countsClose ? 'all close' : 'DO NOT CLOSE: run "npx vesper verify"'}`,
  ].join('\n');
}
