import { expect, test } from 'vitest';
import fc from 'fast-check';
import { loadCamera } from '../../schemas/camera.ts';
import { detectorMap, skyOfVector, tanGridMap, unitVector } from '../../simulator/projection.ts';

const camera = loadCamera('minicam');
const RADIANS = Math.PI / 180;

/** The conventions of schemas/camera.ts by spherical trigonometry (Calabretta & Greisen 2002, TAN), not by vectors. */
function pixelByTrigonometry(
  raDeg: number, decDeg: number, ra0Deg: number, dec0Deg: number, angleDeg: number, detectorIndex: number,
): [number, number] {
  const delta = (raDeg - ra0Deg) * RADIANS, dec = decDeg * RADIANS, dec0 = dec0Deg * RADIANS;
  const theta = angleDeg * RADIANS;
  const denominator = Math.sin(dec) * Math.sin(dec0) + Math.cos(dec) * Math.cos(dec0) * Math.cos(delta);
  const xi = (Math.cos(dec) * Math.sin(delta)) / denominator;
  const eta = (Math.sin(dec) * Math.cos(dec0) - Math.cos(dec) * Math.sin(dec0) * Math.cos(delta)) / denominator;
  // ξ = −u cos θ + v sin θ, η = u sin θ + v cos θ, solved for (u, v) by Cramer's rule; the determinant is −1.
  const u = -(xi * Math.cos(theta) - eta * Math.sin(theta)), v = xi * Math.sin(theta) + eta * Math.cos(theta);
  const detector = camera.detectors[detectorIndex];
  const mm = 3600 / RADIANS / camera.plateScaleArcsecPerMm;
  return [
    (u * mm - detector.centerMm[0]) / camera.pixelSizeMm + (detector.width - 1) / 2,
    (v * mm - detector.centerMm[1]) / camera.pixelSizeMm + (detector.height - 1) / 2,
  ];
}

test('a sky position falls on the pixel that the conventions of camera.ts say, by a closed form', () => {
  fc.assert(fc.property(
    fc.double({ min: 0, max: 359.9, noNaN: true }), fc.double({ min: -85, max: 85, noNaN: true }),
    fc.double({ min: -180, max: 180, noNaN: true }), fc.double({ min: -0.1, max: 0.1, noNaN: true }),
    fc.double({ min: -0.1, max: 0.1, noNaN: true }), fc.integer({ min: 0, max: 8 }),
    (ra0, dec0, angle, dDec, dRa, index) => {
      const ra = ra0 + dRa / Math.cos(dec0 * RADIANS), dec = dec0 + dDec;
      const pointing = { raDeg: ra0, decDeg: dec0, cameraAngleDeg: angle };
      const at = detectorMap(camera, camera.detectors[index], pointing).toPixel(unitVector(ra, dec));
      const [x, y] = pixelByTrigonometry(ra, dec, ra0, dec0, angle, index);
      // Doubles hold 360° to 6e-14°, which is 1e-9 px; the closed form cancels to 1e-7 px near its centre.
      expect(Math.hypot((at?.x ?? NaN) - x, (at?.y ?? NaN) - y)).toBeLessThan(1e-6);
    },
  ));
});

test('with the camera upright, north is up and east is left', () => {
  const map = detectorMap(camera, camera.detectors[4], { raDeg: 50, decDeg: -30, cameraAngleDeg: 0 });
  const north = map.toPixel(unitVector(50, -30 + 10 / 3600)), east = map.toPixel(unitVector(50 + 10 / 3600, -30));
  expect(north?.y).toBeGreaterThan(511.5 + 49);
  expect(east?.x).toBeLessThan(511.5 - 43); // 10″ · cos 30° = 43.3 px of 0.2″.
});

test('a position angle of the camera turns +y from north towards east', () => {
  const map = detectorMap(camera, camera.detectors[4], { raDeg: 50, decDeg: 0, cameraAngleDeg: 90 });
  const up = skyOfVector(map.toSky(511.5, 511.5 + 100));
  expect((up.raDeg - 50) * 3600).toBeCloseTo(20, 3); // 100 px of 0.2″, east.
  expect(up.decDeg * 3600).toBeCloseTo(0, 3);
});

test('toSky undoes toPixel on a detector and on a template grid', () => {
  const maps = [
    detectorMap(camera, camera.detectors[2], { raDeg: 359.99, decDeg: -44, cameraAngleDeg: 12 }),
    tanGridMap(
      { width: 1200, height: 1100, crval: [0.01, -44.02], crpix: [600, 550], cd: [-5.5e-5, 2e-8, 2e-8, 5.5e-5] },
    ),
  ];
  const pixel = fc.double({ min: -50, max: 1200, noNaN: true });
  fc.assert(fc.property(fc.constantFrom(...maps), pixel, pixel, (map, x, y) => {
    const at = map.toPixel(map.toSky(x, y));
    expect(Math.hypot((at?.x ?? NaN) - x, (at?.y ?? NaN) - y)).toBeLessThan(1e-7);
  }));
});
