/** Repulsion of charge from pairs of flats: neighbours' noise is correlated in proportion to their charge. */
import type { Box } from '../../../schemas/camera.ts';

/** Covariance of neighbours in the difference of two equal flats, halved: that of one flat. Electrons². */
export type Covariances = Readonly<{ mean: number; variance: number; x: number; y: number; pixels: number }>;

/**
 * Of one amp's pixels; those whose difference lies beyond `clipSigma`, or whose mask is not empty, are left out with
 * their neighbours' products.
 *
 * @param a, b [height × width] electrons, flats of equal light. Read only.
 */
export function measureCovariances(
  a: Float32Array, b: Float32Array, masks: readonly [Uint16Array, Uint16Array], width: number, box: Box,
  clipSigma: number,
): Covariances {
  let sumA = 0, sumB = 0, count = 0;
  forEachPixel(box, width, (i) => {
    if ((masks[0][i] | masks[1][i]) !== 0) return;
    sumA += a[i];
    sumB += b[i];
    count++;
  });
  // Lamps drift: the second flat is scaled to the first. Noise of the expected light sets the limit.
  const scale = sumA / sumB, mean = sumA / count, limit = clipSigma * Math.sqrt(2 * mean);
  const isGood = (i: number): boolean => (masks[0][i] | masks[1][i]) === 0 && Math.abs(a[i] - scale * b[i]) <= limit;
  let square = 0, pixels = 0, x = 0, xCount = 0, y = 0, yCount = 0;
  forEachPixel(box, width, (i, isLastColumn, isLastRow) => {
    if (!isGood(i)) return;
    const difference = a[i] - scale * b[i];
    square += difference * difference;
    pixels++;
    if (!isLastColumn && isGood(i + 1)) { x += difference * (a[i + 1] - scale * b[i + 1]); xCount++; }
    if (!isLastRow && isGood(i + width)) { y += difference * (a[i + width] - scale * b[i + width]); yCount++; }
  });
  return { mean, variance: square / pixels / 2, x: x / xCount / 2, y: y / yCount / 2, pixels };
}

function forEachPixel(
  { x0, y0, x1, y1 }: Box, width: number, work: (i: number, isLastColumn: boolean, isLastRow: boolean) => void,
): void {
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) work(y * width + x, x + 1 === x1, y + 1 === y1);
}

/**
 * Flow between neighbours per electron² of difference of their squared charges, from covariances at several levels.
 *
 * With flow f (Q² − Q'²), noise spreads as by a filter of centre 1 − 2a − 2b and neighbours a = 2 f_x μ, b = 2 f_y μ;
 * the covariance of neighbours in x is 2 a (1 − 2a − 2b) of the light's own variance μ. Levels weigh as μ²: the error
 * of a correlation does not depend on the level.
 *
 * @returns null without covariances.
 */
export function fitRepulsion(measured: readonly Covariances[]): { x: number; y: number } | null {
  let weights = 0, sumX = 0, sumY = 0;
  for (const { mean, x, y, pixels } of measured) {
    let a = x / mean / 2, b = y / mean / 2;
    // Converges by the factor 4 a, a few per cent at most.
    for (let round = 0; round < 8; round++) {
      const centre = 1 - 2 * a - 2 * b;
      a = x / mean / 2 / centre;
      b = y / mean / 2 / centre;
    }
    const weight = pixels * mean * mean;
    weights += weight;
    sumX += (weight * a) / (2 * mean);
    sumY += (weight * b) / (2 * mean);
  }
  return weights > 0 ? { x: sumX / weights, y: sumY / weights } : null;
}
