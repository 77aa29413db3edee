import type { BasisSupport, StampBasis, StampTask } from '../stamps.ts';

const { fround } = Math;

/** Twin of the compiled vectors: [functions × side²]; `scratch` is [(side + 2 halfSize) × side]. */
export function stampVectorsTwin(
  { basis, image, width, stampHalf }: StampTask, supports: readonly BasisSupport[], x: number, y: number,
  out: Float32Array, scratch: Float32Array,
): void {
  const side = 2 * stampHalf + 1, half = basis.halfSize, rows = side + 2 * half, area = side * side;
  let filled = -1;
  for (const [n, { x: alongX, y: alongY, scale, isEven }] of basis.functions.entries()) {
    if (alongX !== filled) {
      const profile = Float32Array.from(basis.profiles[alongX]), { first, last } = supports[alongX];
      for (let v = 0; v < rows; v++) {
        // Element k of a profile is the offset k − half, and convolution reads the pixel at minus the offset.
        const from = (y - stampHalf - half + v) * width + x - stampHalf + half;
        for (let u = 0; u < side; u++) {
          let sum = 0;
          for (let k = first; k <= last; k++) sum = fround(sum + fround(profile[k] * finiteOf(image[from + u - k])));
          scratch[v * side + u] = sum;
        }
      }
      filled = alongX;
    }
    convolveColumns(basis, alongY, supports[alongY], side, scale, scratch, out.subarray(n * area, (n + 1) * area));
    if (n > 0 && isEven) for (let j = 0; j < area; j++) out[n * area + j] -= out[j];
  }
}

function finiteOf(value: number): number {
  return value - value === 0 ? value : 0;
}

function convolveColumns(
  basis: StampBasis, alongY: number, { first, last }: BasisSupport, side: number, scale: number, scratch: Float32Array,
  out: Float32Array,
): void {
  const profile = Float32Array.from(basis.profiles[alongY]), half = basis.halfSize, factor = fround(scale);
  for (let v = 0; v < side; v++) {
    for (let u = 0; u < side; u++) {
      let sum = 0;
      for (let k = first; k <= last; k++) sum = fround(
        sum + fround(profile[k] * scratch[(v + 2 * half - k) * side + u]));
      out[v * side + u] = sum * factor;
    }
  }
}

/**
 * Twin of the compiled normal equations: Σ_j (w[j] v[a][j]) v[b][j], b ≤ a, of `count` vectors; [count × count], lower
 * triangle.
 */
export function normalEquationsTwin(
  vectors: Float32Array, weights: Float64Array, count: number, out: Float64Array,
): void {
  const area = weights.length, weighted = new Float64Array(area);
  for (let a = 0; a < count; a++) {
    for (let j = 0; j < area; j++) weighted[j] = weights[j] * vectors[a * area + j];
    for (let b = 0; b <= a; b++) {
      let sum = 0;
      for (let j = 0; j < area; j++) sum += weighted[j] * vectors[b * area + j];
      out[a * count + b] = sum;
    }
  }
}
