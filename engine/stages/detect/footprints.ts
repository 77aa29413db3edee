/** Connected regions of a score above a threshold. */
import type { Box } from '../../../schemas/camera.ts';

/**
 * Regions of pixels that touch at a side or corner, numbered in the order of their first pixel.
 */
export type Footprints = Readonly<{
  count: number;
  /** [height × width]: 0 outside, else 1 + number of the region. */
  labels: Int32Array;
  boxes: readonly Box[];
  pixelCounts: Int32Array;
}>;

/**
 * Labels the pixels at which sign × score ≥ threshold: union-find over rows' runs' pixels, 8-connected.
 *
 * @param score  [height × width]. Read only; NaN is outside.
 * @param labels [height × width], overwritten.
 */
export function labelFootprints(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number, labels: Int32Array,
): Footprints {
  const parents: number[] = [0];
  for (let y = 0, j = 0; y < height; y++) {
    for (let x = 0; x < width; x++, j++) {
      if (!(sign * score[j] >= threshold)) { labels[j] = 0; continue; }
      let label = x > 0 ? labels[j - 1] : 0;
      if (y > 0) {
        if (x > 0) label = joined(parents, label, labels[j - width - 1]);
        label = joined(parents, label, labels[j - width]);
        if (x + 1 < width) label = joined(parents, label, labels[j - width + 1]);
      }
      if (label === 0) { label = parents.length; parents.push(label); }
      labels[j] = label;
    }
  }
  return collect(labels, width, parents);
}

/** The region of both labels; either may be 0. */
function joined(parents: number[], a: number, b: number): number {
  if (b === 0) return a;
  if (a === 0 || a === b) return b;
  const rootA = rootOf(parents, a), rootB = rootOf(parents, b);
  const root = Math.min(rootA, rootB);
  parents[rootA] = root;
  parents[rootB] = root;
  return root;
}

function rootOf(parents: number[], label: number): number {
  let root = label;
  while (parents[root] !== root) root = parents[root];
  while (parents[label] !== root) { const next = parents[label]; parents[label] = root; label = next; }
  return root;
}

/** Replaces provisional labels by final ones, and measures boxes and areas. */
function collect(labels: Int32Array, width: number, parents: number[]): Footprints {
  const numbers = new Int32Array(parents.length);
  const extents: { x0: number; y0: number; x1: number; y1: number }[] = [], counts: number[] = [];
  for (let j = 0; j < labels.length; j++) {
    if (labels[j] === 0) continue;
    const root = rootOf(parents, labels[j]), x = j % width, y = (j - x) / width;
    if (numbers[root] === 0) {
      numbers[root] = extents.push({ x0: x, y0: y, x1: x + 1, y1: y + 1 });
      counts.push(0);
    }
    const number = numbers[root], box = extents[number - 1];
    if (x < box.x0) box.x0 = x;
    if (x >= box.x1) box.x1 = x + 1;
    box.y1 = y + 1; // Rows come in order.
    counts[number - 1]++;
    labels[j] = number;
  }
  return { count: extents.length, labels, boxes: extents, pixelCounts: Int32Array.from(counts) };
}
