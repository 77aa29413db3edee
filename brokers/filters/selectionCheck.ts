/** Computes a night's selections again from ALERTS and compares: with their entries, and with what was delivered. */
import type { JsMsg } from '@nats-io/jetstream';
import { partsOfDiaSourceId, type DayObs } from '../../schemas/ids.ts';
import { streams } from '../../schemas/subjects.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import type { Log } from '../../engine/stream/log.ts';
import { compileFilter, type CompiledFilter, type FilterableAlert, type FilterDefinition } from './expression.ts';
import { alertProjection } from './projectedAlert.ts';
import { filterHeaders } from './publisher.ts';
import { decodeSelection, selectAlerts, type Candidate, type FilterSelection } from './selection.ts';
import { decodeOnce } from './tally.ts';
import { SELECTION_NAME, type StoredSelection } from './userSelections.ts';

/** Sums over the ranked filters of all users; they close when matched = selected + dropped + late + waiting. */
export type SelectionAudit = Readonly<{
  selections: number;
  /** Matches of the filters as their entries name them, counted anew in ALERTS. */
  matched: number;
  selected: number;
  dropped: number;
  /** Stored after T + 50 s, or after the selection was recorded. */
  late: number;
  /** In visits that have no entry of the user yet. */
  waiting: number;
  delivered: number;
  violations: readonly string[];
}>;

/** One filter of an entry, evaluated anew. */
type Recount = {
  readonly filter: CompiledFilter;
  readonly entry: FilterSelection;
  readonly candidates: Candidate[];
  after: number;
};

/** The filters of FILTERS: who was at work when, and what a label stands for. */
export type FilterRecords = Readonly<{
  activeAt(timeNanos: bigint): readonly CompiledFilter[];
  activeSince(timeNanos: bigint): readonly CompiledFilter[];
  definitionOf(label: string): FilterDefinition | null;
}>;

/**
 * @param records Given, each entry must name the filters that were at work when the visit's first alert was stored.
 * @throws Error when a stream is missing.
 */
export async function auditSelections(
  log: Log, instrument: string, dayObs: DayObs, records: FilterRecords | null = null,
): Promise<SelectionAudit> {
  const { stored, deliveries } = await readFiltered(log, streams.filtered(instrument, dayObs));
  const recounts = new Map(stored.map((each) => [
    each, each.selection.filters.map((entry) => recountOf(each, entry, records)),
  ]));
  const byVisit = Map.groupBy(stored, ({ selection }) => selection.visit);
  const newest = new Map(stored.map((each) => [
    each.selection.user, (recounts.get(each) ?? []).map(({ filter }) => filter),
  ]));
  const atWork = new Map<number, ReadonlyMap<string, readonly CompiledFilter[]>>();
  const foreign: string[] = [];
  const decode = alertProjection([
    ...[...recounts.values()].flat().flatMap(({ filter }) => [...filter.reads]),
    ...(records?.activeSince(0n) ?? []).flatMap(({ reads }) => [...reads]),
  ]);
  let waiting = 0;
  for await (const message of readStored(log, streams.alerts(instrument, dayObs))) {
    const alert = decodeOnce(message, decode);
    const { visit } = partsOfDiaSourceId(alert().diaSourceId);
    const entries = byVisit.get(visit) ?? [];
    let filters = atWork.get(visit);
    if (filters === undefined) {
      filters = records === null ? newest : rankedByUser(records.activeAt(message.timestampNanos));
      atWork.set(visit, filters);
      if (records !== null) foreign.push(...entries.flatMap((each) => otherFilters(each, filters ?? new Map())));
    }
    for (const each of entries) {
      for (const recount of recounts.get(each) ?? []) recountAlert(recount, each, message, alert);
    }
    for (const [user, own] of filters) {
      if (entries.some(({ selection }) => selection.user === user)) continue;
      waiting += own.filter((filter) => filter.evaluate(alert()).outcome === 'matched').length;
    }
  }
  const sums = compare(recounts, deliveries);
  return { ...sums, violations: [...foreign, ...sums.violations], waiting };
}

function recountAlert(
  recount: Recount, { selection }: StoredSelection, message: JsMsg, alert: () => FilterableAlert,
): void {
  if (recount.filter.evaluate(alert()).outcome !== 'matched') return;
  if (message.seq > selection.upTo) { recount.after++; return; }
  recount.candidates.push({
    diaSourceId: alert().diaSourceId,
    alertSequence: message.seq,
    rank: recount.filter.rankOf(alert()),
    storedMs: message.time.getTime(),
  });
}

