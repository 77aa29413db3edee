/** Streaks on noise: masked along their light and no farther, with what lies on them dropped by that reason. */
import { expect, test } from 'vitest';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { asProduct, type MaskedImage } from '../../engine/image/maskedImage.ts';
import { detectDefaults } from '../../engine/stages/detect/config.ts';
import { detectSources } from '../../engine/stages/detect/detect.ts';
import { pairImage, pairPsf, pairRandom, type PairSource } from '../support/pairScene.ts';

const SIDE = 500, SIGMA = 1.9, NOISE = 10, STREAK = maskBits('STREAK');

type Ridge = Readonly<{ x: number; y: number; angle: number; score: number; begin?: number; width?: number }>;

/** Pixels from the ridge's middle line, and along it. */
function placeOn({ x, y, angle }: Ridge, u: number, v: number): { across: number; along: number } {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  return { across: (v - y) * cos - (u - x) * sin, along: (u - x) * cos + (v - y) * sin };
}

/** A ridge of Gaussian section whose middle has the given score (`bench/streaks.ts` derives its height). */
function addRidge(planes: MaskedImage, ridge: Ridge): void {
  const { score, begin = -Infinity, width = 0 } = ridge, sigma = Math.hypot(width, SIGMA);
  const height = (score * NOISE * Math.hypot(sigma, SIGMA)) / (2 * Math.sqrt(Math.PI) * SIGMA * sigma);
  for (let v = 0; v < SIDE; v++) {
    for (let u = 0; u < SIDE; u++) {
      const { across, along } = placeOn(ridge, u, v);
      if (along >= begin) planes.image[v * SIDE + u] += height * Math.exp((-across * across) / (2 * sigma * sigma));
    }
  }
}

function detected(sources: readonly PairSource[], ridge: Ridge | null, seed: number) {
  const planes = pairImage(SIDE, sources, SIGMA, NOISE, seed), score = new Float32Array(SIDE * SIDE);
  if (ridge) addRidge(planes, ridge);
  return {
    planes, ...detectSources(asProduct('differenceImage', planes), pairPsf(SIDE, SIGMA), score, detectDefaults),
  };
}

function shareMasked({ mask }: MaskedImage, isWanted: (u: number, v: number) => boolean): number {
  let masked = 0, all = 0;
  for (let v = 0; v < SIDE; v++) {
    for (let u = 0; u < SIDE; u++) {
      if (!isWanted(u, v)) continue;
      all++;
      if ((mask[v * SIDE + u] & STREAK) !== 0) masked++;
    }
  }
  return masked / all;
}

test.each([
  { x: 250, y: 240, angle: 0.7, score: 3 }, { x: 200, y: 300, angle: 2.9, score: 30, width: 4 },
  { x: 260, y: 100, angle: 1.5, score: -5 },
])('a streak of score $score at angle $angle is masked whole, and no sky beyond its light', (ridge) => {
  const { planes, streaks, detected: count, detections, droppedByReason } = detected([], ridge, 3);
  expect(streaks).toHaveLength(1);
  expect(streaks[0].isNegative).toBe(ridge.score < 0);
  const sigma = Math.hypot('width' in ridge ? ridge.width ?? 0 : 0, SIGMA);
  expect(shareMasked(planes, (u, v) => Math.abs(placeOn(ridge, u, v).across) < sigma)).toBeGreaterThan(0.98);
  // Where a Gaussian ridge of the filter's width has fallen to the rim, then the margin and a pixel of noise.
  const filtered = Math.hypot(sigma, SIGMA);
  const reach = filtered * Math.sqrt(2 * Math.log(Math.abs(ridge.score) / detectDefaults.streakRimSigma))
    + detectDefaults.streakMarginPx + 3;
  expect(shareMasked(planes, (u, v) => Math.abs(placeOn(ridge, u, v).across) > reach)).toBe(0);
  expect(detections.length).toBeLessThanOrEqual(1); // A peak of noise in a million pixels.
  expect(detections.length + (droppedByReason.streak ?? 0)).toBe(count);
});

test('a source on the streak is dropped as such, one beside it and one before its beginning are kept', () => {
  const ridge = { x: 250, y: 250, angle: 0.5, score: 8, begin: -60 }, flux = 20 * NOISE * Math.sqrt(4 * Math.PI) * SIGMA;
  const at = (along: number, across: number): PairSource => ({
    x: 250 + along * Math.cos(0.5) - across * Math.sin(0.5), y: 250 + along * Math.sin(0.5) + across * Math.cos(0.5), flux,
  });
  const { detections, droppedByReason, detected: count } = detected([at(60, 0), at(60, 25), at(-150, 0)], ridge, 4);
  for (const [source, isKept] of [[at(60, 0), false], [at(60, 25), true], [at(-150, 0), true]] as const) {
    expect(detections.some(({ x, y }) => Math.hypot(x - source.x, y - source.y) < 2)).toBe(isKept);
  }
  expect(droppedByReason.streak).toBeGreaterThanOrEqual(1);
  expect(detections.length + droppedByReason.streak!).toBe(count); // Expected above.
});

test('noise, a crowd of sources, a short trail, a defect of a column and a broad glow are no streaks', () => {
  const random = pairRandom(11);
  const crowd = Array.from({ length: 150 }, (_, n) => ({
    x: 20 + 460 * random(), y: 20 + 460 * random(), flux: (n % 2 === 0 ? 1 : -1) * 40_000 * random(),
  }));
  expect(detected([], null, 5).streaks).toEqual([]);
  expect(detected(crowd, null, 6).streaks).toEqual([]);
  expect(detected([], { x: 250, y: 250, angle: 0.4, score: 10, begin: 180 }, 7).streaks).toEqual([]); // Ends at 260 px.
  expect(detected([], { x: 250, y: 250, angle: Math.PI / 2, score: 10 }, 8).streaks).toEqual([]);
  expect(detected([], { x: 250, y: 250, angle: 1, score: 10, width: 60 }, 9).streaks).toEqual([]);
});
