import type { PsfPatches } from '../patches.ts';
import type { PointColumns, PointTask } from '../pointSource.ts';
import { createPatchesTwin } from './patches.ts';

function isUsable({ image, variance, mask, ignoredBits }: PointTask, j: number): boolean {
  return (mask[j] & ignoredBits) === 0 && image[j] - image[j] === 0 && variance[j] > 0;
}

/** What the steps of all sources share: the model and the sums over its core. */
type Work = Readonly<{ patches: PsfPatches; coreSide: number; core: Float64Array; sums: Float64Array }>;

/** Twin of `measurePoints`. @param out [places × rowLength] */
export function measurePointsTwin(
  task: PointTask, places: Float64Array, isFitted: boolean, rowLength: number, at: PointColumns, out: Float64Array,
): void {
  const patches = createPatchesTwin(task.psf, task.halfSizePx);
  const coreSide = 2 * Math.min(task.coreHalfSizePx, patches.half) + 1;
  const work = { patches, coreSide, core: new Float64Array(coreSide * coreSide), sums: new Float64Array(9) };
  for (let i = 0; 2 * i < places.length; i++) {
    const row = out.subarray(i * rowLength, (i + 1) * rowLength);
    row.set([0, places[2 * i], places[2 * i + 1]]);
    if (isFitted) fit(task, work, row);
    fillFlux(task, patches, row[1], row[2], row, at);
  }
}

/** Half a pixel a step keeps the linearisation honest. */
function clamp(step: number): number {
  return Math.max(-0.5, Math.min(0.5, step));
}

/** Steps of Gauss and Newton; when they converge near their start the row's first six are set. */
function fit(task: PointTask, { patches, coreSide, core, sums }: Work, row: Float64Array): void {
  const { width, height, variance, steps } = task, x0 = row[1], y0 = row[2];
  let x = x0, y = y0;
  for (let i = 0; i < steps.countMax; i++) {
    const cx = Math.round(x), cy = Math.round(y);
    patches.drawMiddle(x, y, coreSide, core);
    fillProducts(task, core, coreSide, cx, cy, false, sums);
    const [, , , , , , b0, b1, b2] = sums, inverse = inverse3(sums);
    if (inverse === null) return;
    const flux = inverse[0] * b0 + inverse[1] * b1 + inverse[2] * b2;
    if (flux === 0) return;
    const dx = (inverse[1] * b0 + inverse[3] * b1 + inverse[4] * b2) / flux;
    const dy = (inverse[2] * b0 + inverse[4] * b1 + inverse[5] * b2) / flux;
    const middle = Math.min(height - 1, Math.max(0, cy)) * width + Math.min(width - 1, Math.max(0, cx));
    const errorPx = Math.sqrt(Math.max(0, inverse[3] * variance[middle])) / Math.abs(flux);
    x += clamp(dx);
    y += clamp(dy);
    if (Math.sqrt((x - x0) * (x - x0) + (y - y0) * (y - y0)) > steps.shiftMaxPx) return;
    // Steps converge quadratically: after one as small as this, the next is below a hundredth of the error.
    const limit = Math.max(steps.convergencePx, steps.convergenceErrors * errorPx);
    if (Math.abs(dx) > limit || Math.abs(dy) > limit) continue;
    // Within the convergence limit the covariance at the last place holds.
    fillProducts(task, core, coreSide, cx, cy, true, sums);
    const covariance = sandwich3(inverse, sums), flux2 = flux * flux;
    row.set([1, x, y, covariance[3] / flux2, covariance[4] / flux2, covariance[5] / flux2]);
    return;
  }
}

/** Inverse of a symmetric 3 × 3 matrix (00, 01, 02, 11, 12, 22); null when it is singular. */
function inverse3([a, b, c, d, e, f]: Float64Array): Float64Array | null {
  const determinant = a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d);
  if (!(determinant > 1e-12 * a * d * f)) return null;
  return Float64Array.of(
    (d * f - e * e) / determinant, (c * e - b * f) / determinant, (b * e - c * d) / determinant,
    (a * f - c * c) / determinant, (b * c - a * e) / determinant, (a * d - b * b) / determinant,
  );
}

const INDEX_3 = [0, 1, 2, 1, 3, 4, 2, 4, 5] as const;

