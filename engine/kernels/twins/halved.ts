import type { NoisyPlanes } from '../smooth.ts';
import { divideByRoots, smoothSeparableTwin, weightsOf } from './smooth.ts';

const { fround } = Math;

/** Twin of `smoothHalved`, in its single precision and order of sums. */
export function smoothHalvedTwin(
  plane: Float32Array, mask: Uint16Array, zeroBits: number, width: number, height: number, taps: Float32Array,
  out: Float32Array,
): void {
  const used = plane.map((value, j) => (value - value === 0 && (mask[j] & zeroBits) === 0 ? value : 0));
  out.set(doubledOf(halvedOf(used, width, height), width, height, taps));
}

/** Twin of `normalizeHalved`. */
export function normalizeHalvedTwin(
  planes: NoisyPlanes, zeroBits: number, taps: Float32Array, least: number, score: Float32Array,
): void {
  const { width, height } = planes, halved = halvedOf(weightsOf(planes, zeroBits), width, height);
  divideByRoots(score, doubledOf(halved, width, height, taps), least);
}

/** Quarters of the sums of 2 × 2 pixels; what lies outside is 0. */
function halvedOf(plane: Float32Array, width: number, height: number): Float32Array {
  const columns = (width + 1) >> 1, rows = (height + 1) >> 1;
  const column = (x: number, y: number): number => {
    if (x >= width) return 0;
    return y + 1 < height ? fround(plane[y * width + x] + plane[(y + 1) * width + x]) : plane[y * width + x];
  };
  return Float32Array.from({ length: columns * rows }, (_, k) => {
    const x = 2 * (k % columns), y = 2 * Math.floor(k / columns);
    return fround(0.25 * fround(column(x, y) + column(x + 1, y)));
  });
}

/** Smoothed with the taps, and bilinear between the centres of the squares; their outermost reach to the border. */
function doubledOf(halved: Float32Array, width: number, height: number, taps: Float32Array): Float32Array {
  const columns = (width + 1) >> 1, rows = (height + 1) >> 1, smooth = new Float32Array(halved.length);
  smoothSeparableTwin(halved, new Uint16Array(halved.length), 0, columns, rows, taps, smooth);
  const mixed = (own: number, other: number): number => fround(fround(0.75 * own) + fround(0.25 * other));
  const beside = (i: number, k: number, count: number): number => (
    Math.min(count - 1, Math.max(0, k + (i % 2 === 0 ? -1 : 1))));
  return Float32Array.from({ length: width * height }, (_, j) => {
    const x = j % width, y = Math.floor(j / width), column = x >> 1, row = y >> 1;
    const above = beside(y, row, rows), next = beside(x, column, columns);
    const line = (u: number): number => mixed(smooth[row * columns + u], smooth[above * columns + u]);
    return mixed(line(column), line(next));
  });
}
