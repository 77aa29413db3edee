/** Twins of the arithmetic of planes. */
const { fround, sqrt } = Math;

export function copyUsableTwin(
  plane: Float32Array, witness: Float32Array, mask: Uint16Array, bits: number, out: Float32Array,
): void {
  for (let j = 0; j < out.length; j++) out[j] = (mask[j] & bits) === 0 && witness[j] - witness[j] === 0 ? plane[j] : 0;
}

export function weighByVarianceTwin(
  image: Float32Array, variance: Float32Array, mask: Uint16Array, bits: number, isOne: boolean, out: Float32Array,
): void {
  for (let j = 0; j < out.length; j++) {
    const value = image[j], isUsed = (mask[j] & bits) === 0 && variance[j] > 0 && value - value === 0;
    out[j] = isUsed ? (isOne ? 1 : value) / variance[j] : 0;
  }
}

export function normalizeScoreTwin(score: Float32Array, weight: Float32Array, share: number): number {
  let largest = 0;
  for (let j = 0; j < weight.length; j++) if (weight[j] > largest) largest = weight[j];
  const least = fround(share * largest);
  for (let j = 0; j < score.length; j++) score[j] = weight[j] > least ? score[j] / fround(sqrt(weight[j])) : 0;
  return largest;
}

export function scalePlaneTwin(plane: Float32Array, factor: number): void {
  for (let j = 0; j < plane.length; j++) plane[j] *= factor;
}

export function markLabelledTwin(labels: Int32Array, mask: Uint16Array, bits: number): void {
  for (let j = 0; j < labels.length; j++) if (labels[j] !== 0) mask[j] |= bits;
}

export function subtractPlanesTwin(
  a: Float32Array, b: Float32Array, factor: number, mask: Uint16Array, bits: number, out: Float32Array,
): void {
  for (let j = 0; j < out.length; j++) {
    const value = fround(factor * fround(a[j] - b[j]));
    out[j] = (mask[j] & bits) === 0 && value - value === 0 ? value : 0;
  }
}

/** One row, which begins at `start`: Σ_i row[i] columns[x]^i, by Horner's scheme. */
export function subtractPolynomialTwin(
  plane: Float32Array, mask: Uint16Array, bits: number, start: number, columns: Float64Array, row: Float64Array,
): void {
  const order = row.length - 1;
  for (let x = 0; x < columns.length; x++) {
    if ((mask[start + x] & bits) !== 0) continue;
    let value = row[order];
    for (let i = order - 1; i >= 0; i--) value = value * columns[x] + row[i];
    plane[start + x] -= value;
  }
}

/** Twin of `addScaled`, in single precision. */
export function addScaledTwin(plane: Float32Array, other: Float32Array, factor: number): void {
  for (let i = 0; i < plane.length; i++) plane[i] = plane[i] + Math.fround(factor * other[i]);
}
