/** Pixel by pixel arithmetic of planes, all of one shape, row-major. `mask` pixels with one of `bits` are blank. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { isScaled, pixelsOf, type ReadPlane } from './scaled.ts';
import { addScaledTwin, scalePlaneTwin, subtractPolynomialTwin } from './twins/arithmetic.ts';

/** plane ×= factor, rounded to float32. */
export function scalePlane(plane: Float32Array, factor: number): void {
  const kernels = kernelsOf(plane);
  if (kernels === null) { scalePlaneTwin(plane, Math.fround(factor)); return; }
  kernels.compiled.scalePlane(pointerTo(kernels, plane), factor, plane.length);
}

/**
 * Takes a polynomial off all pixels that are not blank, in single precision:
 * Σ_k coefficients[k] u^a v^b with degrees[k] = [a, b], u = 2x/(width − 1) − 1 and v alike.
 *
 * @param plane [height × width], changed in place.
 */
export function subtractPolynomial(
  plane: Float32Array, width: number, height: number, coefficients: Float64Array,
  degrees: readonly (readonly [number, number])[],
  mask: Uint16Array, bits: number,
): void {
  const columns = Float32Array.from({ length: width }, (_, x) => (2 * x) / (width - 1) - 1);
  const order = degrees.reduce((largest, [a]) => Math.max(largest, a), 0), row = new Float64Array(order + 1);
  const kernels = kernelsOf(plane, mask), work = kernels
    && layOutWork(kernels, { columns: width * 4, row: 4 * (order + 1) });
  if (kernels !== null && work !== null) new Float32Array(kernels.memory.buffer, work.columns, width).set(columns);
  for (let y = 0; y < height; y++) {
    const v = (2 * y) / (height - 1) - 1, start = y * width;
    row.fill(0);
    degrees.forEach(([a, b], k) => { row[a] += coefficients[k] * v ** b; });
    if (kernels === null || work === null) {
      subtractPolynomialTwin(plane, mask, bits, start, columns, Float32Array.from(row));
      continue;
    }
    new Float32Array(kernels.memory.buffer, work.row, order + 1).set(row);
    kernels.compiled.subtractRowPolynomial(
      pointerTo(kernels, plane) + 4 * start, pointerTo(kernels, mask) + 2 * start, bits, width, work.columns, work.row,
      order,
    );
  }
}

/** plane += factor × other, in single precision; masks are not asked. */
export function addScaled(plane: Float32Array, other: Float32Array, factor: number): void {
  prepareAddScaled(plane, other, factor)(0, plane.length);
}

/** As `addScaled`, of pixels `first` … `end` − 1 at a time, and of a plane in 16 bits too. */
export function prepareAddScaled(
  plane: Float32Array, other: ReadPlane, factor: number,
): (first: number, end: number) => void {
  const kernels = kernelsOf(plane, pixelsOf(other));
  if (kernels === null) return (first, end) => { addScaledTwin(plane, other, Math.fround(factor), first, end); };
  const at = pointerTo(kernels, plane), from = pointerTo(kernels, pixelsOf(other)), { compiled } = kernels;
  if (isScaled(other)) {
    const { scale, zero } = other;
    return (first, end) => {
      compiled.addScaled16(at + 4 * first, from + 2 * first, scale, zero, factor, end - first);
    };
  }
  return (first, end) => { compiled.addScaled(at + 4 * first, from + 4 * first, factor, end - first); };
}
