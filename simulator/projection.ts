/**
 * From the sky to a detector's pixels, by the conventions of `schemas/camera.ts`. Written on vectors, where the
 * engine's WCS follows the FITS papers, so that a sign error cannot cancel.
 */
import type { Camera, Detector } from '../schemas/camera.ts';

export const ARCSEC_PER_RADIAN = (180 * 3600) / Math.PI;
const RADIANS = Math.PI / 180;

/** Unit vector towards a place on the sky: x to (0, 0), z to the north pole. */
export type UnitVector = readonly [number, number, number];

/** Where the telescope points, and how the camera is turned: θ of `schemas/camera.ts`. */
export type Pointing = Readonly<{ raDeg: number; decDeg: number; cameraAngleDeg: number }>;

/** A tangent plane: unit vectors to its centre, to the east and to the north. */
export type TangentPlane = Readonly<{ centre: UnitVector; east: UnitVector; north: UnitVector }>;

export function unitVector(raDeg: number, decDeg: number): UnitVector {
  const ra = raDeg * RADIANS, dec = decDeg * RADIANS;
  return [Math.cos(dec) * Math.cos(ra), Math.cos(dec) * Math.sin(ra), Math.sin(dec)];
}

export function skyOfVector([x, y, z]: UnitVector): { raDeg: number; decDeg: number } {
  const ra = Math.atan2(y, x) / RADIANS;
  return { raDeg: ra < 0 ? ra + 360 : ra, decDeg: Math.atan2(z, Math.hypot(x, y)) / RADIANS };
}

export function tangentPlane(raDeg: number, decDeg: number): TangentPlane {
  const ra = raDeg * RADIANS, dec = decDeg * RADIANS;
  return {
    centre: unitVector(raDeg, decDeg),
    east: [-Math.sin(ra), Math.cos(ra), 0],
    north: [-Math.sin(dec) * Math.cos(ra), -Math.sin(dec) * Math.sin(ra), Math.cos(dec)],
  };
}

/** ξ (east) and η (north), radians; null when the place is 90° or more away. */
export function toTangent(plane: TangentPlane, place: UnitVector): { xi: number; eta: number } | null {
  const along = dot(plane.centre, place);
  if (along <= 0) return null;
  return { xi: dot(plane.east, place) / along, eta: dot(plane.north, place) / along };
}

export function fromTangent(plane: TangentPlane, xi: number, eta: number): UnitVector {
  const norm = Math.hypot(1, xi, eta);
  const at = (i: 0 | 1 | 2): number => (plane.centre[i] + xi * plane.east[i] + eta * plane.north[i]) / norm;
  return [at(0), at(1), at(2)];
}

function dot(a: UnitVector, b: UnitVector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Maps between the sky and one image's pixels. Pixel (0, 0) is the centre of the first pixel. */
export type PixelMap = Readonly<{
  width: number; height: number;
  toPixel: (place: UnitVector) => { x: number; y: number } | null;
  toSky: (x: number, y: number) => UnitVector;
}>;

/** The map of one detector under a pointing, by `schemas/camera.ts`. */
export function detectorMap(camera: Camera, detector: Detector, pointing: Pointing): PixelMap {
  const plane = tangentPlane(pointing.raDeg, pointing.decDeg);
  const theta = pointing.cameraAngleDeg * RADIANS, sin = Math.sin(theta), cos = Math.cos(theta);
  const radiansPerMm = camera.plateScaleArcsecPerMm / ARCSEC_PER_RADIAN;
  const { width, height, centerMm: [centreX, centreY] } = detector;
  const middleX = (width - 1) / 2, middleY = (height - 1) / 2, sizeMm = camera.pixelSizeMm;
  const turn = QUARTER_TURNS[detector.quarterTurns ?? 0], [turnCos, turnSin] = turn;
  const [k1, k2] = camera.distortion ?? [0, 0];
  return {
    width, height,
    toPixel(place) {
      const tangent = toTangent(plane, place);
      if (!tangent) return null;
      const shrink = 1 / stretchOf(Math.hypot(tangent.xi, tangent.eta), k1, k2) / radiansPerMm;
      const du = (-tangent.xi * cos + tangent.eta * sin) * shrink - centreX;
      const dv = (tangent.xi * sin + tangent.eta * cos) * shrink - centreY;
      return {
        x: (du * turnCos + dv * turnSin) / sizeMm + middleX, y: (dv * turnCos - du * turnSin) / sizeMm + middleY,
      };
    },
    toSky(x, y) {
      const dx = sizeMm * (x - middleX), dy = sizeMm * (y - middleY);
      const u = (centreX + dx * turnCos - dy * turnSin) * radiansPerMm;
      const v = (centreY + dx * turnSin + dy * turnCos) * radiansPerMm;
      const p2 = u * u + v * v, stretch = 1 + p2 * (k1 + p2 * k2);
      return fromTangent(plane, (-u * cos + v * sin) * stretch, (u * sin + v * cos) * stretch);
    },
  };
}

/** Cosine and sine of each number of quarter turns, exact. */
const QUARTER_TURNS: readonly (readonly [number, number])[] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/** Stretch 1 + k₁ p² + k₂ p⁴ of the undistorted radius p that belongs to a radius on the tangent plane, radians. */
function stretchOf(radius: number, k1: number, k2: number): number {
  if (k1 === 0 && k2 === 0) return 1;
  let p = radius;
  // Steps shrink by the distortion, below 1e-3 within any camera's field: five reach 1e-16.
  for (let step = 0; step < 5; step++) p = radius / (1 + p * p * (k1 + p * p * k2));
  return radius === 0 ? 1 : radius / p;
}

/** A TAN grid as FITS headers hold it: `cd` in degrees per pixel, `crpix` 0-based. */
export type TanGrid = Readonly<{
  width: number; height: number; crval: readonly [number, number]; crpix: readonly [number, number];
  cd: readonly [number, number, number, number];
}>;

export function tanGridMap(grid: TanGrid): PixelMap {
  const plane = tangentPlane(grid.crval[0], grid.crval[1]);
  const [a, b, c, d] = grid.cd.map((value) => value * RADIANS);
  const determinant = a * d - b * c;
  return {
    width: grid.width, height: grid.height,
    toPixel(place) {
      const tangent = toTangent(plane, place);
      if (!tangent) return null;
      return {
        x: grid.crpix[0] + (d * tangent.xi - b * tangent.eta) / determinant,
        y: grid.crpix[1] + (-c * tangent.xi + a * tangent.eta) / determinant,
      };
    },
    toSky(x, y) {
      const dx = x - grid.crpix[0], dy = y - grid.crpix[1];
      return fromTangent(plane, a * dx + b * dy, c * dx + d * dy);
    },
  };
}

/** Radius of the smallest cone about the middle of an image that holds all of it, radians. */
export function imageRadius(map: PixelMap): { centre: UnitVector; radius: number } {
  const centre = map.toSky((map.width - 1) / 2, (map.height - 1) / 2);
  let radius = 0;
  for (const [x, y] of [[0, 0], [map.width - 1, 0], [0, map.height - 1], [map.width - 1, map.height - 1]]) {
    radius = Math.max(radius, angleBetween(centre, map.toSky(x, y)));
  }
  return { centre, radius };
}

export function angleBetween(a: UnitVector, b: UnitVector): number {
  return 2 * Math.asin(Math.min(1, Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) / 2));
}
