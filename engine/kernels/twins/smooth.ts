import type { MeshCells } from '../mesh.ts';
import type { NoisyPlanes } from '../smooth.ts';
import { meshRowTwin } from './mesh.ts';

const { fround } = Math;

/** Twin of `smoothSeparable`, in its single precision and order of sums. */
export function smoothSeparableTwin(
  image: Float32Array, mask: Uint16Array, zeroBits: number, width: number, height: number, taps: Float32Array,
  out: Float32Array, y0 = 0, y1 = height, mesh: MeshCells | null = null,
): void {
  const half = (taps.length - 1) >> 1, rows = 2 * half + 1, line = new Float32Array(width);
  const padded = new Float32Array(width + 2 * half), ring = new Float32Array(rows * width);
  for (let ahead = Math.max(0, y0 - half); ahead < y1 + half; ahead++) {
    const slot = (ahead % rows) * width;
    if (ahead < height) {
      if (mesh !== null) meshRowTwin(mesh, mesh.cells, ahead, width, line);
      loadRow(image, mask, zeroBits, ahead * width, line, padded, half);
      smoothRow(padded, taps, half, ring, slot, width);
    } else {
      ring.fill(0, slot, slot + width);
    }
    if (ahead - half >= y0) smoothColumns(ring, rows, ahead - half, width, taps, half, out);
  }
}

function loadRow(
  image: Float32Array, mask: Uint16Array, zeroBits: number, start: number, line: Float32Array, padded: Float32Array,
  half: number,
): void {
  for (let x = 0; x < line.length; x++) {
    const value = fround(image[start + x] - line[x]);
    padded[half + x] = value === value && (mask[start + x] & zeroBits) === 0 ? value : 0;
  }
}

/** Middle tap, then pairs of mirrored pixels from the outermost in. */
function smoothRow(
  padded: Float32Array, taps: Float32Array, half: number, ring: Float32Array, slot: number, width: number,
): void {
  for (let x = 0; x < width; x++) {
    let sum = fround(taps[half] * padded[x + half]);
    for (let t = 0, mirror = 2 * half; t < half; t++, mirror--) {
      sum = fround(sum + fround(taps[t] * fround(padded[x + t] + padded[x + mirror])));
    }
    ring[slot + x] = sum;
  }
}

/** Middle tap, then pairs of rows from the nearest out. */
function smoothColumns(
  ring: Float32Array, rows: number, y: number, width: number, taps: Float32Array, half: number, out: Float32Array,
): void {
  const centre = (y % rows) * width, to = y * width;
  for (let x = 0; x < width; x++) out[to + x] = taps[half] * ring[centre + x];
  for (let t = 1; t <= half; t++) {
    const tap = taps[half + t], below = ((y - t + rows) % rows) * width, above = ((y + t) % rows) * width;
    for (let x = 0; x < width; x++) out[to + x] += fround(tap * fround(ring[below + x] + ring[above + x]));
  }
}

/** Twin of `normalizeByNoise`. */
export function normalizeByNoiseTwin(
  planes: NoisyPlanes, zeroBits: number, taps: Float32Array, least: number, score: Float32Array,
): void {
  const { width, height, mask } = planes, smooth = new Float32Array(score.length);
  smoothSeparableTwin(weightsOf(planes, zeroBits), mask, 0, width, height, taps, smooth);
  divideByRoots(score, smooth, least);
}

/** 1 / variance, 0 where nothing is known. */
export function weightsOf({ image, variance, mask }: NoisyPlanes, zeroBits: number): Float32Array {
  return variance.map((noise, j) => {
    const isUsed = image[j] - image[j] === 0 && noise > 0 && (mask[j] & zeroBits) === 0;
    return isUsed ? 1 / noise : 0;
  });
}

/** score /= √weight where that exceeds `least`, else 0. */
export function divideByRoots(score: Float32Array, weights: Float32Array, least: number): void {
  for (let j = 0; j < score.length; j++) score[j] = weights[j] > least ? score[j] / fround(Math.sqrt(weights[j])) : 0;
}
