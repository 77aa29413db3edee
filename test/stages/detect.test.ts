import { expect, test } from 'vitest';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { asProduct, type MaskedImage } from '../../engine/image/maskedImage.ts';
import { effectiveAreaPx, evaluatePsf } from '../../engine/image/psf.ts';
import { detectDefaults } from '../../engine/stages/detect/config.ts';
import { detectSources, type DetectionResult } from '../../engine/stages/detect/detect.ts';
import { pairImage, pairPsf, type PairSource } from '../support/pairScene.ts';

const SIDE = 300, SIGMA = 1.9, NOISE = 10;

function detected(planes: MaskedImage): DetectionResult & { score: Float32Array } {
  const score = new Float32Array(planes.width * planes.height), psf = pairPsf(planes.width, SIGMA);
  return { ...detectSources(asProduct('differenceImage', planes), psf, score, detectDefaults), score };
}

function psfArea(): number {
  const psf = pairPsf(SIDE, SIGMA), stamp = new Float32Array(psf.size ** 2);
  evaluatePsf(psf, 0, 0, stamp);
  return effectiveAreaPx(stamp);
}

test('a noiseless point source scores flux / (noise × √effective area), of either sign, at its own pixel', () => {
  const planes = pairImage(SIDE, [{ x: 100, y: 120, flux: 3000 }, { x: 200, y: 90, flux: -3000 }], SIGMA, 0, 1);
  planes.variance.fill(NOISE ** 2);
  const { detections, detected: count } = detected(planes);
  const expected = 3000 / (NOISE * Math.sqrt(psfArea()));
  expect(count).toBe(2);
  expect(detections.map(({ x, y, isNegative }) => [x, y, isNegative])).toEqual([[200, 90, true], [100, 120, false]]);
  // A noiseless background has scatter 0, so the scale is at its lower end.
  for (const { snr } of detections) expect(Math.abs(snr * detectDefaults.scaleMin / expected - 1)).toBeLessThan(1e-3);
});

test('the score of pure noise has unit scatter, and 5 σ are rare', () => {
  let peaks = 0, pixels = 0;
  for (const seed of [1, 2, 3, 4]) {
    const { scoreScatter, detected: count } = detected(pairImage(SIDE, [], SIGMA, NOISE, seed));
    peaks += count;
    pixels += SIDE * SIDE;
    // SIDE² / effective area = 2,000 independent values, robust scatter: 1.17/√n × 4.
    expect(Math.abs(scoreScatter - 1)).toBeLessThan((4 * 1.17) / Math.sqrt((SIDE * SIDE) / psfArea()));
  }
  // 5.4 of both signs on 4096² pixels: 0.12 here; a Poisson count above 3 has probability 8e-6.
  expect(5.4 * pixels / 4096 ** 2).toBeLessThan(0.13);
  expect(peaks).toBeLessThanOrEqual(3);
});

test('a wrong variance is measured and scaled away', () => {
  const planes = pairImage(SIDE, [], SIGMA, NOISE, 5);
  planes.variance.fill((NOISE / 1.3) ** 2);
  const { noiseScale, scoreScatter } = detected(planes);
  expect(noiseScale).toBe(scoreScatter);
  expect(Math.abs(noiseScale / 1.3 - 1)).toBeLessThan((4 * 1.17) / Math.sqrt((SIDE * SIDE) / psfArea()));
});

test('lobes of opposite sign that touch stay two detections that name each other', () => {
  const planes = pairImage(SIDE, [{ x: 150, y: 150, flux: 4000 }, { x: 154, y: 150, flux: -4000 }], SIGMA, NOISE, 6);
  const { detections } = detected(planes);
  expect(detections.map(({ isNegative }) => isNegative).sort()).toEqual([false, true]);
  expect(detections.map(({ otherLobe }) => otherLobe)).toEqual([1, 0]);
});

test('two sources in one footprint are two when there is a minimum between them, else one', () => {
  const at = (distance: number): number => detected(
    pairImage(SIDE, [{ x: 150, y: 150, flux: 4000 }, { x: 150 + distance, y: 150, flux: 4000 }], SIGMA, NOISE, 7),
  ).detections.length;
  expect(at(10)).toBe(2);
  expect(at(3)).toBe(1);
});

test('masked peaks are dropped by reason, and the counts close', () => {
  const sources: PairSource[] = [50, 100, 150, 200, 250].map((x) => ({ x, y: 150, flux: 4000 }));
  const planes = pairImage(SIDE, sources, SIGMA, NOISE, 8);
  for (const [x, plane] of [[50, 'SAT_TEMPLATE'], [100, 'SAT'], [150, 'BAD'], [200, 'EDGE']] as const) {
    planes.mask[150 * SIDE + x] |= maskBits(plane);
    for (const d of [-1, 1, -SIDE, SIDE, -SIDE - 1, -SIDE + 1, SIDE - 1, SIDE + 1]) planes.mask[150 * SIDE + x + d] |= maskBits(plane);
  }
  const { detections, detected: count, droppedByReason } = detected(planes);
  expect(droppedByReason).toMatchObject({ saturatedTemplate: 1, saturated: 1, bad: 1, edge: 1 });
  expect(detections.map(({ x }) => x)).toEqual([250]);
  expect(count).toBe(detections.length + Object.values(droppedByReason).reduce((a, b) => a + b, 0));
});

test('NaN and pixels of no variance neither score nor spread', () => {
  const planes = pairImage(SIDE, [{ x: 60, y: 60, flux: 4000 }], SIGMA, NOISE, 9);
  planes.image.fill(NaN, 200 * SIDE);
  planes.mask.fill(maskBits('NO_DATA'), 200 * SIDE);
  planes.variance.fill(0, 200 * SIDE);
  const { detections, score } = detected(planes);
  expect(detections.length).toBe(1);
  expect(score.every((value) => Number.isFinite(value))).toBe(true);
  expect(score[280 * SIDE + 100]).toBe(0);
});

test('detected pixels are marked by sign', () => {
  const planes = pairImage(SIDE, [{ x: 60, y: 60, flux: 4000 }, { x: 200, y: 60, flux: -4000 }], SIGMA, NOISE, 10);
  detected(planes);
  expect(planes.mask[60 * SIDE + 60]).toBe(maskBits('DETECTED'));
  expect(planes.mask[60 * SIDE + 200]).toBe(maskBits('DETECTED_NEGATIVE'));
});
