import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  localTanWcs, nominalWcs, pixelScaleArcsec, pixelToSky, positionAngleDeg, separationArcsec, skyToPixel, wcsFromHeader,
  wcsToCards, type Wcs,
} from '../../engine/image/wcs.ts';
import { detectorOf, loadCamera } from '../../schemas/camera.ts';

/** Positions everywhere on the sphere, poles and the wrap of right ascension included. */
const raDeg = fc.oneof(fc.double({ min: 0, max: 359.999, noNaN: true }), fc.constantFrom(0, 1e-9, 359.9999999));
const decDeg = fc.oneof(fc.double({ min: -90, max: 90, noNaN: true }),
  fc.constantFrom(-90, 90, 0, 89.99999, -89.99999));
const angleDeg = fc.double({ min: -360, max: 360, noNaN: true });
const pixel = fc.double({ min: -200, max: 4300, noNaN: true });

/** A WCS of 0.2″ pixels; the distortion reaches about 40 px at the corners, worse than any survey camera's. */
const wcsArbitrary = fc.record({ raDeg, decDeg, angleDeg, distortion: fc.double({ min: 0.1, max: 1, noNaN: true }),
  isSip: fc.boolean() })
  .map(({ raDeg: ra, decDeg: dec, angleDeg: angle, distortion, isSip }): Wcs => {
    const s = 0.2 / 3600, c = Math.cos(angle * Math.PI / 180), n = Math.sin(angle * Math.PI / 180);
    const a = new Array<number>(16).fill(0), b = new Array<number>(16).fill(0);
    a[2 * 4 + 0] = distortion * 3e-6; a[1 * 4 + 1] = -distortion * 2e-6; a[3 * 4 + 0] = distortion * 5e-10;
    b[0 * 4 + 2] = distortion * 4e-6; b[1 * 4 + 2] = -distortion * 5e-10;
    return { crval: [ra, dec], crpix: [2047.5, 2047.5], cd: [-s * c, s * n, s * n, s * c], sip: isSip
      ? { order: 3, a, b } : null };
  });

