import { expect, test } from 'vitest';
import { calibrateScale, completenessAtPurity, curveOf } from '../../../engine/batch/reliability/curves.ts';
import { labelRows } from '../../../engine/batch/reliability/samples.ts';
import { trainReliability, type SampleSet } from '../../../engine/batch/reliability/train.ts';
import type { MeasuredDiaSource } from '../../../engine/stages/measure/measure.ts';
import { createForest } from '../../../engine/stages/reliability/forest.ts';
import { FEATURES } from '../../../engine/stages/reliability/features.ts';
import { pairNormal, pairRandom } from '../../support/pairScene.ts';

/** Detections whose first two features are normal, 2 σ apart for the two kinds; the rest say nothing. */
function samples(seed: number, count: number): SampleSet {
  const random = pairRandom(seed), isReal = Array.from({ length: count }, () => random() < 0.5);
  return {
    isReal, scenes: isReal.map((_, i) => i % 20),
    features: isReal.map((is) => Float64Array.from(FEATURES, (_, k) => (k < 2 && is ? 2 : 0) + pairNormal(random))),
  };
}

test('boosted trees come near the best that two normal features allow, and the same seed gives the same trees', () => {
  const train = () => trainReliability(samples(1, 1500), samples(2, 300), 7, pairRandom(5));
  const { model, unseen } = train();
  expect(JSON.stringify(train().model)).toBe(JSON.stringify(model));
  // The sum of both is the best statistic: 2√2 σ between the kinds, so that 1 − Φ(√2) = 7.9 % of each are wrong at best.
  const { sumOf } = createForest(model), held = samples(3, 4000);
  const wrong = held.features.filter((row, i) => (sumOf(row) > 0) !== held.isReal[i]).length / 4000;
  expect(wrong).toBeGreaterThan(0.079 - 4 * Math.sqrt((0.079 * 0.921) / 4000));
  // One of the two features alone leaves 1 − Φ(1) = 15.9 %: half the way to it is what 1,200 examples may cost.
  expect(wrong).toBeLessThan((0.079 + 0.159) / 2);
  expect(unseen.curve.map(({ completeness }) => completeness)).toEqual(
    [...unseen.curve].map(({ completeness }) => completeness).sort((a, b) => b - a),
  );
});

test('the scale is the share of real at each sum, for the odds asked for, and never descends', () => {
  const random = pairRandom(9), values = Float64Array.from({ length: 40_000 }, () => 6 * random() - 3);
  // Odds e^x at even numbers of both kinds: the sum is the logarithm of the odds itself.
  const labels = Uint8Array.from(values, (x) => (random() < 1 / (1 + Math.exp(-x)) ? 1 : 0));
  const { sum, reliability } = calibrateScale({ values, labels, snrs: values }, 0.75);
  sum.forEach((x, k) => {
    const truth = (3 * Math.exp(x)) / (3 * Math.exp(x) + 1);
    // 1,000 values a block, and odds that change by 0.15 within it.
    expect(Math.abs(reliability[k] - truth)).toBeLessThan(4 * Math.sqrt(0.25 / 1000) + 0.02);
    if (k > 0) expect(reliability[k]).toBeGreaterThanOrEqual(reliability[k - 1]);
  });
});

test('completeness and purity count ten bogus to a real', () => {
  const scored = { values: Float64Array.of(0.9, 0.8, 0.3, 0.85, 0.1, 0.05), labels: Uint8Array.of(1, 1, 1, 0, 0, 0), snrs: new Float64Array(6) };
  const [half] = curveOf(scored, [0.5]);
  expect(half.completeness).toBeCloseTo(2 / 3, 12);
  expect(half.bogusKept).toBeCloseTo(1 / 3, 12);
  expect(half.purityOfTenToOne).toBeCloseTo((2 / 3) / (2 / 3 + 10 / 3), 12);
  expect(completenessAtPurity(scored, 0.95)).toMatchObject({ threshold: 0.9, completeness: 1 / 3 });
});

test('a detection is real at a change of its sign, bogus far from all, and unclear between', () => {
  const row = (x: number, y: number, isNegative = false) => ({ x, y, isNegative }) as MeasuredDiaSource; // All that is read.
  const point = { x: 50, y: 50, flux: 100, length: 0, angle: 0 }, trail = { x: 100, y: 50, flux: 90, length: 30, angle: 0 };
  expect(labelRows(
    [row(51, 50.5), row(50, 50, true), row(55, 50), row(50, 75), row(113, 51), row(113, 62), row(130, 50)], [point, trail], 4,
  )).toEqual(['real', 'unclear', 'unclear', 'bogus', 'real', 'bogus', 'bogus']);
});
