import type { KnownDiaObject } from '../../../engine/stages/associate/features.ts';
import type { AssociationContext, MeasuredDiaSource } from '../../../engine/stages/associate/associate.ts';
import {
  decodeDiaObject, encodeDiaForcedSource, encodeDiaObject, encodeDiaSource,
} from '../../../schemas/avro.ts';
import {
  newDiaForcedSource, newDiaObject, newDiaSource, type DiaForcedSource, type DiaObject, type DiaSource,
} from '../../../schemas/diaRows.ts';
import { lightCurveOf, type LightCurve } from '../../../schemas/lightCurve.ts';
import { asDayObs, asDetectorId, diaSourceIdOf, visitOf } from '../../../schemas/ids.ts';

export type SourcePoint = Pick<DiaSource,
  | 'diaSourceId' | 'midpointMjdTai' | 'band' | 'ra' | 'dec' | 'raErr' | 'decErr' | 'ra_dec_Cov'
  | 'psfFlux' | 'psfFluxErr' | 'scienceFlux' | 'scienceFluxErr'>;
export type ForcedPoint = Pick<DiaForcedSource,
  'diaForcedSourceId' | 'midpointMjdTai' | 'band' | 'psfFlux' | 'psfFluxErr'>;

export const ARCSEC = 1 / 3600;
export const visit = visitOf(asDayObs(20261120), 42);
export const detector = asDetectorId(4);
export const midpointMjdTai = 61364.25;

export const context: AssociationContext = {
  visit, detector, band: 'r', midpointMjdTai, timeProcessedMjdTai: 61364.2507, forced: [],
};

/** A source of the test visit at (ra, dec), 0.1″ errors; its id has this counter. */
export function measured(counter: number, ra: number, dec: number, more: Partial<DiaSource> = {}): MeasuredDiaSource {
  return newDiaSource({
    diaSourceId: diaSourceIdOf(visit, detector, counter), visit: BigInt(visit), detector, midpointMjdTai, band: 'r',
    ra, dec, raErr: 0.1 * ARCSEC, decErr: 0.1 * ARCSEC, x: 100, y: 200, bboxSize: 21, timeProcessedMjdTai: 0,
    psfFlux: 1000, psfFluxErr: 50, scienceFlux: 5000, scienceFluxErr: 80, snr: 20, ...more,
  });
}

/** An object with 0.1″ errors, seen `sources.length` times, as it would be decoded. */
export function known(
  diaObjectId: bigint, ra: number, dec: number, sources: readonly SourcePoint[] = [], more: Partial<DiaObject> = {},
): KnownDiaObject {
  const last = decodeDiaObject(encodeDiaObject(newDiaObject({
    diaObjectId, ra, dec, raErr: 0.1 * ARCSEC, decErr: 0.1 * ARCSEC, ra_dec_Cov: 0, validityStartMjdTai: 61000,
    nDiaSources: Math.max(1, sources.length), firstDiaSourceMjdTai: 61000, lastDiaSourceMjdTai: 61300, ...more,
  })));
  return { diaObjectId, place: last, last, sources: curve(sources), forced: forcedCurve([]) };
}

/** One earlier measurement at (ra, dec) with 0.1″ errors. */
export function point(
  diaSourceId: bigint, mjd: number, psfFlux: number | null, psfFluxErr: number | null, more: Partial<SourcePoint> = {},
): SourcePoint {
  return {
    diaSourceId, midpointMjdTai: mjd, band: 'r', ra: 150, dec: 2, raErr: 0.1 * ARCSEC, decErr: 0.1 * ARCSEC,
    ra_dec_Cov: null, psfFlux, psfFluxErr, scienceFlux: null, scienceFluxErr: null, ...more,
  };
}

/** Points as stages see them, by way of their encoded rows. */
export function curve(points: readonly SourcePoint[]): LightCurve {
  return lightCurveOf('source', points.map((given) => ({
    id: given.diaSourceId,
    payload: encodeDiaSource(newDiaSource({
      visit: BigInt(visit), detector, x: 1, y: 2, bboxSize: 9, timeProcessedMjdTai: 0, ...given,
    })),
  })));
}

export function forcedCurve(points: readonly ForcedPoint[]): LightCurve {
  return lightCurveOf('forced', points.map((given) => ({
    id: given.diaForcedSourceId,
    payload: encodeDiaForcedSource(newDiaForcedSource({
      diaObjectId: 7n, visit: BigInt(visit), detector, ra: 150, dec: 2, timeProcessedMjdTai: 0, ...given,
    })),
  })));
}
