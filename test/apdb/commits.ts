/** Commits for tests: real encoded rows of a small sky. */
import fc from 'fast-check';
import type { Committed, CommittedRows, Cone } from '../../apdb/apdb.ts';
import { encodeDiaForcedSource, encodeDiaObject, encodeDiaSource } from '../../schemas/avro.ts';
import { newDiaForcedSource, newDiaObject, newDiaSource } from '../../schemas/diaRows.ts';
import {
  asDayObs, asDetectorId, BEFORE_EVERYTHING, commitPosition, diaSourceIdOf, visitOf,
} from '../../schemas/ids.ts';
import type { CommitPosition, DayObs } from '../../schemas/ids.ts';

export const NIGHT = asDayObs(20261120);
export const NEXT_NIGHT = asDayObs(20261121);
/** A cone around every object that `commitsArbitrary` makes. */
export const WHOLE_FIELD: Cone = { raDeg: 0, decDeg: -10, radiusDeg: 3 };
const FIRST_MJD = 61364.5;

/** One detection: of which object, where, and whether the object gets a new version. */
export type Detection = Readonly<{
  object: number; ra: number; dec: number; isVersion: boolean; isForced: boolean;
  /** Of the new version; by default the commit's sequence. */
  nDiaSources?: number;
}>;

/** @param sequence Also the visit's number, so that commits of one night never share a visit-detector. */
export function commitOf(
  dayObs: DayObs, sequence: number, detections: readonly Detection[],
  midpointMjdTai = FIRST_MJD + sequence / 1000,
): CommittedRows {
  const visit = visitOf(dayObs, sequence);
  const detector = asDetectorId(sequence % 9);
  const when = { visit: BigInt(visit), detector, midpointMjdTai, timeProcessedMjdTai: midpointMjdTai + 0.0005 };
  return {
    position: commitPosition(dayObs, sequence), visit, detector, midpointMjdTai,
    diaSources: detections.map(({ object, ra, dec }, k) => encodeDiaSource(newDiaSource({
      ...when, diaSourceId: diaSourceIdOf(visit, detector, k), diaObjectId: BigInt(object), ra, dec,
      x: 10.5 + k, y: 20.25, bboxSize: 31, band: 'r', psfFlux: 1234.5, psfFluxErr: 20.125, snr: 61.25,
      isNegative: k % 2 === 1,
    }))),
    diaObjects: detections.filter(({ isVersion }) => isVersion).map(({ object, ra, dec, nDiaSources = sequence }) => (
      encodeDiaObject(newDiaObject({
        diaObjectId: BigInt(object), validityStartMjdTai: midpointMjdTai, ra, dec, nDiaSources,
      })))),
    diaForcedSources: detections.filter(({ isForced }) => isForced).map(({ object, ra, dec }, k) => (
      encodeDiaForcedSource(newDiaForcedSource({
        ...when, diaForcedSourceId: diaSourceIdOf(visit, detector, k), diaObjectId: BigInt(object), ra, dec,
        psfFlux: -3.5,
      })))),
    summary: { detected: detections.length, seeingArcsec: 0.75 },
  };
}

/**
 * Commits of two nights, ascending, with gaps where deferrals would be; objects around RA 0, versions that move, and
 * observations from 13 months ago (the late answer of a background job) to now.
 */
export const commitsArbitrary: fc.Arbitrary<CommittedRows[]> = fc.array(fc.record({
  gap: fc.integer({ min: 1, max: 3 }),
  isNextNight: fc.boolean(),
  ageDays: fc.oneof(
    fc.constant(0), fc.double({ min: 0, max: 390, noNaN: true }), fc.integer({ min: 40, max: 330 })),
  detections: fc.uniqueArray(fc.record({
    object: fc.integer({ min: 1, max: 12 }),
    ra: fc.double({ min: -1, max: 1, noNaN: true }).map((ra) => (ra + 360) % 360),
    dec: fc.double({ min: -11, max: -9, noNaN: true }),
    isVersion: fc.boolean(), isForced: fc.boolean(),
  }), { selector: ({ object }) => object, maxLength: 6 }),
}), { maxLength: 10 }).map((parts) => {
  let sequence = 0;
  const objects = new Set<number>();
  const ordered = [...parts].sort((a, b) => Number(a.isNextNight) - Number(b.isNextNight));
  return ordered.map(({ gap, isNextNight, ageDays, detections }) => {
    sequence += gap;
    const midpointMjdTai = FIRST_MJD + Number(isNextNight) + sequence / 1000 - ageDays;
    // The first detection of an object makes it.
    const made = detections.map((d) => ({ ...d, isVersion: d.isVersion || !objects.has(d.object) }));
    made.forEach(({ object }) => objects.add(object));
    return commitOf(isNextNight ? NEXT_NIGHT : NIGHT, sequence, made, midpointMjdTai);
  });
});

/** How far the log has got after these commits. */
export function lastPosition(commits: readonly Committed[]): CommitPosition {
  return commits.at(-1)?.position ?? BEFORE_EVERYTHING;
}
