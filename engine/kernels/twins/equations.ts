import type { StampEntries, StampSystem } from '../equations.ts';

/** Twin of `addEquations`. */
export function addEquationsTwin(
  matrix: Float64Array, right: Float64Array, { firsts, factors, local, localRight }: StampSystem & StampEntries,
  sign: 1 | -1,
): void {
  const count = right.length, vectors = firsts.length;
  for (let v = 0; v < vectors; v++) {
    for (let s = 0; s < factors[v].length; s++) {
      const weight = sign * factors[v][s], row = (firsts[v] + s) * count;
      right[firsts[v] + s] += weight * localRight[v];
      for (let u = 0; u <= v; u++) {
        const product = weight * local[v * vectors + u], from = row + firsts[u];
        for (let t = 0; t < factors[u].length; t++) matrix[from + t] += product * factors[u][t];
      }
    }
  }
}
