import type { Extremes, ExtremesTask } from '../hough.ts';

/** Twin of `listExtremes`. */
export function listExtremesTwin(
  { plane, mask, width, height, ignoredBits, stepPx, cellPx, threshold }: ExtremesTask, columns: number, rows: number,
): Extremes {
  const high: number[] = [], low: number[] = [];
  for (let row = 0, cell = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, cell++) {
      let highest = -Infinity, lowest = Infinity;
      for (let v = row * cellPx + (stepPx >> 1); v < Math.min(height, (row + 1) * cellPx); v += stepPx) {
        for (let u = column * cellPx + (stepPx >> 1); u < Math.min(width, (column + 1) * cellPx); u += stepPx) {
          const j = v * width + u, value = plane[j];
          if ((mask[j] & ignoredBits) !== 0) continue;
          if (value > highest) highest = value;
          if (value < lowest) lowest = value;
        }
      }
      if (highest >= threshold) high.push(cell);
      if (lowest <= -threshold) low.push(cell);
    }
  }
  return { high: Int32Array.from(high), low: Int32Array.from(low) };
}

/** Twin of `voteForLines`. */
export function voteForLinesTwin(
  x: number, y: number, weight: number, directions: Float64Array, distances: number, half: number, votes: Uint16Array,
): void {
  for (let a = 0; 2 * a < directions.length; a++) {
    votes[a * distances + half + Math.floor(x * directions[2 * a] + y * directions[2 * a + 1] + 0.5)] += weight;
  }
}

/** Twin of `mostVotes`. */
export function mostVotesTwin(votes: Uint16Array): number {
  let best = -1, most = 0;
  for (let k = 0; k < votes.length; k++) if (votes[k] > most) { most = votes[k]; best = k; }
  return best;
}
