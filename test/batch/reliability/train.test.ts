import { expect, test } from 'vitest';
import { calibrateScale, completenessAtPurity, curveOf } from '../../../engine/batch/reliability/curves.ts';
import { noiseBound, noisePeaksPerPixel } from '../../../engine/batch/reliability/noiseBound.ts';
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
  const train = () => trainReliability(samples(1, 1500), samples(2, 300), 7, 1024 ** 2, pairRandom(5));
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

test('as many peaks of noise are expected as a smoothed field has, and the bound is the best threshold', () => {
  // Smoothed white noise: maxima above 3 on 1024² pixels against the formula, which is good at high thresholds.
  const side = 1024, sigma = 2, random = pairRandom(21), noise = Float64Array.from({ length: side * side }, () => pairNormal(random));
  const taps = Array.from({ length: 17 }, (_, k) => Math.exp(-((k - 8) ** 2) / (2 * sigma * sigma)));
  const norm = Math.sqrt(taps.reduce((sum, tap) => sum + tap * tap, 0));
  const smooth = (from: Float64Array, step: number): Float64Array => from.map((_, j) => {
    let sum = 0;
    for (let k = -8; k <= 8; k++) sum += (taps[k + 8] / norm) * from[(j + k * step + from.length) % from.length];
    return sum;
  });
  const field = smooth(smooth(noise, 1), side);
  let peaks = 0;
  for (let j = side + 1; j < field.length - side - 1; j++) {
    const value = field[j];
    if (value > 3.5 && [1, side - 1, side, side + 1].every((k) => value > field[j - k] && value > field[j + k])) peaks++;
  }
  const expected = side * side * noisePeaksPerPixel(3.5, 2.3548 * sigma);
  // The next term of the density of maxima is −1/u² of the first.
  expect(Math.abs(peaks - expected)).toBeLessThan(expected / 3.5 ** 2 + 4 * Math.sqrt(expected));

  const bound = (snrMax: number) => noiseBound(
    Float64Array.from({ length: 1000 }, (_, k) => 5.5 + ((k + 0.5) / 1000) * (snrMax - 5.5)), 1e6,
    [{ fwhmPx: 4.6, pixels: 1e6 }], 5.5, snrMax, 0.95,
  );
  expect(bound(8).shareOfBogus).toBeLessThan(1e-6);
  expect(bound(8).completeness).toBe(1);
  // 10 n(c) / n(5.5) = C / 19 with C = (8 − c) / 2.5: at c = 6.49 both are 0.032, and C is 0.60.
  expect(Math.abs(bound(8).completenessOfNoiseAlone - 0.6)).toBeLessThan(0.01);
  // Up to 6.5 noise is everywhere more frequent than one in 19 real: even there 10 × 6.5 × n(6.5) / n(5.5) = 0.19.
  expect(bound(6.5).completenessOfNoiseAlone).toBe(0);
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
