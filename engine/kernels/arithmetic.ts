/** Pixel by pixel arithmetic of planes, all of one shape, row-major. `mask` pixels with one of `bits` are blank. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import {
  addScaledTwin, copyUsableTwin, markLabelledTwin, normalizeScoreTwin, scalePlaneTwin, subtractPlanesTwin,
  subtractPolynomialTwin,   weighByVarianceTwin,
} from './twins/arithmetic.ts';

/**
 * out = plane where a pixel is not blank and `witness` is finite, else 0.
 *
 * @param out Overwritten; may be one of the others.
 */
export function copyUsable(
  plane: Float32Array, witness: Float32Array, mask: Uint16Array, bits: number, out: Float32Array,
): void {
  const kernels = kernelsOf(plane, witness, mask, out);
  if (kernels === null) { copyUsableTwin(plane, witness, mask, bits, out); return; }
  const [p, w, m, to] = [plane, witness, mask, out].map((view) => pointerTo(kernels, view));
  kernels.compiled.copyUsable(p, w, m, bits, out.length, to);
}

/**
 * out = numerator / variance where a pixel is not blank, the variance is positive and the image is finite, else 0.
 *
 * @param numerator The image itself, or 1.
 * @param out       Overwritten; may be one of the others.
 */
export function weighByVariance(
  image: Float32Array, variance: Float32Array, mask: Uint16Array, bits: number, numerator: 'image' | 'one',
  out: Float32Array,
): void {
  const kernels = kernelsOf(image, variance, mask, out), isOne = numerator === 'one';
  if (kernels === null) { weighByVarianceTwin(image, variance, mask, bits, isOne, out); return; }
  const [p, v, m, to] = [image, variance, mask, out].map((view) => pointerTo(kernels, view));
  kernels.compiled.weighByVariance(p, v, m, bits, isOne ? 1 : 0, out.length, to);
}

/**
 * score /= √weight, in single precision, where the weight exceeds `share` of the largest; 0 elsewhere.
 *
 * @param score  Changed in place.
 * @param weight Read only; NaN weighs nothing.
 * @returns The largest weight; 0 when none is positive.
 */
export function normalizeScore(score: Float32Array, weight: Float32Array, share: number): number {
  const kernels = kernelsOf(score, weight);
  if (kernels === null) return normalizeScoreTwin(score, weight, Math.fround(share));
  return kernels.compiled.normalizeScore(pointerTo(kernels, score), pointerTo(kernels, weight), share, score.length);
}

/** plane ×= factor, rounded to float32. */
export function scalePlane(plane: Float32Array, factor: number): void {
  const kernels = kernelsOf(plane);
  if (kernels === null) { scalePlaneTwin(plane, Math.fround(factor)); return; }
  kernels.compiled.scalePlane(pointerTo(kernels, plane), factor, plane.length);
}

/** Sets bits in the mask, in place, where a label is not 0. */
export function markLabelled(labels: Int32Array, mask: Uint16Array, bits: number): void {
  const kernels = kernelsOf(labels, mask);
  if (kernels === null) { markLabelledTwin(labels, mask, bits); return; }
  kernels.compiled.markLabelled(pointerTo(kernels, labels), pointerTo(kernels, mask), bits, mask.length);
}

/**
 * out = factor × (a − b), in single precision, where a pixel is not blank and the result is finite; 0 elsewhere.
 *
 * @param out Overwritten; may be one of the others.
 */
export function subtractPlanes(
  a: Float32Array, b: Float32Array, factor: number, mask: Uint16Array, bits: number, out: Float32Array,
): void {
  const kernels = kernelsOf(a, b, mask, out);
  if (kernels === null) { subtractPlanesTwin(a, b, Math.fround(factor), mask, bits, out); return; }
  const [p, q, m, to] = [a, b, mask, out].map((view) => pointerTo(kernels, view));
  kernels.compiled.subtractPlanes(p, q, factor, m, bits, out.length, to);
}

/**
 * Takes a polynomial off all pixels that are not blank, in double precision:
 * Σ_k coefficients[k] u^a v^b with degrees[k] = [a, b], u = 2x/(width − 1) − 1 and v alike.
 *
 * @param plane [height × width], changed in place.
 */
export function subtractPolynomial(
  plane: Float32Array, width: number, height: number, coefficients: Float64Array,
  degrees: readonly (readonly [number, number])[],
  mask: Uint16Array, bits: number,
): void {
  const columns = Float64Array.from({ length: width }, (_, x) => (2 * x) / (width - 1) - 1);
  const order = degrees.reduce((largest, [a]) => Math.max(largest, a), 0), row = new Float64Array(order + 1);
  const kernels = kernelsOf(plane, mask), work = kernels
    && layOutWork(kernels, { columns: width * 8, row: row.byteLength });
  if (kernels !== null && work !== null) new Float64Array(kernels.memory.buffer, work.columns, width).set(columns);
  for (let y = 0; y < height; y++) {
    const v = (2 * y) / (height - 1) - 1, start = y * width;
    row.fill(0);
    degrees.forEach(([a, b], k) => { row[a] += coefficients[k] * v ** b; });
    if (kernels === null || work === null) {
      subtractPolynomialTwin(plane, mask, bits, start, columns, row);
      continue;
    }
    new Float64Array(kernels.memory.buffer, work.row, order + 1).set(row);
    kernels.compiled.subtractRowPolynomial(
      pointerTo(kernels, plane) + 4 * start, pointerTo(kernels, mask) + 2 * start, bits, width, work.columns, work.row,
      order,
    );
  }
}

/** plane += factor × other, in single precision; masks are not asked. */
export function addScaled(plane: Float32Array, other: Float32Array, factor: number): void {
  const kernels = kernelsOf(plane, other);
  if (kernels === null) { addScaledTwin(plane, other, Math.fround(factor)); return; }
  kernels.compiled.addScaled(pointerTo(kernels, plane), pointerTo(kernels, other), factor, plane.length);
}
