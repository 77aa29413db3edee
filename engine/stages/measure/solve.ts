/** Small symmetric systems of the fits. */

/**
 * Inverse of a symmetric positive definite matrix by Cholesky's decomposition, in place.
 *
 * @param m [n × n] row-major; overwritten.
 * @returns False when it is not positive definite; the contents are then of no use.
 */
export function invertSymmetric(m: Float64Array, n: number): boolean {
  // Scaled to a unit diagonal, fluxes of 10⁵ and coordinates of 1 meet on equal terms.
  const scale = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    if (!(m[i * n + i] > 0)) return false;
    scale[i] = 1 / Math.sqrt(m[i * n + i]);
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) m[i * n + j] *= scale[i] * scale[j];
  const lower = new Float64Array(n * n), inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = m[i * n + j];
      for (let k = 0; k < j; k++) sum -= lower[i * n + k] * lower[j * n + k];
      if (i !== j) { lower[i * n + j] = sum / lower[j * n + j]; continue; }
      if (!(sum > 1e-10)) return false;
      lower[i * n + i] = Math.sqrt(sum);
    }
  }
  for (let i = 0; i < n; i++) {
    inverse[i * n + i] = 1 / lower[i * n + i];
    for (let j = 0; j < i; j++) {
      let sum = 0;
      for (let k = j; k < i; k++) sum -= lower[i * n + k] * inverse[k * n + j];
      inverse[i * n + j] = sum / lower[i * n + i];
    }
  }
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = Math.max(i, j); k < n; k++) sum += inverse[k * n + i] * inverse[k * n + j];
      m[i * n + j] = sum * scale[i] * scale[j];
    }
  }
  return true;
}
