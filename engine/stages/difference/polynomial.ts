/** Polynomials over a detector, in the coordinates and order of terms of `PsfModel`. */

/** Terms of a polynomial of two variables up to `order`. */
export function termCount(order: number): number {
  return ((order + 1) * (order + 2)) / 2;
}

/** Degrees in u and v of every term, in order. */
export function termDegrees(order: number): (readonly [number, number])[] {
  const degrees: (readonly [number, number])[] = [];
  for (let degree = 0; degree <= order; degree++) {
    for (let b = 0; b <= degree; b++) degrees.push([degree - b, b]);
  }
  return degrees;
}

/**
 * 1, u, v, u², uv, v², … with u = 2x/(width − 1) − 1 and v alike.
 *
 * @param out [termCount(order)], overwritten.
 */
export function polynomialTerms(
  x: number, y: number, width: number, height: number, order: number, out: Float64Array,
): void {
  const u = (2 * x) / (width - 1) - 1, v = (2 * y) / (height - 1) - 1;
  out[0] = 1;
  for (let degree = 1, k = 1, previous = 0; degree <= order; degree++) {
    for (let i = 0; i < degree; i++) out[k + i] = out[previous + i] * u;
    out[k + degree] = out[k - 1] * v;
    previous = k;
    k += degree + 1;
  }
}

/** Value of a polynomial at a place; `terms` is scratch of [coefficients.length]. */
export function evaluatePolynomial(
  coefficients: Float64Array, x: number, y: number, width: number, height: number, order: number, terms: Float64Array,
): number {
  polynomialTerms(x, y, width, height, order, terms);
  let sum = 0;
  for (let k = 0; k < coefficients.length; k++) sum += coefficients[k] * terms[k];
  return sum;
}

/**
 * Polynomials through stamps at places of a grid over the detector, its borders included: least squares, pixel by pixel.
 *
 * @param stampAt Writes the stamp of a place, [length].
 * @returns One a term, [length], in the order of `polynomialTerms`.
 */
export function fitStamps(
  width: number, height: number, length: number, order: number, grid: number,
  stampAt: (x: number, y: number, out: Float64Array) => void,
): Float32Array[] {
  const terms = termCount(order), matrix = new Float64Array(terms * terms), right = new Float64Array(terms * length);
  const value = new Float64Array(length), p = new Float64Array(terms);
  for (let i = 0; i < grid * grid; i++) {
    const x = ((width - 1) * (i % grid)) / (grid - 1), y = ((height - 1) * Math.floor(i / grid)) / (grid - 1);
    stampAt(x, y, value);
    polynomialTerms(x, y, width, height, order, p);
    for (let a = 0; a < terms; a++) {
      for (let b = 0; b < terms; b++) matrix[a * terms + b] += p[a] * p[b];
      for (let j = 0; j < length; j++) right[a * length + j] += p[a] * value[j];
    }
  }
  const coefficients = Array.from({ length: terms }, () => new Float32Array(length)), column = new Float64Array(terms);
  for (let j = 0; j < length; j++) {
    for (let a = 0; a < terms; a++) column[a] = right[a * length + j];
    solveSymmetric(matrix.slice(), column, 0);
    for (let a = 0; a < terms; a++) coefficients[a][j] = column[a];
  }
  return coefficients;
}

/**
 * Solves A x = b for a symmetric positive A, in place.
 *
 * Columns are scaled to a unit diagonal first, and `ridge` is added to it, so that terms that the data do not
 * determine come out as zero and not as noise without bounds.
 *
 * @param a [n × n], lower triangle read, destroyed.
 * @param b [n], replaced by x.
 * @returns False when the matrix is not positive; `b` is then undefined.
 */
export function solveSymmetric(a: Float64Array, b: Float64Array, ridge: number): boolean {
  const n = b.length, scale = new Float64Array(n);
  for (let i = 0; i < n; i++) scale[i] = a[i * n + i] > 0 ? 1 / Math.sqrt(a[i * n + i]) : 1;
  for (let i = 0; i < n; i++) {
    b[i] *= scale[i];
    for (let j = 0; j < i; j++) a[i * n + j] *= scale[i] * scale[j];
    a[i * n + i] = 1 + ridge;
  }
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      if (i === j) {
        if (!(sum > 0)) return false;
        a[i * n + i] = Math.sqrt(sum);
      } else {
        a[i * n + j] = sum / a[j * n + j];
      }
    }
    let sum = b[i];
    for (let k = 0; k < i; k++) sum -= a[i * n + k] * b[k];
    b[i] = sum / a[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = b[i];
    for (let k = i + 1; k < n; k++) sum -= a[k * n + i] * b[k];
    b[i] = sum / a[i * n + i];
  }
  for (let i = 0; i < n; i++) b[i] *= scale[i];
  return true;
}
