import { expect, test } from 'vitest';
import { calibrateConfig } from '../../engine/stages/calibrate/config.ts';
import { fitZeroPoint } from '../../engine/stages/calibrate/zeroPoint.ts';
import { skyRandom } from '../support/skyRandom.ts';

const { photometry } = calibrateConfig, ZERO_POINT = 28.3;

/** Standards of 0.01 mag whose zero point depends on their colour by `term`, about the reference colour. */
function pairs(seed: number, count: number, term: number, isColoured = true) {
  const random = skyRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const colour = 0.2 + 2.5 * random.uniform(), mag = 17 + 4 * random.uniform();
    const zeroPoint = ZERO_POINT + term * (colour - photometry.referenceColourMag) + 0.01 * random.normal();
    const flux = 10 ** (0.4 * (zeroPoint - mag));
    return {
      star: { x: 0, y: 0, xErr: 0.01, yErr: 0.01, flux, fluxErr: flux * 0.005, isIsolated: true },
      reference: {
        refId: String(i), raDeg: 0, decDeg: 0, raErrMas: 5, decErrMas: 5, mag, magErr: 0.007,
        colourMag: isColoured ? colour : null,
      },
    };
  });
}

test('a colour term is found, and the zero point is that of the reference colour', () => {
  const fit = fitZeroPoint(pairs(3, 300, 0.05), 1, photometry);
  // Colours spread by 2.5 / √12 = 0.72 mag: 300 standards of 0.01 mag tell the slope to 8e-4, the level to 6e-4.
  expect(Math.abs(fit.colourTerm - 0.05)).toBeLessThan(4 * 8e-4);
  expect(Math.abs(fit.zeroPointMag - ZERO_POINT)).toBeLessThan(4 * 8e-4);
});

test('without a term none is believed, and without colours none is looked for', () => {
  const plain = fitZeroPoint(pairs(4, 300, 0), 1, photometry), blind = fitZeroPoint(pairs(4, 300, 0, false), 1, photometry);
  expect(plain.zeroPointMag).toBe(blind.zeroPointMag);
  expect(Math.abs(plain.colourTerm)).toBeLessThan(4 * plain.colourTermErr);
  expect(blind).toMatchObject({ colourTerm: 0, colourTermErr: NaN });
  expect(fitZeroPoint(pairs(5, photometry.colourStandardCountMin - 1, 0.3), 1, photometry).colourTermErr).toBeNaN();
});

test('standards of a wrong colour or magnitude do not tilt it', () => {
  const good = pairs(6, 200, 0.04), bad = pairs(7, 12, 0.04).map((pair) => (
    { ...pair, reference: { ...pair.reference, mag: (pair.reference.mag ?? 0) + 0.7 } }
  ));
  const fit = fitZeroPoint([...good, ...bad], 1, photometry);
  expect(Math.abs(fit.colourTerm - 0.04)).toBeLessThan(0.005);
  expect(Math.abs(fit.zeroPointMag - ZERO_POINT)).toBeLessThan(0.005);
});

test('standards with the magnitudes of other stars give no zero point, and poor ones one with a large error', () => {
  const random = skyRandom(8), good = pairs(9, 100, 0);
  const spoilt = (sigma: number) => good.map((pair) => (
    { ...pair, reference: { ...pair.reference, mag: (pair.reference.mag ?? 0) + sigma * random.normal() } }
  ));
  expect(() => fitZeroPoint(spoilt(1.5), 1, photometry)).toThrow(
    expect.objectContaining({ code: 'ZERO_POINT_SCATTERED', disposition: 'reject' }));
  const poor = fitZeroPoint(spoilt(0.1), 1, photometry);
  // 0.1 mag each: 0.01 of a hundred. χ² of them scatters by a tenth; half as much again bounds both sides.
  expect(poor.zeroPointErrMag).toBeGreaterThan(0.01 / 1.5);
  expect(poor.zeroPointErrMag).toBeLessThan(0.01 * 1.5);
  expect(Math.abs(poor.zeroPointMag - ZERO_POINT)).toBeLessThan(4 * poor.zeroPointErrMag);
});