/** M C M for symmetric 3 × 3 matrices. */
function sandwich3(m: Float64Array, c: Float64Array): Float64Array {
  const out = new Float64Array(6);
  for (let i = 0; i < 3; i++) {
    for (let j = i; j < 3; j++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) {
        for (let l = 0; l < 3; l++) sum += m[INDEX_3[3 * i + k]] * c[INDEX_3[3 * k + l]] * m[INDEX_3[3 * l + j]];
      }
      out[INDEX_3[3 * i + j]] = sum;
    }
  }
  return out;
}

/** Σ of products of (p, ∂p/∂x, ∂p/∂y), weighed by the variance where `isWeighed`, then of those with the data. */
function fillProducts(
  task: PointTask, model: Float64Array, side: number, cx: number, cy: number, isWeighed: boolean, result: Float64Array,
): void {
  const { width, height, image, variance } = task, half = side >> 1;
  const slope = (k: number, step: number, isInner: boolean): number => (
    isInner ? (8 * (model[k - step] - model[k + step]) + model[k + 2 * step] - model[k - 2 * step]) / 12 : 0
  );
  result.fill(0);
  for (let v = Math.max(-half, -cy); v <= half && cy + v < height; v++) {
    for (let u = Math.max(-half, -cx); u <= half && cx + u < width; u++) {
      const j = (cy + v) * width + cx + u, k = (v + half) * side + u + half;
      if (!isUsable(task, j)) continue;
      const isInner = Math.max(Math.abs(u), Math.abs(v)) <= half - 2;
      const p = model[k], gx = slope(k, 1, isInner), gy = slope(k, side, isInner), s = isWeighed ? variance[j] : 1;
      result[0] += s * p * p; result[1] += s * p * gx; result[2] += s * p * gy;
      result[3] += s * gx * gx; result[4] += s * gx * gy; result[5] += s * gy * gy;
      if (isWeighed) continue;
      const d = image[j];
      result[6] += p * d; result[7] += gx * d; result[8] += gy * d;
    }
  }
}

/** Sums for a flux at a place. */
function fillFlux(
  task: PointTask, patches: PsfPatches, x: number, y: number, row: Float64Array, at: PointColumns,
): void {
  const { width, height, image, variance } = task, { half } = patches, model = patches.at(x, y);
  const cx = Math.round(x), cy = Math.round(y), sums = row.subarray(at.signal, at.added);
  let product = 1, count = 0;
  sums.fill(0);
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const p = model[k], px = cx + u, py = cy + v, j = py * width + px;
      sums[3] += p * p;
      if (px < 0 || py < 0 || px >= width || py >= height || !isUsable(task, j)) continue;
      const d = image[j], s = variance[j], w = 1 / s;
      sums[0] += p * d;
      sums[1] += p * p;
      sums[2] += p * p * s;
      sums[4] += d * d * w;
      sums[5] += p * d * w;
      sums[6] += p * p * w;
      product *= s;
      if (++count % 16 === 0) { row[at.products + count / 16 - 1] = product; product = 1; }
    }
  }
  row[at.products + (count >> 4)] = product;
  sums[7] = count;
  row[at.added] = addedNoiseTwin(task, patches.cellOf(x, y), patches.side, cx, cy);
}

/**
 * Σ p² (first × V_first + second × V_second) around pixel (cx, cy), of the PSF as it lies on the pixel.
 *
 * @param cell [(side + 8)²]
 */
export function addedNoiseTwin(
  { width, height, mask, ignoredBits, added }: Pick<PointTask, 'width' | 'height' | 'mask' | 'ignoredBits' | 'added'>,
  cell: Float64Array, side: number, cx: number, cy: number,
): number {
  const half = side >> 1, padded = side + 8;
  let sum = 0;
  if (added === null) return sum;
  const [first, second] = added;
  for (let v = Math.max(-half, -cy); v <= half && cy + v < height; v++) {
    const row = (v + half + 4) * padded + half + 4;
    for (let u = Math.max(-half, -cx); u <= half && cx + u < width; u++) {
      const j = (cy + v) * width + cx + u, p = cell[row + u];
      if ((mask[j] & ignoredBits) !== 0) continue;
      const noise = first.factor * first.variance[j] + second.factor * second.variance[j];
      if (noise - noise === 0) sum += p * p * noise;
    }
  }
  return sum;
}
