/** Takes back sources that a brighter neighbour's wings lifted over the threshold (Bertin & Arnouts 1996, §7). */
import type { Moments } from './moments.ts';

export type Candidate = Readonly<{
  shape: Moments;
  /** By how much less light it would be lost: height of its n-th highest pixel, the last that it needs, over the threshold. */
  margin: number;
}>;

/** Distance up to which wings are believed, in units of both sources' extents together. */
const WING_REACH = 10;

/**
 * For each candidate the index of the one that it belongs to: its own when it stands by itself.
 *
 * A neighbour's wings are taken as h / (1 + α r²)^β, with the height of its highest pixel, and α such that
 * they cross the threshold where its own outline does.
 */
export function ownersOf(candidates: readonly Candidate[], threshold: number, exponent: number): Int32Array {
  const owners = Int32Array.from(candidates, (_, i) => i);
  if (candidates.length === 0) return owners;
  const field = fieldOf(candidates);
  const sums = Float64Array.from(candidates.map(({ shape }) => shape.sum));
  const order = Int32Array.from(candidates.keys()).sort((i, j) => sums[j] - sums[i] || i - j);
  for (const i of order) {
    if (owners[i] !== i) continue; // What is no source has no wings of its own.
    const { shape } = candidates[i], area = Math.PI * shape.a * shape.b;
    const alpha = ((shape.peak / threshold) ** (1 / exponent) - 1) * (area / shape.pixelCount);
    if (alpha > 0) claimNeighbours(field, i, shape, alpha, exponent, owners);
  }
  return owners;
}

/** Share of the candidates, the most extended ones, that are gone through one by one. */
const LARGE_SHARE = 0.02;

/** The candidates' numbers, the few large ones first, then the others by y. */
type Field = Readonly<{
  order: Int32Array; largeCount: number;
  /** Extent of the largest of the others, px. */
  widest: number;
  /** In that order. */
  x: Float64Array; y: Float64Array; a: Float64Array; sum: Float64Array; margin: Float64Array;
}>;

function fieldOf(candidates: readonly Candidate[]): Field {
  const { length } = candidates, extents = new Float64Array(length), heights = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    extents[i] = candidates[i].shape.a;
    heights[i] = candidates[i].shape.y;
  }
  const order = Int32Array.from(candidates.keys()).sort((i, j) => extents[j] - extents[i] || i - j);
  const largeCount = Math.min(Math.ceil(LARGE_SHARE * length), length - 1), widest = extents[order[largeCount]];
  order.subarray(largeCount).sort((i, j) => heights[i] - heights[j]);
  const list = (): Float64Array => new Float64Array(length);
  const field: Field = { order, largeCount, widest, x: list(), y: list(), a: list(), sum: list(), margin: list() };
  for (let k = 0; k < length; k++) {
    const { shape, margin } = candidates[order[k]];
    field.x[k] = shape.x;
    field.y[k] = shape.y;
    field.a[k] = shape.a;
    field.sum[k] = shape.sum;
    field.margin[k] = margin;
  }
  return field;
}

/** Makes a source the owner of the candidates about it that its wings could have lifted over the threshold. */
function claimNeighbours(
  field: Field, i: number, shape: Moments, alpha: number, exponent: number, owners: Int32Array,
): void {
  const { largeCount, y } = field, reach = WING_REACH * (shape.a + field.widest);
  let low = largeCount, high = y.length;
  for (const from = shape.y - reach; low < high;) {
    const middle = (low + high) >> 1;
    if (y[middle] < from) low = middle + 1; else high = middle;
  }
  claim(field, 0, largeCount, Infinity, i, shape, alpha, exponent, owners);
  claim(field, low, y.length, shape.y + reach, i, shape, alpha, exponent, owners);
}

/** As `claimNeighbours` among those from place `first` on, as far as `end` or beyond a row. */
function claim(
  { order, x, y, a, sum, margin }: Field, first: number, end: number, yMax: number, i: number, shape: Moments,
  alpha: number, exponent: number, owners: Int32Array,
): void {
  const { cxx, cyy, cxy, peak } = shape;
  for (let k = first; k < end && y[k] <= yMax; k++) {
    const dx = x[k] - shape.x, dy = y[k] - shape.y, reach = WING_REACH * (shape.a + a[k]);
    if (dx * dx + dy * dy > reach * reach || sum[k] >= shape.sum) continue;
    const j = order[k];
    if (owners[j] !== j) continue;
    const r2 = Math.max(0, cxx * dx * dx + cyy * dy * dy + cxy * dx * dy);
    if (peak / (1 + alpha * r2) ** exponent > margin[k]) owners[j] = i;
  }
}
