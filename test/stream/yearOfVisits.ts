/** A seeded sky with close neighbours, seen by overlapping visits over a year, and who each source really is. */
import type { DetectorMeasurements, CommitNames } from '../../engine/workers/detectorTask.ts';
import { newDiaSource } from '../../schemas/diaRows.ts';
import {
  asDayObs, asDetectorId, BEFORE_EVERYTHING, diaSourceIdOf, exposureOf, visitOf,
} from '../../schemas/ids.ts';
import { skyRandom } from '../support/skyRandom.ts';

const ARCSEC = 1 / 3600;
export const NIGHT = asDayObs(20261120);

export type SeenVisit = Readonly<{
  names: CommitNames; measurements: DetectorMeasurements;
  footprint: Readonly<{ raDeg: number; decDeg: number; radiusDeg: number }>;
  /** Index of the thing in the sky behind each source, by diaSourceId. */
  truth: ReadonlyMap<bigint, number>;
}>;

/**
 * Groups of two to four things, 1 to 5″ apart, around (0, dec): the field lies across RA 0. Each visit is moved
 * by up to a third of the field, and sees seven of ten things in it, with errors of 0.05 to 0.2″ that it knows.
 */
export function yearOfVisits(seed: number, groups: number, visits: number, decDeg: number): SeenVisit[] {
  const { uniform: random, normal } = skyRandom(seed);
  const cosDec = Math.cos(decDeg * Math.PI / 180), halfDeg = 0.06;
  const things: { east: number; north: number }[] = [];
  // No two nearer than 1″: those are one thing for every survey from the ground.
  const add = (place: { east: number; north: number }) => {
    if (things.every((other) => Math.hypot(other.east - place.east, other.north - place.north) >= ARCSEC)) {
      things.push(place);
    }
  };
  for (let g = 0; g < groups; g++) {
    const centre = { east: (2 * random() - 1) * halfDeg, north: (2 * random() - 1) * halfDeg };
    add(centre);
    for (let n = 1 + Math.floor(3 * random()); n > 0; n--) {
      const distance = (1 + 4 * random()) * ARCSEC, angle = 2 * Math.PI * random();
      add({ east: centre.east + distance * Math.sin(angle), north: centre.north + distance * Math.cos(angle) });
    }
  }
  return Array.from({ length: visits }, (_, v) => {
    const shift = { east: (random() - 0.5) * halfDeg, north: (random() - 0.5) * halfDeg };
    const visit = visitOf(NIGHT, v + 1), detector = asDetectorId(v % 9);
    const midpointMjdTai = 61000 + (v * 360) / visits;
    const truth = new Map<bigint, number>();
    const measured = things.flatMap(({ east, north }, thing) => {
      const isInside = Math.abs(east - shift.east) < halfDeg && Math.abs(north - shift.north) < halfDeg;
      if (!isInside || random() < 0.3) return [];
      const error = (0.05 + 0.15 * random()) * ARCSEC;
      const diaSourceId = diaSourceIdOf(visit, detector, thing);
      truth.set(diaSourceId, thing);
      const dec = decDeg + north + error * normal();
      return [newDiaSource({
        diaSourceId, visit: BigInt(visit), detector, midpointMjdTai,
        ra: ((east + error * normal()) / cosDec + 360) % 360, dec,
        raErr: error, decErr: error, x: 1, y: 1, bboxSize: 9, band: 'r', psfFlux: 100, psfFluxErr: 10,
        timeProcessedMjdTai: 0,
      })];
    });
    return {
      truth, footprint: { raDeg: 0, decDeg, radiusDeg: 0.2 },
      names: {
        group: `g${v}`, visit, exposure: exposureOf(NIGHT, v + 1), detector, attempt: 0, band: 'r',
        physicalFilter: 'r', exposureSeconds: 30, midpointMjdTai, knownPosition: BEFORE_EVERYTHING,
      },
      measurements: {
        outcome: 'alerts', measured, forced: [], detected: measured.length, droppedByReason: {}, cutouts: null,
        summary: {}, inputs: {},
      },
    };
  });
}
