/**
 * Every count of a night, recomputed from the log, the spool, the APDB, the streams and the archive, side by side
 * (law 5). Nothing that a service has noted about itself is believed where it can be counted.
 */
import type { Apdb } from '../../apdb/apdb.ts';
import { listArchive } from '../../brokers/archive/reader.ts';
import { consumerState } from '../../brokers/consume.ts';
import { compileFilter } from '../../brokers/filters/expression.ts';
import { FilterLog } from '../../brokers/filters/filterLog.ts';
import { lazyAlert } from '../../brokers/filters/lazyAlert.ts';
import { predefinedFilters } from '../../brokers/filters/predefined.ts';
import { auditSelections, type SelectionAudit } from '../../brokers/filters/selectionCheck.ts';
import { decodeDiaSource } from '../../schemas/avro.ts';
import { NightDigest, type DiaSourcesAssociated } from '../../schemas/commit.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { splitPacket } from '../../schemas/packet.ts';
import { alertHeaders, streams, subjects } from '../../schemas/subjects.ts';
import { decodeCutouts } from '../stages/packet/spool.ts';
import { POLICY_REASON } from '../stream/associateDetector.ts';
import { readCommits } from '../stream/commitLog.ts';
import type { Log } from '../stream/log.ts';
import { readObservatory } from '../stream/observatory.ts';
import { rowsOf } from '../stream/projector.ts';
import { readStored } from '../stream/readStream.ts';
import { lastSequence } from '../stream/streams.ts';
import { Spool } from '../stream/spool.ts';
import { releasedIds } from './alertsRelease.ts';

/** Durable consumers of every night: the full stream, and the matches of the filter that ships. */
export const CONSUMERS = { full: 'full', filter: 'filter' } as const;
export const NIGHT_FILTER = predefinedFilters.bright;

export type NightCounts = Readonly<{
  detected: number; droppedByReason: Readonly<Record<string, number>>; associated: number;
  withheldByReason: Readonly<Record<string, number>>;
  packed: number; published: number; archived: number;
  /** Alerts withheld by policy that were released since, and alerts in the stream without cutouts; null without one. */
  released: number; lite: number | null;
  delivered: Readonly<Record<string, number>>; owed: Readonly<Record<string, number>>;
  /** Of the ranked filters of all users. */
  ranked: Readonly<Omit<SelectionAudit, 'violations'>>;
}>;

export type NightAudit = Readonly<{
  dayObs: DayObs; counts: NightCounts; closes: boolean; violations: readonly string[];
}>;

/** Alerts that a policy has withheld and that were not released since. */
export function heldByPolicy({ withheldByReason, released }: NightCounts): number {
  const withheld = Object.entries(withheldByReason).filter(([reason]) => reason.startsWith(POLICY_REASON));
  return withheld.reduce((total, [, count]) => total + count, 0) - released;
}

type Sources = Readonly<{ log: Log; apdb: Apdb; dataDir: string; instrument: string; dayObs: DayObs }>;

/** @throws Error when there is no such night or a server is missing. */
export async function countNight(sources: Sources): Promise<NightAudit> {
  const { log, instrument, dayObs } = sources;
  const violations: string[] = [];
  const commits = await countCommits(sources, violations);
  const alerts = await countAlerts(sources, commits.owedIds, violations);
  await compareApdb(sources, commits, violations);
  const archivedIds = (await listArchive(sources.dataDir, instrument, dayObs)).map((entry) => entry.diaSourceId);
  const releasedNow = await releasedIds(log, instrument, dayObs);
  const archived = compareIds('archive', archivedIds, new Set([...commits.owedIds, ...releasedNow]), violations);
  const delivered: Record<string, number> = {}, owed: Record<string, number> = {};
  for (const [name, stream, total] of [
    [CONSUMERS.full, streams.alerts(instrument, dayObs), alerts.published],
    [CONSUMERS.filter, streams.filtered(instrument, dayObs), alerts.matched],
  ] as const) {
    const state = await consumerState(log.connection, stream, name);
    delivered[name] = state?.delivered ?? 0;
    owed[name] = state ? state.owed : total;
    if (delivered[name] + owed[name] !== total) {
      violations.push(`consumer ${name}: ${delivered[name]} delivered + ${owed[name]} owed, ${total} expected`);
    }
  }
  const released = compareIds(
    'RELEASED', [...releasedNow], commits.policyIds, violations, false,
  );
  const lite = await countLite(sources, commits.owedIds, violations);
  const { violations: ofSelections, ...ranked } = await auditSelections(
    log, instrument, dayObs, await FilterLog.open(log),
  );
  violations.push(...ofSelections);
  const { detected, droppedByReason, associated, withheldByReason, packed } = commits;
  const counts = {
    detected, droppedByReason, associated, withheldByReason, packed, published: alerts.published, archived,
    released, lite, delivered, owed, ranked,
  };
  assertSum('detected', detected, 'associated + dropped', associated + sum(droppedByReason), violations);
  assertSum('associated', associated, 'packed + withheld', packed + sum(withheldByReason), violations);
  assertSum('packed', packed, 'published', alerts.published, violations);
  assertSum('published + released', alerts.published + released, 'archived', archived, violations);
  const { selected, dropped, late } = ranked;
  assertSum('ranked matches', ranked.matched, 'selected + dropped + late', selected + dropped + late, violations);
  return { dayObs, counts, closes: violations.length === 0, violations };
}

