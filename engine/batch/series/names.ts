/** Names that a series gives: its bands, its camera, the events of its night. */
import type { Camera } from '../../../schemas/camera.ts';
import type { ObservatoryEvent } from '../../../schemas/events.ts';
import { asDetectorId } from '../../../schemas/ids.ts';
import { messageId } from '../../../schemas/subjects.ts';
import { taiSecondsOfMjd } from '../../../schemas/time.ts';
import { isBand, type Band } from '../../../schemas/units.ts';
import type { PixelUnits } from './frame.ts';
import type { SeriesFrame, SeriesManifest } from './manifest.ts';

/**
 * Pixel of the camera that stands for whatever took the frames; only its product with the plate scale has a meaning.
 */
const PIXEL_SIZE_MM = 0.01;

/** Johnson and Cousins bands, unfiltered light, and the alert band nearest in wavelength. */
const NEAREST_BANDS: Readonly<Record<string, Band>> = {
  U: 'u', B: 'g', V: 'g', G: 'g', R: 'r', I: 'i', RC: 'r', IC: 'i', Z: 'z', Y: 'y',
};

/** The alert's band of a filter as a header names it: itself, the nearest, or r where it tells nothing. */
export function bandOf(filter: string | null): Band {
  const name = (filter ?? '').trim();
  if (isBand(name)) return name;
  const sloan = /^(?:sdss|sloan|ps1|lsst)?[-_ ]?([ugrizy])(?:[p'′]|[-_ ]?(?:sdss|sloan|prime))?$/i.exec(name);
  // One of the class's letters.
  if (sloan && /sdss|sloan|ps1|lsst|[p'′]$/i.test(name)) return sloan[1].toLowerCase() as Band;
  const johnson =
    /^(?:johnson|bessell?|cousins|kron)?[-_ ]?([UBVRI]c?|[GZY])(?:[-_ ](?:johnson|bessell?|cousins))?$/i.exec(name);
  return johnson ? NEAREST_BANDS[johnson[1].toUpperCase()] ?? 'r' : 'r';
}

/** One detector of one amp, the size of the frames. */
export function seriesCamera(
  name: string, width: number, height: number, pixelScaleArcsec: number, units: PixelUnits,
  filters: ReadonlyMap<string, Band>,
): Camera {
  const box = { x0: 0, y0: 0, x1: width, y1: height };
  return {
    name, pixelSizeMm: PIXEL_SIZE_MM, plateScaleArcsecPerMm: pixelScaleArcsec / PIXEL_SIZE_MM,
    physicalFilters: [...filters].map(([filter, band]) => ({ name: filter, band })),
    detectors: [{
      id: asDetectorId(0), name: 'frame', width, height, centerMm: [0, 0],
      amps: [{
        name: 'frame', detectorBox: box, rawWidth: width, rawHeight: height, rawData: box,
        rawSerialOverscan: { x0: width, y0: 0, x1: width, y1: height }, rawParallelOverscan: null,
        flipX: false, flipY: false,
        gainElectronsPerAdu: units.gainElectronsPerAdu, readNoiseElectrons: units.readNoiseElectrons,
        saturationAdu: Number.isFinite(units.saturationAdu) ? units.saturationAdu : 0, biasLevelAdu: 0,
      }],
    }],
  };
}

export type IdentifiedEvent = Readonly<{ event: ObservatoryEvent; id: string }>;

/** What an observatory would have said when a frame was taken, in order. */
export function eventsOfFrame(frame: SeriesFrame, manifest: SeriesManifest, nowMs: number): IdentifiedEvent[] {
  const { instrument, dayObs, pointing } = manifest;
  const { group, visit, exposure, band, physicalFilter, exposureSeconds, midpointMjdTai } = frame;
  const startTime = taiSecondsOfMjd(midpointMjdTai) - exposureSeconds / 2, detector = asDetectorId(0);
  const names = { instrument, dayObs, group, visit, exposure, snap: 0 };
  const id = (event: string, of: 'all' | number = 'all') => messageId(
    { instrument, group, exposure, snap: 0, detector: of, event, attempt: 1 }
  );
  return [
    {
      id: id('NextVisitAnnounced'),
      event: {
        type: 'NextVisitAnnounced', dayObs, salIndex: 1, scriptSalIndex: 1, groupId: group, coordinateSystem: 2,
        position: [pointing.raDeg, pointing.decDeg], startTime, rotationSystem: 2, cameraAngle: 0,
        filters: physicalFilter, dome: 1, duration: exposureSeconds, nimages: 1, instrument, survey: 'series',
        totalCheckpoints: 1, private_sndStamp: startTime,
      },
    },
    {
      id: id('ExposureEnded'),
      event: {
        type: 'ExposureEnded', ...names, band, physicalFilter, exposureSeconds, midpointMjdTai, detectors: [detector],
      },
    },
    {
      id: messageId(
        { instrument, group, exposure, snap: 0, detector, event: 'DetectorRead', attempt: 1 }, frame.checksum,
      ),
      event: {
        type: 'DetectorRead', ...names, detector, uri: frame.path, bytes: frame.bytes, checksum: frame.checksum,
        readoutEndedMs: nowMs,
      },
    },
  ];
}

export function nightEvent(
  manifest: Pick<SeriesManifest, 'instrument' | 'dayObs'>, type: 'NightOpened' | 'NightClosed', visits: number,
): IdentifiedEvent {
  const { instrument, dayObs } = manifest;
  const id = messageId(
    { instrument, group: String(dayObs), exposure: 0, snap: 0, detector: 'all', event: type, attempt: 1 }
  );
  return type === 'NightClosed' ? { id, event: { type, instrument, dayObs, visits } } : {
    id,
    event: {
      type, instrument, dayObs, simulated: false, arguments: { visits, cadenceSeconds: 0, camera: instrument, seed: 0 },
    },
  };
}
