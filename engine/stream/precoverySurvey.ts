/**
 * What the log tells of precovery: which diaObjects were born and not precovered yet, and the visit-detectors that
 * could have seen them. A fold of the entries of COMMITS, so that it is the same after a restart.
 */
import { decodeDiaForcedSource, decodeDiaObject } from '../../schemas/avro.ts';
import type { CommitEntry, DiaSourcesAssociated } from '../../schemas/commit.ts';
import { commitPosition, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import { visitDetectorKey } from './planPrecovery.ts';
import { rowsOf } from './projector.ts';
import type { Spool } from './spool.ts';

/** A visit-detector with a difference image, without its rows. */
export type SurveyedVisit = Readonly<{ dayObs: DayObs; associated: DiaSourcesAssociated }>;

export class PrecoverySurvey {
  /** The entries that objects were born with. */
  readonly born = new Map<bigint, CommitPosition>();
  readonly precovered = new Set<bigint>();
  /** In the order of the log. */
  readonly visits: SurveyedVisit[] = [];
  /** diaForcedSources of each visit-detector, by `visitDetectorKey`: the next one's id follows. */
  readonly forcedCounts = new Map<string, number>();
  readonly #isBirthNight: (dayObs: DayObs) => boolean;

  /** @param isBirthNight Whether objects that are born in a night are wanted. */
  constructor(isBirthNight: (dayObs: DayObs) => boolean) {
    this.#isBirthNight = isBirthNight;
  }

  /** Takes one entry; each once, in order. */
  take({ dayObs, associated, corrected }: CommitEntry, sequence: number, spool: Spool): void {
    for (const payload of corrected?.diaForcedSources ?? []) {
      const { visit, detector } = decodeDiaForcedSource(payload);
      this.#count(visit, detector, 1);
    }
    for (const id of corrected?.precoveredDiaObjectIds ?? []) this.precovered.add(id);
    if (!associated || associated.outcome !== 'alerts') return;
    const { diaObjects, diaForcedSources } = rowsOf(associated, spool);
    this.#count(associated.visit, associated.detector, diaForcedSources.length);
    this.visits.push({ dayObs, associated: { ...associated, rows: null } });
    if (!this.#isBirthNight(dayObs)) return;
    for (const payload of diaObjects) {
      const { diaObjectId, nDiaSources } = decodeDiaObject(payload);
      if (nDiaSources === 1) this.born.set(diaObjectId, commitPosition(dayObs, sequence));
    }
  }

  /** Born and not precovered, by ascending id. */
  open(): bigint[] {
    return [...this.born.keys()].filter((id) => !this.precovered.has(id)).sort((a, b) => (a < b ? -1 : 1));
  }

  #count(visit: number | bigint, detector: number, more: number): void {
    const key = visitDetectorKey(visit, detector);
    this.forcedCounts.set(key, (this.forcedCounts.get(key) ?? 0) + more);
  }
}
