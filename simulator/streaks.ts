/** Satellites, aeroplanes and ghosts: light that is of neither the sky nor the detector. */
import { streakConfig } from './config.ts';
import { sunDirection, altitudeDeg, zenithAt } from './ephemeris.ts';
import { angleBetween, fromTangent, skyOfVector, tangentPlane, type PixelMap, type UnitVector } from './projection.ts';
import { poisson, randomStream, uniform, uniformBetween } from './random.ts';

/** A straight path over the field during one exposure. */
export type Streak = Readonly<{
  kind: 'satellite' | 'aeroplane'; start: UnitVector; end: UnitVector; mag: number; degreesPerSecond: number;
  widthArcsec: number;
}>;

/** What a streak or a ghost did to one detector, pixels; for truth. */
export type DrawnStreak = Readonly<{
  kind: Streak['kind']; x0: number; y0: number; x1: number; y1: number; widthPx: number; electronsPerPx: number;
}>;
export type DrawnGhost = Readonly<{ x: number; y: number; radiusPx: number; electrons: number }>;

/** The streaks of an exposure over a field, the same for every detector. @param radius Of the field, radians. */
export function streaksOf(
  seed: number, exposure: number, field: UnitVector, radius: number, mjdTai: number, seconds: number,
): Streak[] {
  const random = randomStream(seed, 'streaks', exposure);
  const areaSquareDegrees = Math.PI * (radius * (180 / Math.PI)) ** 2;
  // Satellites at 550 km are lit for as long as the Sun is not far below the horizon: to 35° some are.
  const sunAltitude = altitudeDeg(sunDirection(mjdTai), zenithAt(mjdTai));
  const lit = Math.max(0, Math.min(1, (35 + sunAltitude) / 17));
  const rate = streakConfig.satellitesPerSquareDegreeSecond * lit * seconds * Math.max(areaSquareDegrees, 0.01);
  const satellites = poisson(random, rate);
  const aeroplanes = poisson(random, streakConfig.aeroplanesPerSquareDegree * areaSquareDegrees);
  const { raDeg, decDeg } = skyOfVector(field), plane = tangentPlane(raDeg, decDeg);
  return Array.from({ length: satellites + aeroplanes }, (_, index): Streak => {
    const isPlane = index >= satellites, angle = uniformBetween(random, 0, 2 * Math.PI);
    const offset = radius * uniformBetween(random, -1, 1);
    const half = 1.5 * radius, cos = Math.cos(angle), sin = Math.sin(angle);
    const at = (along: number): UnitVector =>
      fromTangent(plane, along * cos - offset * sin, along * sin + offset * cos);
    const {
      satelliteMagMin, satelliteMagMax, satelliteDegreesPerSecondMin: slow, satelliteDegreesPerSecondMax: fast,
    } = streakConfig;
    return {
      kind: isPlane ? 'aeroplane' : 'satellite', start: at(-half), end: at(half),
      mag: isPlane ? uniformBetween(random, -2, 2)
        : satelliteMagMin + (satelliteMagMax - satelliteMagMin) * Math.sqrt(uniform(random)),
      degreesPerSecond: isPlane ? uniformBetween(random, 0.5, 2) : uniformBetween(random, slow, fast),
      widthArcsec: isPlane ? 40 : streakConfig.satelliteFocusArcsec,
    };
  });
}

/**
 * Adds a streak with a Gaussian profile across.
 *
 * @param plane [height × width] row-major, electrons. Added to.
 * @param electronsPerSecond Of a source of the streak's magnitude, before the detector's response.
 */
export function drawStreak(
  plane: Float32Array, map: PixelMap, streak: Streak, electronsPerSecond: number, seeingArcsec: number,
  scaleArcsec: number,
): DrawnStreak | null {
  const a = map.toPixel(streak.start), b = map.toPixel(streak.end);
  if (!a || !b) return null;
  const length = Math.hypot(b.x - a.x, b.y - a.y), nx = -(b.y - a.y) / length, ny = (b.x - a.x) / length;
  const fwhmPx = Math.hypot(streak.widthArcsec, seeingArcsec) / scaleArcsec, sigma = fwhmPx / 2.3548;
  const reach = 4.5 * sigma;
  const pixelsPerSecond = (streak.degreesPerSecond * 3600) / scaleArcsec, perPx = electronsPerSecond / pixelsPerSecond;
  const height = perPx / (sigma * Math.sqrt(2 * Math.PI)), c = nx * a.x + ny * a.y;
  const isSteep = Math.abs(ny) < Math.abs(nx);
  let touched = false;
  for (let y = 0; y < map.height; y++) {
    // Along a row the distance to the line changes by nx a pixel; a level streak crosses the whole row or none of it.
    const at = ny * y - c;
    let x0 = 0, x1 = map.width - 1;
    if (isSteep || Math.abs(nx) > 1e-6) {
      const p = (-reach - at) / nx, q = (reach - at) / nx;
      x0 = Math.max(0, Math.ceil(Math.min(p, q)));
      x1 = Math.min(map.width - 1, Math.floor(Math.max(p, q)));
    } else if (Math.abs(at) > reach) continue;
    for (let x = x0; x <= x1; x++) {
      const d = (at + nx * x) / sigma;
      plane[y * map.width + x] += height * Math.exp(-0.5 * d * d);
      touched = true;
    }
  }
  return touched ? { kind: streak.kind, x0: a.x, y0: a.y, x1: b.x, y1: b.y, widthPx: fwhmPx, electronsPerPx: perPx }
    : null;
}

/**
 * Adds the ghost of a bright star: light that two surfaces sent back, an even disc with the pupil's hole, farther from
 * the axis than its star.
 */
export function drawGhost(
  plane: Float32Array, map: PixelMap, place: UnitVector, axis: UnitVector, electrons: number, scaleArcsec: number,
): DrawnGhost | null {
  const at = map.toPixel(place), centre = map.toPixel(axis);
  if (!at || !centre || angleBetween(place, axis) > 0.1) return null;
  const x = centre.x + (at.x - centre.x) * 1.04, y = centre.y + (at.y - centre.y) * 1.04;
  const radius = streakConfig.ghostDiameterArcsec / 2 / scaleArcsec, hole = 0.61 * radius; // Rubin's pupil.
  const level = (electrons * streakConfig.ghostPart) / (Math.PI * (radius * radius - hole * hole));
  let touched = false;
  for (let row = Math.max(0, Math.ceil(y - radius)); row <= Math.min(map.height - 1, y + radius); row++) {
    for (let column = Math.max(0, Math.ceil(x - radius)); column <= Math.min(map.width - 1, x + radius); column++) {
      const r2 = (column - x) ** 2 + (row - y) ** 2;
      if (r2 > radius * radius || r2 < hole * hole) continue;
      plane[row * map.width + column] += level;
      touched = true;
    }
  }
  return touched ? { x, y, radiusPx: radius, electrons: electrons * streakConfig.ghostPart } : null;
}
