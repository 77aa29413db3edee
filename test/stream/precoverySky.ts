/** Visits of a small sky as the log of the observatory tells them, and pixels that answer by rule. */
import type { Apdb } from '../../apdb/apdb.ts';
import { detectorFootprint } from '../../engine/preload.ts';
import type { ProcessDetector } from '../../engine/stream/engineRun.ts';
import { decodeDiaForcedSource, decodeDiaObject } from '../../schemas/avro.ts';
import { detectorOf, loadCamera } from '../../schemas/camera.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import { NIGHT, type SeenVisit } from './yearOfVisits.ts';

export const DEC = -20, DAYS = 30;
const FIELD = { raDeg: 0, decDeg: DEC, cameraAngleDeg: 0 };
const WHOLE_SKY = { raDeg: 0, decDeg: 0, radiusDeg: 180 };
export const camera = loadCamera('minicam');

/** A pointing that puts the visit's detector on the field. */
function pointingOf({ names }: SeenVisit): readonly [number, number] {
  const centre = detectorFootprint(camera, detectorOf(camera, names.detector), FIELD);
  const east = ((centre.raDeg + 540) % 360) - 180;
  return [(360 - east) % 360, 2 * DEC - centre.decDeg];
}

export function footprintOf(visit: SeenVisit) {
  const [raDeg, decDeg] = pointingOf(visit);
  return detectorFootprint(camera, detectorOf(camera, visit.names.detector), { raDeg, decDeg, cameraAngleDeg: 0 });
}

/** What the log of the observatory would tell of a visit, as far as it is read. */
export function factsOf(visit: SeenVisit): ObservatoryEvent[] {
  const { visit: id, exposure, group, detector, band, physicalFilter, exposureSeconds, midpointMjdTai } = visit.names;
  const named = { instrument: 'minicam', dayObs: NIGHT, group, visit: id, exposure, snap: 0 } as const;
  return [
    {
      type: 'NextVisitAnnounced', dayObs: NIGHT, salIndex: 0, scriptSalIndex: 0, groupId: group, coordinateSystem: 2,
      position: pointingOf(visit), startTime: 0, rotationSystem: 2, cameraAngle: 0, filters: physicalFilter, dome: 4,
      duration: 30, nimages: 1, instrument: 'minicam', survey: 'test', totalCheckpoints: 1, private_sndStamp: 0,
    },
    { ...named, type: 'ExposureEnded', band, physicalFilter, exposureSeconds, midpointMjdTai, detectors: [detector] },
    { ...named, type: 'DetectorRead', detector, uri: 'raw', bytes: 1, checksum: `raw ${id}`, readoutEndedMs: 0 },
  ];
}

/** Detectors that answer for every object but one in seven, which lies beside; `asked` has what they were asked. */
export function answeringPixels(visits: readonly SeenVisit[]) {
  const asked: string[] = [], broken = new Set<number>();
  const process: ProcessDetector = async ({ read, known, knownPosition }) => {
    if (broken.has(read.visit)) {
      return { status: 'failed', progress: [], failure: {
        stage: 'ingest', code: 'RAW_MISSING', message: 'no raw', disposition: 'reject', details: {} } };
    }
    asked.push(...known.map(({ diaObjectId }) => `${diaObjectId} ${read.visit} ${read.detector}`));
    const forced = known.filter(({ diaObjectId }) => diaObjectId % 7n !== 0n).map((place) => (
      { ...place, psfFlux: Number(place.diaObjectId % 1000n), psfFluxErr: 2, scienceFlux: 30, scienceFluxErr: 3 }));
    return { status: 'measured', knownPosition, progress: [], measurements: { ...visits[0].measurements, forced } };
  };
  return { asked, broken, process };
}

/** Every valid object with its forced rows. */
export async function forcedOf(apdb: Apdb) {
  const { objects } = await apdb.loadRegion(WHOLE_SKY, -Infinity);
  return objects.map(({ diaObject, forcedSources }) => ({
    row: decodeDiaObject(diaObject), forced: [...forcedSources].map(({ payload }) => decodeDiaForcedSource(payload)),
  }));
}
