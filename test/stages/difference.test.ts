import { expect, test } from 'vitest';
import { StageError } from '../../engine/errors.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { allocateMaskedImage, asProduct, type MaskedImage } from '../../engine/image/maskedImage.ts';
import { differenceDefaults, type DifferenceConfig } from '../../engine/stages/difference/config.ts';
import { differenceImages, type DifferenceResult } from '../../engine/stages/difference/difference.ts';
import { evaluateKernel } from '../../engine/stages/difference/kernelFit.ts';
import { forcedDefaults } from '../../engine/stages/forced/config.ts';
import { forcedFlux } from '../../engine/stages/forced/forced.ts';
import { pairImage, pairPsf, pairRender, pairStars, pairWcs, type PairSource } from '../support/pairScene.ts';

const SIDE = 320;
const VISIT_SIGMA = 2.0, TEMPLATE_SIGMA = 1.5, VISIT_NOISE = 10, TEMPLATE_NOISE = 4, FLUX_RATIO = 0.9;

function differenced(
  visit: MaskedImage, template: MaskedImage, visitSigma: number, config: DifferenceConfig = differenceDefaults,
): DifferenceResult {
  return differenceImages({
    visitImage: asProduct('visitImage', visit), visitPsf: pairPsf(SIDE, visitSigma), visitWcs: pairWcs(SIDE),
    template: asProduct('template', template), templateWcs: pairWcs(SIDE),
  }, {
    warpedTemplate: allocateMaskedImage(SIDE, SIDE), convolved: allocateMaskedImage(SIDE, SIDE),
    scratch: new Float32Array(SIDE * SIDE), unusable: new Uint8Array(SIDE * SIDE),
  }, config);
}

const brighter = (stars: readonly PairSource[], factor: number): PairSource[] => stars.map((s) => ({ ...s, flux: s.flux * factor }));

/** A visit that lost a tenth to cloud, and a sharper, deeper template; `changes` are in the visit alone. */
function pair(seed: number, changes: readonly PairSource[], visitSigma = VISIT_SIGMA, templateSigma = TEMPLATE_SIGMA): { visit: MaskedImage; template: MaskedImage } {
  const stars = pairStars(seed, SIDE, 90, 2e3, 2e5);
  return {
    visit: pairImage(SIDE, [...brighter(stars, FLUX_RATIO), ...changes], visitSigma, VISIT_NOISE, 100 + seed),
    template: pairImage(SIDE, stars, templateSigma, TEMPLATE_NOISE, 200 + seed),
  };
}

function pixels(result: DifferenceResult): { value: number; sigma: number }[] {
  const { image, variance, mask } = result.difference, used: { value: number; sigma: number }[] = [];
  for (let j = 0; j < image.length; j++) {
    if ((mask[j] & maskBits('EDGE', 'NO_DATA')) === 0) used.push({ value: image[j], sigma: Math.sqrt(variance[j]) });
  }
  return used;
}

test('an image less itself is zero', () => {
  const { visit } = pair(1, []);
  const template = { ...visit, image: visit.image.slice(), mask: visit.mask.slice() };
  const result = differenced(visit, template, VISIT_SIGMA, { ...differenceDefaults, backgroundChi2Min: 0 });
  // The kernel has to be a delta function, which Gaussians of 0.7 px make to about 1e-3 of the noise's high frequencies;
  // stars of peak 8,000 must be gone.
  expect(result.figures.kernelSum).toBeCloseTo(1, 2);
  const rms = Math.sqrt(pixels(result).reduce((sum, { value }) => sum + value * value, 0) / pixels(result).length);
  expect(rms).toBeLessThan(VISIT_NOISE);
});

