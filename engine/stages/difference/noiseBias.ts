/**
 * What the noise of the convolved image adds to the normal equations of its matching kernel.
 *
 * The equations hold Σ w (B_a ⊗ X)(B_b ⊗ X). X = light + noise, and the square of the noise has a mean that is not
 * zero: Σ w V_X × Σ B_a B_b. Left in, it draws the kernel to zero at all frequencies where the stars have less power
 * than the noise (errors in variables), and the cores of bright stars are left unsubtracted.
 */
import type { KernelBasis } from './basis.ts';

/** Σ over pixels of the product of every two basis functions, [functions²] row-major. */
export function basisProducts({ profiles, functions }: KernelBasis): Float64Array {
  const n = functions.length, products = new Float64Array(n * n);
  const lines = profiles.map((a) => profiles.map((b) => a.reduce((sum, value, k) => sum + value * b[k], 0)));
  const plain = functions.map((a) => functions.map((b) => a.scale * b.scale * lines[a.x][b.x] * lines[a.y][b.y]));
  // The first function is taken off those with a sum, never off itself.
  const lessFirst = functions.map(({ isEven }, k) => (k > 0 && isEven ? 1 : 0));
  for (let a = 0; a < n; a++) {
    for (let b = 0; b < n; b++) {
      products[a * n + b] = plain[a][b] - lessFirst[a] * plain[0][b] - lessFirst[b] * plain[a][0] +
        lessFirst[a] * lessFirst[b] * plain[0][0];
    }
  }
  return products;
}

/** Every how many pixels of a stamp the noise is looked at: weights and variances are smooth over a star's width. */
const STEP_PX = 3;

/**
 * Σ w V of a stamp, from every third pixel along each axis.
 *
 * @param variance [· × width]. Read only; what is not positive does not count.
 * @param weights  [side²] of the stamp of half side `half` centred at (x, y). Read only.
 */
export function weightedNoise(
  variance: Float32Array, width: number, x: number, y: number, weights: Float64Array, half: number,
): number {
  const side = 2 * half + 1, first = half % STEP_PX;
  let sum = 0, count = 0;
  for (let v = first; v < side; v += STEP_PX) {
    for (let u = first; u < side; u += STEP_PX) {
      const noise = weights[v * side + u] * variance[(y + v - half) * width + x + u - half];
      if (noise > 0) sum += noise;
      count++;
    }
  }
  return (sum * side * side) / count;
}
