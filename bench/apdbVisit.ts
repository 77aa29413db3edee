/** One visit on the bench's sky: association of its sources, and its commits on their way into the tables. */
import type { Apdb } from '../apdb/apdb.ts';
import { isInside, type SkyCone } from '../engine/preload.ts';
import { associateDetector } from '../engine/stream/associateDetector.ts';
import { Projector } from '../engine/stream/projector.ts';
import { SkyState } from '../engine/stream/skyState.ts';
import { Spool } from '../engine/stream/spool.ts';
import type { StoredEntry } from '../engine/stream/commitLog.ts';
import type { CommitNames, DetectorMeasurements } from '../engine/workers/detectorTask.ts';
import type { MeasuredDiaSource } from '../engine/stages/measure/measure.ts';
import { decodeCommitEntry, encodeCommitEntry, type AssociatedRowBytes } from '../schemas/commit.ts';
import { newDiaSource } from '../schemas/diaRows.ts';
import {
  asDetectorId, commitPosition, diaSourceIdOf, exposureOf, visitOf, type CommitPosition,
} from '../schemas/ids.ts';
import {
  CENTER, coneOf, filled, FIRST_MJD, HISTORY_POSITION, MONTHS, DAYS_A_MONTH, mulberry, NIGHT, normal, type Sky,
} from './apdbSky.ts';
import { INSTRUMENT } from './apdbStore.ts';

/** One detector of the mosaic: a square of LSSTCam's size, its cone, and what it measured. */
export type BenchDetector = Readonly<{ names: CommitNames; footprint: SkyCone; measurements: DetectorMeasurements }>;

const SIDE_DEG = 0.22;
const PADDING_DEG = 20 / 3600;
const RAD = Math.PI / 180;
export const VISIT_MJD = FIRST_MJD + MONTHS * DAYS_A_MONTH + 0.2;

/**
 * The visit's sources: one at every object of the field, scattered by its error; each twentieth is moved 20″ away and
 * so is new. They are dealt to the squares of a mosaic.
 */
export function makeVisit(sky: Sky, fieldObjects: number, sequence: number, seed: number): BenchDetector[] {
  const random = mulberry(seed);
  const visit = visitOf(NIGHT, sequence);
  const cone = coneOf(fieldObjects);
  // The sky has one density: a visit of more sources is a wider one, of as many detectors.
  const side = SIDE_DEG * Math.max(1, Math.sqrt(fieldObjects / 10_000));
  const squares = new Map<string, { i: number; j: number; places: number[] }>();
  for (let place = 0; place < sky.count; place++) {
    if (!isInside(cone, sky.ra[place], sky.dec[place])) continue;
    const [east, north] = tangent(sky.ra[place], sky.dec[place]);
    const [i, j] = [Math.round(east / side), Math.round(north / side)];
    const square = squares.get(`${i} ${j}`) ?? { i, j, places: [] };
    square.places.push(place);
    squares.set(`${i} ${j}`, square);
  }
  return [...squares.values()].map(({ i, j, places }, k) => {
    const detector = asDetectorId(k % 256);
    const measured = places.map((place, n) => sourceAt(sky, place, n % 20 === 19 ? 20 : 0, {
      diaSourceId: diaSourceIdOf(visit, detector, n), visit: BigInt(visit), detector,
    }, random));
    return {
      names: {
        group: `bench-${sequence}`, visit, exposure: exposureOf(NIGHT, sequence), detector, attempt: 0, band: 'r',
        physicalFilter: 'r', exposureSeconds: 30, midpointMjdTai: VISIT_MJD, knownPosition: HISTORY_POSITION,
      },
      footprint: {
        ...centreOf(i * side, j * side), radiusDeg: side / Math.SQRT2 + PADDING_DEG + 25 / 3600,
      },
      measurements: {
        outcome: 'alerts', measured, forced: [], detected: measured.length, droppedByReason: {}, cutouts: null,
        summary: { detected: measured.length }, inputs: {},
      },
    };
  });
}

/** Rows of every detector, each associated with the sky as the ones before have left it, as the associator does. */
export function associateVisit(
  detectors: readonly BenchDetector[], state: SkyState,
  commit: (detector: BenchDetector, rows: AssociatedRowBytes) => void,
): void {
  for (const detector of detectors) {
    const { names, measurements, footprint } = detector;
    commit(detector, associateDetector(names, measurements, state, footprint, VISIT_MJD + 0.0005).rows);
  }
}

/** The entries as they come back from the log. */
export function storedEntry(
  { names, measurements }: BenchDetector, rows: AssociatedRowBytes, sequence: number,
): StoredEntry {
  const bytes = encodeCommitEntry({
    instrument: INSTRUMENT, dayObs: NIGHT, deferred: null, corrected: null, sealed: null,
    associated: {
      ...names, readoutEndedMs: 0, timeProcessedMjdTai: VISIT_MJD, outcome: 'alerts', inputs: {},
      detected: measurements.detected, droppedByReason: {}, withheld: [], summary: measurements.summary,
      diaSourceCount: rows.diaSources.length, rows, rowsSpool: null, cutoutSpool: null,
    },
  });
  return { sequence, entry: decodeCommitEntry(bytes), bytes };
}

/** Seconds from the acknowledged commits of a visit to their rows being seen by another connection. */
export async function secondsToVisible(
  apdb: Apdb, reader: Apdb, entries: readonly StoredEntry[], lastObject: bigint,
): Promise<number> {
  const spool = new Spool('/nonexistent', INSTRUMENT, NIGHT); // Rows are in the entries.
  let trouble: string | null = null;
  const projector = new Projector(apdb, () => undefined, (reason) => { trouble ??= reason; });
  const end: CommitPosition = commitPosition(NIGHT, entries[entries.length - 1].sequence);
  const startMs = performance.now();
  for (const stored of entries) projector.enqueue(stored, spool);
  await projector.drain();
  const [object] = await reader.loadObjects([lastObject], 0, end);
  const seconds = (performance.now() - startMs) / 1000;
  if (trouble !== null || object === undefined) throw new Error(`the visit did not reach the tables: ${trouble}`);
  return seconds;
}

function sourceAt(
  sky: Sky, place: number, awayArcsec: number, names: Pick<MeasuredDiaSource, 'diaSourceId' | 'visit' | 'detector'>,
  random: () => number,
): MeasuredDiaSource {
  const errorDeg = 0.1 / 3600;
  const dec = sky.dec[place] + errorDeg * normal(random) + awayArcsec / 3600;
  return filled('diaSource', newDiaSource({
    ...names, midpointMjdTai: VISIT_MJD, band: 'r', dec, x: 4000 * random(), y: 4000 * random(), bboxSize: 31,
    ra: sky.ra[place] + (errorDeg * normal(random)) / Math.cos(dec * RAD), timeProcessedMjdTai: 0,
    psfFlux: 1000 * random(), psfFluxErr: 50, scienceFlux: 5000, scienceFluxErr: 80, snr: 20, reliability: 0.9,
    raErr: errorDeg, decErr: errorDeg, ra_dec_Cov: 0, diaObjectId: null,
  }));
}

/** Offset from `CENTER` on the sphere, degrees: exact enough to deal positions to squares. */
function tangent(ra: number, dec: number): [east: number, north: number] {
  return [(ra - CENTER.raDeg) * Math.cos(dec * RAD), dec - CENTER.decDeg];
}

function centreOf(east: number, north: number): { raDeg: number; decDeg: number } {
  const decDeg = CENTER.decDeg + north;
  return { raDeg: CENTER.raDeg + east / Math.cos(decDeg * RAD), decDeg };
}
