import { expect, test } from 'vitest';
import { StageError } from '../../engine/errors.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { allocateMaskedImage, asProduct, type MaskedImage } from '../../engine/image/maskedImage.ts';
import { differenceDefaults } from '../../engine/stages/difference/config.ts';
import { warpTemplate } from '../../engine/stages/difference/warp.ts';
import type { Wcs } from '../../engine/image/wcs.ts';
import { pairImage, pairWcs } from '../support/pairScene.ts';

const SIDE = 160, config = differenceDefaults.warp;

function warped(planes: MaskedImage, templateWcs: Wcs, visitWcs: Wcs, side = SIDE): MaskedImage {
  return warpTemplate(asProduct('template', planes), templateWcs, visitWcs, allocateMaskedImage(side, side), config).warped;
}

/** Sum, centroid of the pixels within 12 px. */
function moments(planes: MaskedImage, x: number, y: number): { sum: number; x: number; y: number } {
  let sum = 0, sumX = 0, sumY = 0;
  for (let v = Math.round(y) - 12; v <= Math.round(y) + 12; v++) {
    for (let u = Math.round(x) - 12; u <= Math.round(x) + 12; u++) {
      const value = planes.image[v * planes.width + u];
      sum += value; sumX += value * u; sumY += value * v;
    }
  }
  return { sum, x: sumX / sum, y: sumY / sum };
}

test('a template on the visit\'s own grid comes through unchanged', () => {
  const template = pairImage(SIDE, [{ x: 80.3, y: 70.6, flux: 1e4 }], 1.6, 3, 1);
  const out = warped(template, pairWcs(SIDE), pairWcs(SIDE));
  // The sky mapping there and back is good to 1e-9 px, so the taps are 0 and 1.
  for (let y = 8; y < SIDE - 8; y++) {
    for (let x = 8; x < SIDE - 8; x++) expect(out.image[y * SIDE + x]).toBe(template.image[y * SIDE + x]);
  }
});

test.each([[0.5, 0.5, 0], [0.31, -0.77, 0], [0.4, 0.1, 0.2], [0.4, 0.1, -1], [3.2, 1.9, 20], [0.4, 0.1, 90]])(
  'a shift of (%f, %f) px and a rotation of %f° keep a star\'s flux and put it where the sky is', (dx, dy, rotationDeg) => {
    const templateWcs = pairWcs(SIDE, dx, dy, rotationDeg), visitWcs = pairWcs(SIDE);
    const template = pairImage(SIDE, [{ x: (SIDE - 1) / 2 + dx, y: (SIDE - 1) / 2 + dy, flux: 1e4 }], 1.6, 0, 1);
    const found = moments(warped(template, templateWcs, visitWcs), (SIDE - 1) / 2, (SIDE - 1) / 2);
    // Lanczos-4 passes a Gaussian of σ = 1.6 px to a part in 10³ at worst phase; positions are tabled to 1/2048 px.
    expect(Math.abs(found.sum - 1e4)).toBeLessThan(10);
    expect(Math.abs(found.x - (SIDE - 1) / 2)).toBeLessThan(2e-3);
    expect(Math.abs(found.y - (SIDE - 1) / 2)).toBeLessThan(2e-3);
  });

test('flux is conserved when template pixels are smaller than the visit\'s', () => {
  const fine: Wcs = { ...pairWcs(SIDE), cd: [-0.2 / 3600 / 1.25, 0, 0, 0.2 / 3600 / 1.25] };
  const template = pairImage(SIDE, [{ x: 79.5, y: 79.5, flux: 1e4 }], 2, 3, 2), bare = pairImage(SIDE, [{ x: 79.5, y: 79.5, flux: 1e4 }], 2, 0, 2);
  template.image.set(bare.image);
  const visit = warped(template, fine, { ...pairWcs(100), crpix: [49.5, 49.5] }, 100);
  expect(Math.abs(moments(visit, 49.5, 49.5).sum - 1e4)).toBeLessThan(10);
  // A visit pixel collects 1.25² template pixels of variance 9.
  expect(visit.variance[50 * 100 + 50]).toBeCloseTo(9 * 1.25 ** 2, 4);
});

test('pixels without template are NaN with NO_DATA, saturation becomes SAT_TEMPLATE, and lost pixels do not spread further', () => {
  const template = pairImage(SIDE, [], 1.6, 1, 3);
  template.mask[50 * SIDE + 60] = maskBits('SAT');
  template.image[100 * SIDE + 40] = NaN;
  const result = warpTemplate(
    asProduct('template', template), pairWcs(SIDE, 20.5, 0), pairWcs(SIDE), allocateMaskedImage(SIDE, SIDE), config,
  );
  const { image, mask } = result.warped;
  expect(mask[50 * SIDE + 39] & maskBits('SAT_TEMPLATE')).not.toBe(0);
  expect(mask[50 * SIDE + 37] & maskBits('SAT_TEMPLATE')).toBe(0);
  expect(mask[50 * SIDE + SIDE - 1]).toBe(maskBits('NO_DATA'));
  expect(image[50 * SIDE + SIDE - 1]).toBeNaN();
  expect(image[100 * SIDE + 20]).toBeNaN();
  expect(image[100 * SIDE + 26]).not.toBeNaN();
  // 20.5 of 160 columns are outside, and the taps of 4 px on three sides.
  expect(result.coverageFraction).toBeGreaterThan(0.8);
  expect(result.coverageFraction).toBeLessThan((SIDE - 20) / SIDE);
});

test('interpolation at half a pixel tells how much single-pixel noise it loses', () => {
  const at = (shift: number): number => warpTemplate(
    asProduct('template', pairImage(SIDE, [], 1, 1, 4)), pairWcs(SIDE, shift, 0), pairWcs(SIDE),
    allocateMaskedImage(SIDE, SIDE), config,
  ).noiseX[0];
  expect(at(0)).toBeCloseTo(1, 6);
  // Σ w² of Lanczos-4 at half a pixel, from its definition.
  const taps = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5].map((d) => (Math.sin(Math.PI * d) * Math.sin((Math.PI * d) / 4) * 4) / (Math.PI * d) ** 2);
  const sum = taps.reduce((a, b) => a + b, 0), squares = taps.reduce((a, b) => a + (b / sum) ** 2, 0);
  // Setting the moments right moves each of eight taps by 1e-3 at most, that is Σ w² by 2 Σ |w| × 1e-3 = 4e-3.
  expect(Math.abs(at(0.5) - squares)).toBeLessThan(4e-3);
});

test('a template beside the visit is refused with the numbers that decided', () => {
  let error: unknown = null;
  try {
    warped(pairImage(SIDE, [], 1, 1, 5), pairWcs(SIDE, 155, 0), pairWcs(SIDE));
  } catch (thrown) { error = thrown; }
  expect(error).toBeInstanceOf(StageError);
  expect(error).toMatchObject({ code: 'TEMPLATE_COVERAGE_TOO_SMALL', disposition: 'reject', details: { coverageFractionMin: 0.1 } });
});