function rankedByUser(active: readonly CompiledFilter[]): ReadonlyMap<string, readonly CompiledFilter[]> {
  const ranked = active.filter(({ definition }) => definition.rank !== undefined);
  return Map.groupBy(ranked, ({ definition }) => definition.user);
}

function otherFilters(
  { sequence, selection }: StoredSelection, filters: ReadonlyMap<string, readonly CompiledFilter[]>,
): readonly string[] {
  const wanted = (filters.get(selection.user) ?? []).map(({ label }) => label).sort().join(' ');
  const found = selection.filters.map(({ filter }) => filter).sort().join(' ');
  if (wanted === found) return [];
  return [`selection ${sequence} of ${selection.user}, visit ${selection.visit}: is of ${found}, at work were ${wanted}`];
}

function compare(
  recounts: ReadonlyMap<StoredSelection, readonly Recount[]>,
  deliveries: ReadonlyMap<string, readonly string[]>,
): Omit<SelectionAudit, 'waiting'> {
  const violations: string[] = [];
  let matched = 0, selected = 0, dropped = 0, late = 0, delivered = 0;
  for (const [{ sequence, selection }, filters] of recounts) {
    const where = `selection ${sequence} of ${selection.user}, visit ${selection.visit}`;
    const again = selectAlerts(
      filters.map(({ entry, candidates }) => ({ ...entry, candidates })), selection.closesAtMs, selection.alertsMax,
    );
    if (JSON.stringify(again) !== JSON.stringify(selection.filters)) {
      violations.push(`${where}: computed anew it differs`);
    }
    for (const { entry, candidates, after } of filters) {
      const key = deliveryKey(selection.user, entry.name, sequence);
      const wanted = entry.selected.map(({ diaSourceId }, place) => `${place}:${diaSourceId}`);
      const found = deliveries.get(key) ?? [];
      if (JSON.stringify(wanted) !== JSON.stringify(found)) {
        violations.push(`${where}: ${entry.filter} selected ${wanted.length}, delivered ${found.length} or others`);
      }
      matched += candidates.length + after;
      selected += entry.selected.length;
      dropped += entry.dropped;
      late += entry.late + after;
      delivered += found.length;
    }
  }
  const all = [...deliveries.values()].reduce((sum, list) => sum + list.length, 0);
  if (all !== delivered) violations.push(`${all - delivered} ranked alerts on FILTERED belong to no selection`);
  return { selections: recounts.size, matched, selected, dropped, late, delivered, violations };
}

function recountOf(
  { selection }: StoredSelection, entry: FilterSelection, records: FilterRecords | null,
): Recount {
  const version = Number(entry.filter.slice(entry.filter.lastIndexOf('@') + 1));
  const { name, expression, rank } = entry;
  // The words are the entry's; a region, which may be long, stands in FILTERS alone.
  const region = records?.definitionOf(entry.filter)?.region;
  const filter = compileFilter({
    user: selection.user, name, version, expression, rank, ...(region === undefined ? {} : { region }),
  });
  return { filter, entry, candidates: [], after: 0 };
}

/** One pass over FILTERED: its selections, and the ranked alerts of each as `place:diaSourceId` in stream order. */
async function readFiltered(
  log: Log,
  stream: string,
): Promise<Readonly<{ stored: StoredSelection[]; deliveries: Map<string, string[]> }>> {
  const stored: StoredSelection[] = [];
  const deliveries = new Map<string, string[]>();
  for await (const message of readStored(log, stream)) {
    const [, user, name] = message.subject.split('.');
    if (name === SELECTION_NAME) {
      stored.push({ sequence: message.seq, selection: decodeSelection(message.data) });
      continue;
    }
    const sequence = message.headers?.get(filterHeaders.selectionSequence) ?? '';
    if (sequence === '') continue; // Of a filter without a rank.
    const key = deliveryKey(user, name, Number(sequence));
    const list = deliveries.get(key) ?? [];
    deliveries.set(key, list);
    const place = message.headers?.get(filterHeaders.selectionPlace);
    list.push(`${place}:${decodeOnce(message)().diaSourceId}`);
  }
  return { stored, deliveries };
}

function deliveryKey(user: string, name: string, sequence: number): string {
  return `${user}.${name}.${sequence}`;
}
