import { expect, test } from 'vitest';
import { loadCamera } from '../../schemas/camera.ts';
import { drawAureole } from '../../simulator/drawing.ts';
import { detectorMap, unitVector } from '../../simulator/projection.ts';
import { drawGhost, drawStreak, streaksOf, type Streak } from '../../simulator/streaks.ts';

const camera = loadCamera('minicam'), detector = camera.detectors[4];
const map = detectorMap(camera, detector, { raDeg: 40, decDeg: -20, cameraAngleDeg: 0 });
const size = detector.width * detector.height;
const sumOf = (plane: Float32Array): number => plane.reduce((sum, value) => sum + value, 0);

test.each(
  [[0, 300], [300, 0], [200, 170], [-400, 3]],
)('a streak along (%d, %d) leaves its light per pixel of path', (dx, dy) => {
  const plane = new Float32Array(size), middle = 511.5, length = Math.hypot(dx, dy);
  const end = (sign: number): Streak['start'] =>
    map.toSky(middle + (sign * 5 * 1024 * dx) / length, middle + (sign * 5 * 1024 * dy) / length);
  const streak: Streak = {
    kind: 'satellite', start: end(-1), end: end(1), mag: 6, degreesPerSecond: 0.5, widthArcsec: 3,
  };
  const drawn = drawStreak(plane, map, streak, 1e6, 0.8, 0.2);
  expect(drawn?.electronsPerPx).toBeCloseTo(1e6 / (0.5 * 3600 / 0.2), 6);
  // Path within the detector through its middle; what leaves at the ends of the path across its width is some pixels.
  const path = Math.min(1024 / Math.max(1e-9, Math.abs(dx) / length), 1024 / Math.max(1e-9, Math.abs(dy) / length));
  expect(Math.abs(sumOf(plane) / ((drawn?.electronsPerPx ?? 0) * path) - 1)).toBeLessThan(5e-3);
});

test('satellites come by at dusk and not at midnight; the same exposure has the same streaks', () => {
  const count = (mjd: number): number =>
    Array.from({ length: 60 }, (_, exposure) => streaksOf(1, exposure, unitVector(40, -20), 0.03, mjd, 30)).flat()
      .filter(({ kind }) => kind === 'satellite').length;
  expect(count(61_194.98)).toBeGreaterThan(10); // A June evening, the Sun at −20°.
  expect(count(61_195.2)).toBe(0); // Winter's midnight: 83° below.
  const ask = (): Streak[] => streaksOf(1, 5, unitVector(40, -20), 0.03, 61_194.98, 30);
  expect(ask()).toEqual(ask());
});

test('a ghost has its part of the star\'s light and the pupil\'s hole', () => {
  const plane = new Float32Array(size);
  const ghost = drawGhost(plane, map, map.toSky(500, 520), map.toSky(511, 511), 1e8, 0.2);
  expect(Math.abs(sumOf(plane) / (ghost?.electrons ?? 0) - 1)).toBeLessThan(5e-3); // Pixels on the rims.
  expect(plane[520 * detector.width + 500]).toBe(0);
});

test('an aureole holds its light but for what its floor cuts off', () => {
  const plane = new Float32Array(2001 * 2001);
  drawAureole(plane, 2001, 2001, 1000, 1000, 1e6, 10, 1e-3);
  // (1 + r²/α²)^−0.75 of it lies beyond r; the floor is met at r = α √((peak/floor)^(1/1.75) − 1).
  const beyond = ((1e6 * 0.75) / (Math.PI * 100) / 1e-3) ** (-0.75 / 1.75);
  expect(Math.abs(sumOf(plane) / 1e6 - (1 - beyond))).toBeLessThan(2e-3);
});