type CommitCounts = Readonly<{
  detected: number; droppedByReason: Record<string, number>; associated: number;
  withheldByReason: Record<string, number>; packed: number;
  forced: number; ssSources: number; sourceIds: Set<bigint>; owedIds: Set<bigint>; policyIds: Set<bigint>;
  visitDetectors: number;
}>;

/**
 * Sums over COMMITS; packed counts the alerts whose rows and cutouts are all there, so that their packets can be
 * built.
 */
async function countCommits(
  { log, dataDir, instrument, dayObs }: Sources, violations: string[],
): Promise<CommitCounts> {
  const spool = new Spool(dataDir, instrument, dayObs);
  const digest = new NightDigest();
  const ended = new Map<string, number>();
  const sourceIds = new Set<bigint>(), owedIds = new Set<bigint>(), policyIds = new Set<bigint>();
  const droppedByReason: Record<string, number> = {}, withheldByReason: Record<string, number> = {};
  let detected = 0, associated = 0, packed = 0, forced = 0, ssSources = 0, visitDetectors = 0, isSealed = false;
  for await (const { entry, sequence, bytes } of readCommits(log, instrument, dayObs)) {
    if (isSealed) violations.push(`COMMITS has entry ${sequence} behind the seal`);
    if (entry.sealed) {
      isSealed = true;
      if (entry.sealed.digest !== digest.hex() || entry.sealed.entries !== digest.entries) {
        violations.push('the seal of COMMITS does not fit its entries');
      }
      continue;
    }
    digest.add(bytes);
    const work = entry.associated ?? entry.deferred;
    if (work) {
      const key = `visit ${work.visit}, detector ${work.detector}`;
      const before = ended.get(key);
      if (before !== undefined) violations.push(`${key} has two terminal entries: ${before} and ${sequence}`);
      ended.set(key, sequence);
    }
    // Corrected rows are counted where they first came; an ssSource or a forced source that one adds is a new one.
    if (entry.corrected) {
      ssSources += entry.corrected.ssSources.length;
      forced += entry.corrected.diaForcedSources.length;
    }
    const a = entry.associated;
    if (!a) continue;
    visitDetectors++;
    detected += a.detected;
    addTo(droppedByReason, a.droppedByReason);
    for (const { reason } of a.withheld) addTo(withheldByReason, { [reason]: 1 });
    try {
      const rows = rowsOf(a, spool);
      const ids = rows.diaSources.map((payload) => decodeDiaSource(payload).diaSourceId);
      const withheld = new Set(a.withheld.map(({ index }) => index));
      for (const id of ids) {
        if (sourceIds.has(id)) violations.push(`diaSource ${id} was committed twice`);
        sourceIds.add(id);
      }
      associated += ids.length;
      forced += rows.diaForcedSources.length;
      ssSources += rows.ssSources.length;
      const toAlert = ids.filter((_, index) => !withheld.has(index));
      toAlert.forEach((id) => owedIds.add(id));
      a.withheld.forEach(({ index, reason }) => { if (reason.startsWith(POLICY_REASON)) policyIds.add(ids[index]); });
      packed += countPackable(a, toAlert, spool);
    } catch (error) {
      violations.push(`commit ${sequence} (visit ${a.visit}, detector ${a.detector}): ${(error as Error).message}`);
    }
  }
  await assertReadsEnded(log, instrument, dayObs, isSealed, ended, violations);
  return {
    detected, droppedByReason, associated, withheldByReason, packed, forced, ssSources, sourceIds, owedIds,
    policyIds, visitDetectors,
  };
}

function countPackable(a: DiaSourcesAssociated, ids: readonly bigint[], spool: Spool): number {
  if (!a.cutoutSpool) return ids.length;
  const cutouts = decodeCutouts(spool.read(a.cutoutSpool), a.cutoutSpool.digest);
  return ids.filter((id) => cutouts.has(id)).length;
}

