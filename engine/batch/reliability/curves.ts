/** How good a classifier is: what it keeps of the real and of the bogus, and the scale that makes its sums odds. */
import type { ForestModel } from '../../stages/reliability/forest.ts';

/** Detections with known labels and what the classifier says of them. */
export type Scored = Readonly<{ values: Float64Array; labels: Uint8Array; snrs: Float64Array }>;

export type CurvePoint = Readonly<{
  threshold: number;
  /** Share of the real at or above the threshold, and of the bogus. */
  completeness: number; bogusKept: number;
  /** Share of the real among what is kept, with ten bogus to each real before. */
  purityOfTenToOne: number;
}>;

/** Share of either class at or above each threshold. */
export function curveOf({ values, labels }: Scored, thresholds: readonly number[]): CurvePoint[] {
  const real = sortedValues(values, labels, 1), bogus = sortedValues(values, labels, 0);
  return thresholds.map((threshold) => {
    const completeness = shareFrom(real, threshold), bogusKept = shareFrom(bogus, threshold);
    return { threshold, completeness, bogusKept, purityOfTenToOne: purityOf(completeness, bogusKept) };
  });
}

/** Highest completeness at that purity with ten bogus to each real, and where it is reached. */
export function completenessAtPurity({ values, labels }: Scored, purity: number): CurvePoint {
  const thresholds = [...new Set(sortedValues(values, labels, 1))];
  const reached = curveOf({ values, labels, snrs: values }, thresholds)
    .filter(({ purityOfTenToOne }) => purityOfTenToOne >= purity);
  return reached.reduce(
    (best, point) => (point.completeness > best.completeness ? point : best),
    { threshold: 1, completeness: 0, bogusKept: 0, purityOfTenToOne: 1 },
  );
}

/** Those with a signal-to-noise ratio in a range. */
export function inSnrRange({ values, labels, snrs }: Scored, low: number, high: number): Scored {
  const members = [...snrs.keys()].filter((i) => snrs[i] >= low && snrs[i] < high);
  return {
    values: Float64Array.from(members, (i) => values[i]), labels: Uint8Array.from(members, (i) => labels[i]),
    snrs: Float64Array.from(members, (i) => snrs[i]),
  };
}

export function countOf({ labels }: Scored): { real: number; bogus: number } {
  const real = labels.reduce((sum, label) => sum + label, 0);
  return { real, bogus: labels.length - real };
}

function purityOf(completeness: number, bogusKept: number): number {
  return completeness > 0 ? completeness / (completeness + 10 * bogusKept) : 1;
}

function sortedValues(values: Float64Array, labels: Uint8Array, label: number): Float64Array {
  return values.filter((_, i) => labels[i] === label).sort();
}

function shareFrom(sorted: Float64Array, threshold: number): number {
  if (sorted.length === 0) return 0;
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < threshold) low = middle + 1; else high = middle;
  }
  return (sorted.length - low) / sorted.length;
}

/** Blocks of equal numbers into which the sums are cut before they are made monotonic. */
const BLOCKS = 40;

/**
 * The scale from sums to the share of real among detections of that sum: isotonic regression (pool adjacent violators)
 * of blocks, so that it never descends.
 *
 * @param priorReal Share of real among all detections for which it holds.
 */
export function calibrateScale({ values, labels }: Scored, priorReal: number): ForestModel['knots'] {
  const { real, bogus } = countOf({ values, labels, snrs: values });
  const order = [...values.keys()].sort((a, b) => values[a] - values[b]);
  type Block = { sum: number; weight: number; real: number; count: number };
  const blocks: Block[] = [];
  for (let b = 0; b < BLOCKS; b++) {
    const members = order.slice(Math.floor((b * order.length) / BLOCKS), Math.floor(((b + 1) * order.length) / BLOCKS));
    if (members.length === 0) continue;
    const block = { sum: 0, weight: 0, real: 0, count: members.length };
    for (const i of members) {
      const weight = labels[i] === 1 ? priorReal / real : (1 - priorReal) / bogus;
      block.sum += values[i];
      block.weight += weight;
      if (labels[i] === 1) block.real += weight;
    }
    blocks.push(block);
    while (blocks.length > 1) {
      const last = blocks[blocks.length - 1], before = blocks[blocks.length - 2];
      if (before.real / before.weight < last.real / last.weight) break;
      blocks.splice(-2, 2, {
        sum: before.sum + last.sum, weight: before.weight + last.weight, real: before.real + last.real,
        count: before.count + last.count,
      });
    }
  }
  const short = (value: number): number => Number(value.toPrecision(6));
  return {
    sum: blocks.map(({ sum, count }) => short(sum / count)),
    reliability: blocks.map(({ real: share, weight }) => short(share / weight)),
  };
}
