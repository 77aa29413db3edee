/**
 * Which of a visit's matches a user gets: at most 20 (DMS-REQ-0343), the best by the filters' own ranks.
 *
 * A selection is a function of the log alone. Candidates are the matches of the user's ranked filters among the visit's
 * alerts that ALERTS stored by T + 50 s (T is the end of readout) and up to a sequence that the selection names. So an
 * entry that was written once can be computed again from ALERTS, and must come out the same.
 */
import { brokersConfig } from '../config.ts';

/** A match of one ranked filter. */
export type Candidate = Readonly<{
  diaSourceId: bigint;
  /** Sequence in ALERTS. */
  alertSequence: number;
  /** Null ranks below every number. */
  rank: number | null;
  /** When ALERTS stored it, Unix ms. */
  storedMs: number;
}>;

/** An alert that a filter is to deliver; `diaSourceId` is decimal. */
export type Selected = Readonly<{ diaSourceId: string; alertSequence: number; rank: number | null }>;

export type FilterSelection = Readonly<{
  name: string;
  /** `user.name@version`. */
  filter: string;
  /** As they were: a selection can be explained after its filter has changed. */
  expression: string;
  rank: string;
  /** matched = selected + dropped + late. */
  matched: number;
  /** Best first. */
  selected: readonly Selected[];
  /** Matched in time, and beyond the cap. */
  dropped: number;
  /** Matched and stored after the selection had closed. Later ones than `upTo` are not in any entry. */
  late: number;
}>;

/** What ends the wait for a visit's alerts. */
export type ClosedBy = 'visitCompleted' | 'deadline' | 'endOfStream';

/** The entry of one visit and user on FILTERED, as JSON. */
export type VisitSelection = Readonly<{
  selectionVersion: 1;
  user: string;
  visit: number;
  closedBy: ClosedBy;
  /** T + 50 s, Unix ms; null when no readout of the visit is known. */
  closesAtMs: number | null;
  /** Last sequence of ALERTS that was looked at. */
  upTo: number;
  /** Every alert before this sequence of ALERTS belongs to a visit with an entry, this one included. */
  resumeFrom: number;
  alertsMax: number;
  filters: readonly FilterSelection[];
}>;

/** A ranked filter and its matches in one visit, in any order. */
export type FilterCandidates = Readonly<
  Pick<FilterSelection, 'name' | 'filter' | 'expression' | 'rank'> & { candidates: readonly Candidate[] }
>;

/**
 * Shares out a user's alerts of one visit. Ranks of different filters cannot be compared, so their places are: every
 * filter's best goes before anyone's second best, equal places in the order of the filters' names. Within a filter
 * higher ranks come first, equal ones by diaSourceId. An alert that two filters want is sent, and counted, twice.
 */
export function selectAlerts(
  filters: readonly FilterCandidates[],
  closesAtMs: number | null,
  alertsMax: number = brokersConfig.filteredAlertsPerVisitMax,
): readonly FilterSelection[] {
  const ordered = [...filters].sort((a, b) => compareText(a.name, b.name));
  const inTime = ordered.map(({ candidates }) =>
    candidates.filter(({ storedMs }) => closesAtMs === null || storedMs <= closesAtMs).sort(byRank),
  );
  const taken = ordered.map(() => 0);
  let left = alertsMax;
  for (let place = 0; left > 0 && inTime.some((list) => list.length > place); place++) {
    for (let i = 0; i < inTime.length && left > 0; i++) {
      if (inTime[i].length <= place) continue;
      taken[i]++;
      left--;
    }
  }
  return ordered.map(({ name, filter, expression, rank, candidates }, i) => ({
    name,
    filter,
    expression,
    rank,
    matched: candidates.length,
    selected: inTime[i].slice(0, taken[i]).map(({ diaSourceId, alertSequence, rank: value }) => ({
      diaSourceId: String(diaSourceId),
      alertSequence,
      rank: value,
    })),
    dropped: inTime[i].length - taken[i],
    late: candidates.length - inTime[i].length,
  }));
}

export function encodeSelection(selection: VisitSelection): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(selection));
}

/** @throws Error of one line when the bytes are no selection of this version. */
export function decodeSelection(bytes: Uint8Array): VisitSelection {
  const value = parsed(bytes);
  const isSelection = typeof value === 'object' && value !== null && 'selectionVersion' in value;
  if (!isSelection || value.selectionVersion !== 1) throw new Error('a selection on FILTERED is of an unknown version');
  return value as VisitSelection; // Written by `encodeSelection`; the filter service alone may write there.
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new Error('a selection on FILTERED is not JSON', { cause });
  }
}

function byRank(a: Candidate, b: Candidate): number {
  const difference = a.rank === b.rank ? 0 : (b.rank ?? -Infinity) - (a.rank ?? -Infinity);
  if (difference !== 0) return difference;
  return a.diaSourceId < b.diaSourceId ? -1 : a.diaSourceId > b.diaSourceId ? 1 : 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0; // By code unit: the same everywhere, unlike a locale's order.
}
