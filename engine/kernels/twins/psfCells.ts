import type { PsfStamps } from '../psfCells.ts';

/** Sum of each term's pixels over the whole stamp. */
export function termSums({ size, coefficients }: PsfStamps): Float64Array {
  const n = size * size;
  return Float64Array.from({ length: coefficients.length / n }, (_, k) => {
    let sum = 0;
    for (let j = k * n; j < (k + 1) * n; j++) sum += coefficients[j];
    return sum;
  });
}

/** Twin of `fillPsfCell`. @param sums As `termSums` gives them. @param cell [side²], overwritten. */
export function psfCellTwin(
  { size, width, height, coefficients }: PsfStamps, sums: Float64Array, x: number, y: number, side: number,
  cell: Float64Array,
): void {
  const u = (2 * x) / (width - 1) - 1, v = (2 * y) / (height - 1) - 1, weights = [1, u, v, u * u, u * v, v * v];
  let total = 0;
  for (let k = 0; k < sums.length; k++) total += weights[k] * sums[k];
  const offset = (size - side) / 2, first = Math.max(0, -offset), last = Math.min(side, size - offset);
  cell.fill(0);
  for (let k = 0; k < sums.length; k++) {
    const factor = weights[k] / total;
    for (let row = first; row < last; row++) {
      const from = (k * size + row + offset) * size + offset, to = row * side;
      for (let column = first; column < last; column++) cell[to + column] += factor * coefficients[from + column];
    }
  }
}