describe('wcs', () => {
  test('skyToPixel undoes pixelToSky to 1e-6 px anywhere on the sky, with and without distortion', () => {
    fc.assert(fc.property(wcsArbitrary, pixel, pixel, (wcs, x, y) => {
      const sky = pixelToSky(wcs, x, y);
      const back = skyToPixel(wcs, sky.raDeg, sky.decDeg);
      // Near a pole ra itself carries the position; its double has 6e-14° steps, 1e-9 px.
      return Math.hypot(back.x - x, back.y - y) < 1e-6 && sky.raDeg >= 0 && sky.raDeg < 360;
    }));
  });

  test('a WCS read back from its FITS cards is the same, CRPIX counted from 1 there only', () => {
    fc.assert(fc.property(wcsArbitrary, (wcs) => {
      const cards = wcsToCards(wcs);
      expect(cards.find((card) => card[0] === 'CRPIX1')?.[1]).toBe(wcs.crpix[0] + 1);
      expect(wcsFromHeader(cards)).toEqual(wcs);
    }));
  });

  test('a position behind the tangent plane has no pixel', () => {
    const wcs: Wcs = { crval: [10, 20], crpix: [0, 0], cd: [-1e-4, 0, 0, 1e-4], sip: null };
    expect(skyToPixel(wcs, 190, -20).x).toBeNaN();
    expect(skyToPixel(wcs, 100.0001, 0).x).toBeNaN();
  });

  test('pixelToSky agrees with the published example of Paper II for TAN by hand', () => {
    // One degree east of a reference point on the equator: tan ξ → α = atan(ξ), δ = 0.
    const wcs: Wcs = { crval: [0, 0], crpix: [0, 0], cd: [1, 0, 0, 1], sip: null };
    const sky = pixelToSky(wcs, 1, 0);
    expect(sky.raDeg).toBeCloseTo(Math.atan(Math.PI / 180) * 180 / Math.PI, 12);
    expect(sky.decDeg).toBeCloseTo(0, 12);
  });

  test('nominalWcs puts +y north and +x west at camera angle 0', () => {
    const camera = loadCamera('minicam');
    const wcs = nominalWcs(camera, detectorOf(camera, 4), 150, 2, 0);
    const centre = pixelToSky(wcs, 511.5, 511.5);
    expect(centre.raDeg).toBeCloseTo(150, 10);
    expect(centre.decDeg).toBeCloseTo(2, 10);
    expect(pixelToSky(wcs, 511.5, 611.5).decDeg - centre.decDeg).toBeCloseTo(20 / 3600, 8);
    expect(pixelToSky(wcs, 611.5, 511.5).raDeg).toBeLessThan(centre.raDeg);
    expect(pixelScaleArcsec(wcs)).toBeCloseTo(0.2, 12);
  });

  test('at camera angle 90 the +y axis points east', () => {
    const camera = loadCamera('minicam');
    const wcs = nominalWcs(camera, detectorOf(camera, 4), 150, 0, 90);
    const up = pixelToSky(wcs, 511.5, 611.5);
    expect(up.raDeg - 150).toBeCloseTo(20 / 3600, 8);
    expect(positionAngleDeg(wcs)).toBeCloseTo(90, 9);
  });

  test('nominalWcs places a detector by its centre on the focal plane', () => {
    const camera = loadCamera('minicam');
    // Detector 2 has its centre at (10.64, −10.64) mm: 212.8″ to the west and south at angle 0; the tangent plane is
    // flat to ξ³ ≈ (1.03e-3)³ rad = 6e-8°.
    const sky = pixelToSky(nominalWcs(camera, detectorOf(camera, 2), 150, 0, 0), 511.5, 511.5);
    expect(sky.raDeg - 150).toBeCloseTo(-212.8 / 3600, 6);
    expect(sky.decDeg).toBeCloseTo(-212.8 / 3600, 6);
  });

  test('localTanWcs agrees with the full WCS to a millipixel over a cutout', () => {
    fc.assert(fc.property(wcsArbitrary, fc.double({ min: 100, max: 4000, noNaN: true }), (wcs, x) => {
      const local = localTanWcs(wcs, x, x);
      const sky = pixelToSky(wcs, x + 15, x - 15);
      const back = skyToPixel(local, sky.raDeg, sky.decDeg);
      // What is left out is half the second derivative, ≤ 2 × (3e-6 + 3 × 5e-10 × 2000) px/px² × 15² / 1 < 6e-3 px.
      return Math.hypot(back.x - x - 15, back.y - x + 15) < 6e-3;
    }));
  });

  test('headers with CDELT and CROTA2 or PC matrices give the same WCS as CD', () => {
    const base = wcsToCards({ crval: [10, -30], crpix: [5, 6], cd: [1, 0, 0, 1], sip: null }).filter((c) =>
      !c[0].startsWith('CD'));
    const s = 1 / 3600, c = Math.cos(Math.PI / 6), n = Math.sin(Math.PI / 6);
    const rotated = wcsFromHeader([...base, ['CDELT1', -s], ['CDELT2', s], ['CROTA2', 30]]);
    const pc = wcsFromHeader([...base, ['CDELT1', -s], ['CDELT2', s], ['PC1_1', c], ['PC1_2', n], ['PC2_1', -n],
      ['PC2_2', c]]);
    const expected = [-s * c, -s * n, -s * n, s * c];
    rotated?.cd.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 15));
    pc?.cd.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 15));
  });

  test('a header without a celestial WCS, or with a singular one, gives null', () => {
    expect(wcsFromHeader([])).toBeNull();
    expect(wcsFromHeader(wcsToCards({ crval: [0, 0], crpix: [0, 0], cd: [1, 1, 1, 1], sip: null }))).toBeNull();
  });

  test('separationArcsec crosses the wrap of right ascension and the pole', () => {
    expect(separationArcsec(359.9999, 0, 0.0001, 0)).toBeCloseTo(0.72, 6);
    expect(separationArcsec(0, 89.9999, 180, 89.9999)).toBeCloseTo(0.72, 6);
  });
});