/** In a sealed night every detector that was exposed has its terminal entry. */
async function assertReadsEnded(
  log: Log, instrument: string, dayObs: DayObs, isSealed: boolean, ended: ReadonlyMap<string, number>,
  violations: string[],
): Promise<void> {
  if (!isSealed) return;
  for (const { event } of await readObservatory(log, instrument, dayObs, () => undefined)) {
    if (event.type !== 'ExposureEnded') continue;
    for (const detector of event.detectors) {
      const key = `visit ${event.visit}, detector ${detector}`;
      if (!ended.has(key)) violations.push(`${key} was exposed and has no entry in COMMITS`);
    }
  }
}

/** Counts ALERTS and FILTERED, message by message; the filter is evaluated anew on every packet. */
async function countAlerts(
  { log, instrument, dayObs }: Sources, owedIds: ReadonlySet<bigint>, violations: string[],
): Promise<{ published: number; matched: number }> {
  const filter = compileFilter(NIGHT_FILTER);
  const published: bigint[] = [], matching = new Set<bigint>(), filtered: bigint[] = [];
  for await (const message of readStored(log, streams.alerts(instrument, dayObs))) {
    const id = decodeDiaSource(splitPacket(message.data).diaSource).diaSourceId;
    if (message.headers?.get(alertHeaders.diaSourceId) !== String(id)) {
      violations.push(`alert ${message.seq} has another id in its headers than in its packet`);
    }
    published.push(id);
    const alert = lazyAlert(message.data, message.headers?.get(alertHeaders.neighbours));
    if (filter.evaluate(alert).outcome === 'matched') matching.add(id);
  }
  const subject = subjects.filtered(NIGHT_FILTER.user, NIGHT_FILTER.name, instrument, dayObs);
  for await (const message of readStored(log, streams.filtered(instrument, dayObs), 1, undefined, subject)) {
    filtered.push(decodeDiaSource(splitPacket(message.data).diaSource).diaSourceId);
  }
  compareIds('FILTERED', filtered, matching, violations);
  return { published: compareIds('ALERTS', published, owedIds, violations), matched: filtered.length };
}

/** Alerts in the stream without cutouts; each must be ALERTS' own, in its order, without its pixels. */
async function countLite(
  { log, instrument, dayObs }: Sources, owedIds: ReadonlySet<bigint>, violations: string[],
): Promise<number | null> {
  const stream = streams.lite(instrument, dayObs);
  if (await lastSequence(log, stream) === null) return null;
  const ids: bigint[] = [];
  for await (const { data, seq } of readStored(log, stream)) {
    const { diaSourceId, cutoutDifference, cutoutScience, cutoutTemplate } = splitPacket(data);
    const hasPixels = [cutoutDifference, cutoutScience, cutoutTemplate].some((cutout) => cutout !== null);
    if (hasPixels) violations.push(`message ${seq} of ${stream} has cutouts`);
    ids.push(diaSourceId);
  }
  return compareIds('LITE', ids, owedIds, violations);
}

async function compareApdb({ apdb, dayObs }: Sources, commits: CommitCounts, violations: string[]): Promise<void> {
  const counts = await apdb.counts(dayObs);
  assertSum('diaSources in COMMITS', commits.associated, 'in the APDB', counts.diaSources, violations);
  assertSum('diaForcedSources in COMMITS', commits.forced, 'in the APDB', counts.diaForcedSources, violations);
  assertSum('ssSources in COMMITS', commits.ssSources, 'in the APDB', counts.ssSources, violations);
  assertSum('visit-detectors in COMMITS', commits.visitDetectors, 'in the APDB', counts.visitDetectors, violations);
  compareIds('APDB', [...await apdb.diaSourceIds(dayObs)], commits.sourceIds, violations);
}

/** Distinct ids found; what is missing, foreign or double becomes a violation with an example. */
function compareIds(
  where: string, found: readonly bigint[], expected: ReadonlySet<bigint>, violations: string[], isComplete = true,
): number {
  const distinct = new Set(found);
  const missing = [...expected].filter((id) => !distinct.has(id));
  const foreign = [...distinct].filter((id) => !expected.has(id));
  if (distinct.size !== found.length) violations.push(`${where} holds ${found.length - distinct.size} doubled alerts`);
  if (isComplete && missing.length > 0) {
    violations.push(`${where} lacks ${missing.length} of ${expected.size}, such as ${missing[0]}`);
  }
  if (foreign.length > 0) {
    violations.push(`${where} holds ${foreign.length} that COMMITS does not, such as ${foreign[0]}`);
  }
  return distinct.size;
}

function assertSum(name: string, value: number, otherName: string, other: number, violations: string[]): void {
  if (value !== other) violations.push(`${name} ${value} ≠ ${otherName} ${other}`);
}

function addTo(totals: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(more)) totals[key] = (totals[key] ?? 0) + value;
}

function sum(totals: Readonly<Record<string, number>>): number {
  return Object.values(totals).reduce((total, value) => total + value, 0);
}
