/**
 * What a visit needs before its shutter opens (DESIGN §5): calibrations, references, templates, and the sky region's
 * history.
 */
import type { Camera, Detector } from '../schemas/camera.ts';
import { pixelScaleArcsec } from '../schemas/camera.ts';
import type { NextVisit } from '../schemas/events.ts';
import type { DayObs, DetectorId } from '../schemas/ids.ts';
import type { DetectorProductKind, Product } from '../schemas/products.ts';
import type { Band } from '../schemas/units.ts';
import { engineConfig } from './config.ts';
import { StageError } from './errors.ts';
import { nominalWcs, pixelToSky } from './image/wcs.ts';

/** A cone on the sky, degrees. */
export type SkyCone = Readonly<{ raDeg: number; decDeg: number; radiusDeg: number }>;

export type Boresight = Readonly<{ raDeg: number; decDeg: number; cameraAngleDeg: number }>;

/** Where the index of products is read; the composition root gives it. */
export type FindProduct = (query: Readonly<{
  kind: DetectorProductKind; band: Band; detector: DetectorId; dayObs: DayObs; raDeg: number; decDeg: number;
}>) => (Product & Readonly<{ path: string }>) | null;

/** Files for one detector of a visit, each with the digest that it must have. */
export type DetectorProducts = Readonly<Record<DetectorProductKind, (Product & Readonly<{ path: string }>) | null>>;

/**
 * Pointing of an announced visit.
 *
 * @throws StageError POINTING_UNKNOWN when it has no position on the sky (calibration and engineering visits).
 */
export function boresightOf(visit: NextVisit): Boresight {
  const isSky = (visit.coordinateSystem === 2 || visit.coordinateSystem === 1)
    && (visit.rotationSystem === 2 || visit.rotationSystem === 1);
  const [raDeg, decDeg] = visit.position;
  if (!isSky || !Number.isFinite(raDeg) || !(Math.abs(decDeg) <= 90)) {
    throw new StageError({
      code: 'POINTING_UNKNOWN', disposition: 'reject',
      message: `visit ${visit.groupId} has no position on the sky `
        + `(coordinate system ${visit.coordinateSystem}, position ${visit.position.join(', ')})`,
    });
  }
  return { raDeg, decDeg, cameraAngleDeg: visit.cameraAngle };
}

/** Degrees by which rounding may put a position on the other side of a cone's edge, and more. */
const EDGE_DEG = 1e-5;

/** Whether a position lies in a cone, its edge included; by the haversine formula, which is exact for small angles. */
export function isInside(cone: SkyCone, raDeg: number, decDeg: number): boolean {
  // Nothing is nearer than its declination tells, which costs no sine: most of a catalogue is elsewhere.
  if (Math.abs(decDeg - cone.decDeg) > cone.radiusDeg + EDGE_DEG) return false;
  const rad = Math.PI / 180;
  const sinDec = Math.sin(((decDeg - cone.decDeg) * rad) / 2), sinRa = Math.sin(((raDeg - cone.raDeg) * rad) / 2);
  const h = sinDec * sinDec + Math.cos(cone.decDeg * rad) * Math.cos(decDeg * rad) * sinRa * sinRa;
  return 2 * Math.asin(Math.min(1, Math.sqrt(h))) <= cone.radiusDeg * rad;
}

/** `isInside` of one cone, for many positions: most of those that right ascension rules out cost no sine. */
export function insideOf(cone: SkyCone): (raDeg: number, decDeg: number) => boolean {
  const rad = Math.PI / 180, isPolar = Math.abs(cone.decDeg) + cone.radiusDeg > 89;
  // A circle of radius r reaches asin(sin r / cos δ) to the east of its middle.
  const reachDeg = isPolar ? 360
    : Math.asin(Math.sin(cone.radiusDeg * rad) / Math.cos(cone.decDeg * rad)) / rad + 100 * EDGE_DEG;
  return (raDeg, decDeg) => {
    const difference = Math.abs(raDeg - cone.raDeg), turned = difference > 360 ? difference % 360 : difference;
    return Math.min(turned, 360 - turned) <= reachDeg && isInside(cone, raDeg, decDeg);
  };
}

/** Declinations beyond which nothing is in a cone. */
export function declinationsOf({ decDeg, radiusDeg }: SkyCone): Readonly<{ fromDeg: number; toDeg: number }> {
  return { fromDeg: decDeg - radiusDeg - EDGE_DEG, toDeg: decDeg + radiusDeg + EDGE_DEG };
}

/** The cone of one detector, with room for pointing errors and the association gate. */
export function detectorFootprint(camera: Camera, detector: Detector, boresight: Boresight): SkyCone {
  const wcs = nominalWcs(camera, detector, boresight.raDeg, boresight.decDeg, boresight.cameraAngleDeg);
  const { raDeg, decDeg } = pixelToSky(wcs, (detector.width - 1) / 2, (detector.height - 1) / 2);
  const halfDiagonalArcsec = (Math.hypot(detector.width, detector.height) / 2) * pixelScaleArcsec(camera);
  return { raDeg, decDeg, radiusDeg: (halfDiagonalArcsec + engineConfig.detectorPaddingArcsec) / 3600 };
}

/** The cone of the whole focal plane, padded: it contains every detector's footprint. */
export function visitRegion(camera: Camera, boresight: Boresight): SkyCone {
  const halfMm = (d: Detector) => (Math.hypot(d.width, d.height) / 2) * camera.pixelSizeMm;
  const radiusMm = Math.max(...camera.detectors.map((d) => Math.hypot(d.centerMm[0], d.centerMm[1]) + halfMm(d)));
  const radiusArcsec = radiusMm * camera.plateScaleArcsecPerMm + engineConfig.regionPaddingArcsec;
  return { raDeg: boresight.raDeg, decDeg: boresight.decDeg, radiusDeg: radiusArcsec / 3600 };
}

/** The products that serve one detector of a visit; null where none fits. */
export function findProducts(
  find: FindProduct, camera: Camera, detector: Detector, boresight: Boresight, band: Band, dayObs: DayObs,
): DetectorProducts {
  const { raDeg, decDeg } = detectorFootprint(camera, detector, boresight);
  const query = { band, detector: detector.id, dayObs, raDeg, decDeg };
  return {
    bias: find({ ...query, kind: 'bias' }), flat: find({ ...query, kind: 'flat' }),
    dark: find({ ...query, kind: 'dark' }), fringe: find({ ...query, kind: 'fringe' }),
    electronics: find({ ...query, kind: 'electronics' }),
    objects: find({ ...query, kind: 'objects' }),
    references: find({ ...query, kind: 'references' }), template: find({ ...query, kind: 'template' }),
  };
}