test('between two Gaussians without noise the kernel turns one into the other, and its sum is the flux ratio', () => {
  const stars = pairStars(2, SIDE, 60, 1e4, 1e5);
  const visit = pairImage(SIDE, brighter(stars, FLUX_RATIO), VISIT_SIGMA, 0, 1), template = pairImage(SIDE, stars, TEMPLATE_SIGMA, 0, 2);
  visit.variance.fill(1);
  template.variance.fill(0.01);
  const { kernel } = differenced(visit, template, VISIT_SIGMA, { ...differenceDefaults, backgroundChi2Min: 0 });
  expect(Math.abs(kernel.sum - FLUX_RATIO)).toBeLessThan(1e-3 * FLUX_RATIO);
  const pixelsOfKernel = new Float32Array(kernel.size ** 2), half = (kernel.size - 1) / 2;
  evaluateKernel(kernel, SIDE / 2, SIDE / 2, pixelsOfKernel);
  const gaussian = (r2: number, sigma: number): number => Math.exp(-r2 / (2 * sigma * sigma)) / (2 * Math.PI * sigma * sigma);
  for (const [x, y] of [[0, 0], [1, 0], [0, 2], [2, 2], [4, 0], [6, 6]]) {
    let convolved = 0;
    for (let v = -half; v <= half; v++) {
      for (let u = -half; u <= half; u++) {
        convolved += pixelsOfKernel[(v + half) * kernel.size + u + half] * gaussian((x - u) ** 2 + (y - v) ** 2, TEMPLATE_SIGMA);
      }
    }
    // Fifteen even functions describe the Gaussian that is wanted; what they leave is below the model error of 0.2 %.
    expect(Math.abs(convolved - FLUX_RATIO * gaussian(x * x + y * y, VISIT_SIGMA))).toBeLessThan(2e-3 * gaussian(0, VISIT_SIGMA));
  }
});

test.each([
  ['template', VISIT_SIGMA, TEMPLATE_SIGMA], ['science', TEMPLATE_SIGMA, VISIT_SIGMA],
] as const)('with the %s the sharper, the noise is white and of the variance told', (sharper, visitSigma, templateSigma) => {
  const { visit, template } = pair(3, [], visitSigma, templateSigma);
  const result = differenced(visit, template, visitSigma);
  expect(result.convolved).toBe(sharper);
  const used = pixels(result), n = used.length;
  const chi2 = used.reduce((sum, { value, sigma }) => sum + (value / sigma) ** 2, 0) / n;
  // χ² of n pixels scatters by √(2/n) = 0.5 %; the kernel's fit takes its 170 unknowns out of the stars; 5 σ and 1 %.
  expect(Math.abs(chi2 - 1)).toBeLessThan(5 * Math.sqrt(2 / n) + 0.01);
  const { image, mask, variance } = result.difference, edge = maskBits('EDGE', 'NO_DATA');
  let neighbours = 0, count = 0;
  for (let j = 0; j + 1 < image.length; j++) {
    if (((mask[j] | mask[j + 1]) & edge) === 0) { neighbours += (image[j] * image[j + 1]) / variance[j]; count++; }
  }
  // The correlation of n independent pairs scatters by 1/√n; the kernel is cut off and fitted: 1 %.
  expect(Math.abs(neighbours / count)).toBeLessThan(5 / Math.sqrt(count) + 0.01);
});

test.each([
  ['template', VISIT_SIGMA, TEMPLATE_SIGMA], ['science', TEMPLATE_SIGMA, VISIT_SIGMA],
] as const)('with the %s the sharper, transients keep their flux and forced errors are theirs', (_, visitSigma, templateSigma) => {
  const pulls: number[] = [];
  for (const seed of [5, 6, 7, 8]) {
    const stars = pairStars(seed, SIDE, 60, 2e3, 5e4);
    // Away from stars: what a transient does to the kernel of a field with one in every stamp is not the question.
    const changes = pairStars(50 + seed, SIDE, 60, 1500, 1500).filter((c) => stars.every((s) => Math.hypot(c.x - s.x, c.y - s.y) > 18))
      .map((c, i) => ({ ...c, flux: i % 2 ? -c.flux : c.flux }));
    const visit = pairImage(SIDE, [...brighter(stars, FLUX_RATIO), ...changes], visitSigma, VISIT_NOISE, 100 + seed);
    const template = pairImage(SIDE, stars, templateSigma, TEMPLATE_NOISE, 200 + seed);
    const { difference, differencePsf } = differenced(visit, template, visitSigma);
    for (const { x, y, flux } of changes) {
      const measured = forcedFlux(difference, differencePsf, x, y, forcedDefaults);
      pulls.push((measured.flux! - flux) / measured.fluxErr!); // No pixel is masked.
    }
  }
  const n = pulls.length, mean = pulls.reduce((a, b) => a + b, 0) / n;
  const scatter = Math.sqrt(pulls.reduce((sum, p) => sum + (p - mean) ** 2, 0) / (n - 1));
  expect(n).toBeGreaterThan(30);
  // Mean of n normal values: 1/√n; their scatter: 1/√(2n). Four of each.
  expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(n));
  expect(Math.abs(scatter - 1)).toBeLessThan(4 / Math.sqrt(2 * n));
});

