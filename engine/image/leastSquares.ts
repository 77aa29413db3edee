/** Small symmetric systems, and polynomials of two variables by least squares. */

/** Cholesky's method, in place: `right` becomes the solution. The matrix, row by row, is positive definite. */
export function solveSymmetric(matrix: Float64Array, right: Float64Array): void {
  const n = right.length;
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = matrix[i * n + j];
      for (let k = 0; k < j; k++) sum -= matrix[i * n + k] * matrix[j * n + k];
      // A hair above zero, should rounding take a singular matrix below it.
      matrix[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-300)) : sum / matrix[j * n + j];
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) right[i] -= matrix[i * n + k] * right[k];
    right[i] /= matrix[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) right[i] -= matrix[k * n + i] * right[k];
    right[i] /= matrix[i * n + i];
  }
}

/** Exponents of uᵖ v^q up to an order: 1, u, v, u², uv, v², … */
export function exponentsOf(order: number): readonly (readonly [p: number, q: number])[] {
  const exponents: (readonly [number, number])[] = [];
  for (let total = 0; total <= order; total++) for (let q = 0; q <= total; q++) exponents.push([total - q, q]);
  return exponents;
}

export type Sample = Readonly<{ u: number; v: number; value: readonly number[]; weight: number }>;

/**
 * Weighted least squares of polynomials of one order, one for each of the samples' values.
 *
 * @param samples With |u|, |v| of about 1, so that the equations are well conditioned; more than coefficients.
 * @returns For each value its coefficients, in the order of `exponentsOf`.
 */
export function fitPolynomials(samples: readonly Sample[], order: number): Float64Array[] {
  const exponents = exponentsOf(order), n = exponents.length, count = samples[0].value.length;
  const normal = new Float64Array(n * n), rights = Array.from({ length: count }, () => new Float64Array(n));
  const terms = new Float64Array(n);
  for (const { u, v, value, weight } of samples) {
    for (let i = 0; i < n; i++) terms[i] = u ** exponents[i][0] * v ** exponents[i][1];
    for (let i = 0; i < n; i++) {
      const weighted = weight * terms[i];
      for (let j = 0; j < n; j++) normal[i * n + j] += weighted * terms[j];
      for (let k = 0; k < count; k++) rights[k][i] += weighted * value[k];
    }
  }
  for (const right of rights) solveSymmetric(normal.slice(), right);
  return rights;
}

/** Variance of a fitted polynomial at a place, when weights are inverse variances of the samples. */
export function varianceOfFit(
  samples: readonly Pick<Sample, 'u' | 'v' | 'weight'>[], order: number, u: number, v: number,
): number {
  const exponents = exponentsOf(order), n = exponents.length, normal = new Float64Array(n * n);
  const termsAt = (x: number, y: number): Float64Array => Float64Array.from(exponents, ([p, q]) => x ** p * y ** q);
  for (const sample of samples) {
    const terms = termsAt(sample.u, sample.v);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) normal[i * n + j] += sample.weight * terms[i] * terms[j];
  }
  const terms = termsAt(u, v), solved = terms.slice();
  solveSymmetric(normal, solved);
  return terms.reduce((sum, term, i) => sum + term * solved[i], 0);
}

/** A polynomial's value. @param coefficients In the order of `exponentsOf(order)`. */
export function evaluatePolynomial(coefficients: ArrayLike<number>, order: number, u: number, v: number): number {
  let sum = 0, at = 0;
  for (let total = 0; total <= order; total++) {
    for (let q = 0; q <= total; q++) sum += coefficients[at++] * u ** (total - q) * v ** q;
  }
  return sum;
}
