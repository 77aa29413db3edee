/** Twins of the arithmetic of planes. */
import { valueAt, type ReadPlane } from '../scaled.ts';

const { fround } = Math;

export function scalePlaneTwin(plane: Float32Array, factor: number): void {
  for (let j = 0; j < plane.length; j++) plane[j] *= factor;
}

/** One row, which begins at `start`: Σ_i row[i] columns[x]^i, by Horner's scheme in single precision. */
export function subtractPolynomialTwin(
  plane: Float32Array, mask: Uint16Array, bits: number, start: number, columns: Float32Array, row: Float32Array,
): void {
  const order = row.length - 1;
  for (let x = 0; x < columns.length; x++) {
    if ((mask[start + x] & bits) !== 0) continue;
    let value = row[order];
    for (let i = order - 1; i >= 0; i--) value = fround(fround(value * columns[x]) + row[i]);
    plane[start + x] -= value;
  }
}

/** Twin of `addScaled`, in single precision. */
export function addScaledTwin(
  plane: Float32Array, other: ReadPlane, factor: number, first: number, end: number,
): void {
  for (let i = first; i < end; i++) plane[i] = plane[i] + fround(factor * valueAt(other, i));
}