test('a variance from the pixels\' own counts does not depend on the noise any more', () => {
  const { visit, template } = pair(6, []), sky = 100;
  // Poisson-like: variance = counts, about a sky of 100 that was then taken off.
  for (let j = 0; j < visit.image.length; j++) visit.variance[j] = Math.max(1, visit.image[j] + sky);
  const used = pixels(differenced(visit, template, VISIT_SIGMA)).filter(({ value, sigma }) => Math.abs(value) < 3 * sigma && sigma < 15);
  const meanOf = (list: readonly { sigma: number }[]): number => list.reduce((sum, { sigma }) => sum + sigma * sigma, 0) / list.length;
  const up = meanOf(used.filter(({ value }) => value > 0)), down = meanOf(used.filter(({ value }) => value < 0));
  // Uncorrected, the halves differ by slope × 2 × mean |noise| = 16 of 110, 15 %.
  expect(Math.abs(up / down - 1)).toBeLessThan(0.03);
});

test('masked pixels and NaN change nothing far from them, and are masked in the difference', () => {
  const { visit, template } = pair(8, []), clean = differenced(visit, template, VISIT_SIGMA).difference;
  const value = clean.image[40 * SIDE + 40];
  visit.image[200 * SIDE + 200] = NaN;
  visit.mask[210 * SIDE + 100] = maskBits('SAT');
  visit.image[210 * SIDE + 100] = 1e9;
  template.image[250 * SIDE + 250] = NaN;
  template.mask[60 * SIDE + 250] = maskBits('SAT');
  template.image[60 * SIDE + 250] = 1e6;
  const { image, mask } = differenced(visit, template, VISIT_SIGMA).difference;
  expect(mask[200 * SIDE + 200] & maskBits('NO_DATA')).not.toBe(0);
  expect(mask[210 * SIDE + 100] & maskBits('SAT')).not.toBe(0);
  expect(mask[250 * SIDE + 250] & maskBits('NO_DATA')).not.toBe(0);
  expect(mask[62 * SIDE + 252] & maskBits('SAT_TEMPLATE')).not.toBe(0);
  for (let j = 0; j < image.length; j++) if (Number.isNaN(image[j])) expect(mask[j] & maskBits('NO_DATA')).not.toBe(0);
  // The kernel's stamps may change by a star or two: a hundredth of the noise.
  expect(Math.abs(image[40 * SIDE + 40] - value)).toBeLessThan(0.2 * VISIT_NOISE);
});

test('variable stars do not bend the kernel', () => {
  const stars = pairStars(9, SIDE, 90, 2e3, 2e5);
  const varied = stars.map((s, i) => ({ ...s, flux: s.flux * FLUX_RATIO * (i % 9 === 0 ? 1.5 : 1) }));
  const result = differenced(
    pairImage(SIDE, varied, VISIT_SIGMA, VISIT_NOISE, 1), pairImage(SIDE, stars, TEMPLATE_SIGMA, TEMPLATE_NOISE, 2), VISIT_SIGMA,
  );
  expect(result.figures.stampsRejected).toBeGreaterThanOrEqual(5);
  // Without rejection a tenth of the flux would be 1.5 times too bright: 0.9 × 1.05.
  expect(Math.abs(result.figures.kernelSum / FLUX_RATIO - 1)).toBeLessThan(0.005);
});

test('the same pixels give the same difference, bit for bit', () => {
  const { visit, template } = pair(10, []);
  expect(differenced(visit, template, VISIT_SIGMA).difference.image).toEqual(differenced(visit, template, VISIT_SIGMA).difference.image);
});

test('an image that is masked nearly everywhere has too few stamps', () => {
  const { visit, template } = pair(11, []);
  visit.mask.fill(maskBits('BAD'), 0, SIDE * SIDE - 40);
  expect(() => differenced(visit, template, VISIT_SIGMA)).toThrow(StageError);
  expect(() => differenced(visit, template, VISIT_SIGMA)).toThrow(/stamps are usable/);
});

test('a template of another field is refused as a bad subtraction', () => {
  const { visit } = pair(12, []), other = pair(13, []).template;
  let error: unknown = null;
  try { differenced(visit, other, VISIT_SIGMA); } catch (thrown) { error = thrown; }
  expect(error).toMatchObject({ code: 'BAD_SUBTRACTION', disposition: 'reject' });
});

test('render helper keeps flux', () => {
  const planes = allocateMaskedImage(64, 64);
  pairRender(planes, [{ x: 31.3, y: 32.7, flux: 1000 }], 2);
  // 1.6e-8 of a Gaussian lies beyond 6 σ; sampling at σ = 2 px errs by e^(−2π²σ²) = 1e-34.
  expect(planes.image.reduce((a, b) => a + b, 0)).toBeCloseTo(1000, 2);
});
