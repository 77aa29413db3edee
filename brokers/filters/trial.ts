/** Tries a filter on alerts of the past, before it is let loose on those to come. */
import type { DiaSource } from '../../schemas/diaRows.ts';
import { brokersConfig } from '../config.ts';
import type { CompiledFilter, FilterableAlert } from './expression.ts';
import { alertProjection } from './projectedAlert.ts';

export type TrialSample = Readonly<
  Pick<DiaSource, 'diaSourceId' | 'diaObjectId' | 'visit' | 'detector' | 'ra' | 'dec' | 'band' | 'psfFlux' | 'snr'> & {
    rank: number | null;
  }
>;

export type Trial = Readonly<{
  filter: string;
  evaluated: number;
  matched: number;
  undecided: number;
  errors: number;
  lastError: string | null;
  /** Matched of evaluated; 0 when there was nothing to evaluate. */
  share: number;
  visits: number;
  /** Most matches in one visit: what the cap of a ranked filter is to be held against. */
  matchedPerVisitMax: number;
  /** The best by rank, else the first, of the matches. */
  samples: readonly TrialSample[];
  /** Median wall clock of one evaluation with the decoding of what it reads, µs. */
  evaluationMicroseconds: number;
}>;

/** A framed packet, alone or with what stands beside it. */
export type TrialAlert = Uint8Array | Readonly<{ packet: Uint8Array; neighbours: string | null }>;

/**
 * Runs `filter` over alerts. The time of an evaluation includes the decoding that it alone would cause: with
 * many filters at work that is shared.
 */
export async function tryFilter(
  filter: CompiledFilter,
  alerts: AsyncIterable<TrialAlert> | Iterable<TrialAlert>,
): Promise<Trial> {
  const counts = { matched: 0, notMatched: 0, undecided: 0, failed: 0 };
  const matchedByVisit = new Map<bigint, number>();
  const visits = new Set<bigint>();
  const microseconds: number[] = [];
  let samples: TrialSample[] = [];
  let lastError: string | null = null;
  const decode = alertProjection([...filter.reads, ...SAMPLED]);
  for await (const given of alerts) {
    const started = performance.now();
    const alert = given instanceof Uint8Array ? decode(given) : decode(given.packet, given.neighbours);
    const verdict = filter.evaluate(alert);
    microseconds.push((performance.now() - started) * 1000);
    counts[verdict.outcome]++;
    if (verdict.outcome === 'failed') lastError = verdict.reason;
    const { visit } = alert.diaSource;
    visits.add(visit);
    if (verdict.outcome !== 'matched') continue;
    matchedByVisit.set(visit, (matchedByVisit.get(visit) ?? 0) + 1);
    samples = bestFirst([...samples, sampleOf(filter, alert)]).slice(0, brokersConfig.filterTrialSamples);
  }
  const evaluated = microseconds.length;
  return {
    filter: filter.label,
    evaluated,
    matched: counts.matched,
    undecided: counts.undecided,
    errors: counts.failed,
    lastError,
    share: evaluated === 0 ? 0 : counts.matched / evaluated,
    visits: visits.size,
    matchedPerVisitMax: Math.max(0, ...matchedByVisit.values()),
    samples,
    evaluationMicroseconds: median(microseconds),
  };
}

/** What a sample shows, and the visit. */
const SAMPLED = ['diaSource', 'diaObjectId', 'visit', 'detector', 'ra', 'dec', 'band', 'psfFlux', 'snr'] as const;

/** Why a filter may not be activated after its trial, or null. */
export function refusalOf(trial: Trial, shareMax: number): string | null {
  if (trial.evaluated === 0) return 'there was no alert to try it on';
  if (trial.errors > 0) return `${trial.errors} evaluations failed, the last with: ${trial.lastError}`;
  if (trial.share <= shareMax) return null;
  return `it passes ${(100 * trial.share).toFixed(1)} % of the alerts, more than the ${100 * shareMax} % allowed`;
}

function sampleOf(filter: CompiledFilter, alert: FilterableAlert): TrialSample {
  const { diaSourceId, diaObjectId, visit, detector, ra, dec, band, psfFlux, snr } = alert.diaSource;
  return { diaSourceId, diaObjectId, visit, detector, ra, dec, band, psfFlux, snr, rank: filter.rankOf(alert) };
}

/** By rank; equal ones stay in the order they came. */
function bestFirst(samples: TrialSample[]): TrialSample[] {
  return samples.sort((a, b) => (b.rank ?? -Infinity) - (a.rank ?? -Infinity) || 0);
}

function median(values: number[]): number {
  return values.length === 0 ? 0 : values.sort((a, b) => a - b)[values.length >> 1];
}
