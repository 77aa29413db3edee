/**
 * Local registration: where the visit shows what the template shows, beyond what the two WCSs know.
 *
 * A WCS good to 50 mas leaves a dipole on every star of SNR above some ten; a kernel of low spatial order cannot follow
 * an error that waves across the detector, but a smooth field of displacements measured on the kernel stars can.
 */
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { RegistrationConfig } from './config.ts';
import { evaluatePolynomial, polynomialTerms, solveSymmetric, termCount } from './polynomial.ts';
import type { Stamp } from './stamps.ts';
import { medianOf, robustMoments } from './statistics.ts';

/** Displacement of the visit's sources from the template's, visit pixels, as polynomials over the visit. */
export type Displacement = Readonly<{
  width: number; height: number; order: number; x: Float64Array; y: Float64Array;
  /** Root mean square length over the stars, and of what is left there after it, pixels. */
  rmsPx: number; residualPx: number; starCount: number;
  /** Scatter of single stars about it beyond their centroids' noise, along x and y, pixels: refraction, motion, PSFs. */
  scatterXPx: number; scatterYPx: number;
}>;

/**
 * Fits displacements of windowed centroids between the two images.
 *
 * @param windowSigmaPx Width of the Gaussian window: that of the wider PSF.
 * @returns Null when there are too few stars for any order.
 */
export function measureDisplacement(
  visit: MaskedImage, warped: MaskedImage, stamps: readonly Stamp[], windowSigmaPx: number, config: RegistrationConfig,
): Displacement | null {
  const stars: Shift[] = [];
  for (const { x, y } of stamps) {
    const a = windowedCentroid(visit, x, y, windowSigmaPx), b = windowedCentroid(warped, x, y, windowSigmaPx);
    if (a === null || b === null) continue;
    stars.push({ x, y, dx: a.x - b.x, dy: a.y - b.y, variance: a.variance + b.variance });
  }
  let order = config.order;
  while (order >= 0 && stars.length < config.starsPerTerm * termCount(order)) order--;
  if (order < 0) return null;
  const { width, height } = visit;
  let used: readonly Shift[] = stars;
  for (let i = 0; ; i++) {
    const x = fitShifts(used, width, height, order, 'dx'), y = fitShifts(used, width, height, order, 'dy');
    if (x === null || y === null) return null;
    const lengths = distancesFrom(stars, width, height, order, x, y);
    const { median, scatter } = robustMoments(lengths.slice());
    const kept = stars.filter((_, k) => lengths[k] <= median + config.kappa * scatter);
    if (i >= config.iterationCountMax || kept.length === used.length) {
      const unshifted = used.map((star) => ({ ...star, dx: 0, dy: 0 }));
      return {
        width, height, order, x, y, starCount: used.length,
        rmsPx: rmsOf(distancesFrom(unshifted, width, height, order, x, y)),
        residualPx: rmsOf(distancesFrom(used, width, height, order, x, y)),
        scatterXPx: scatterOf(used, width, height, order, x, 'dx'),
        scatterYPx: scatterOf(used, width, height, order, y, 'dy'),
      };
    }
    used = kept;
  }
}

/** Displacement of one star, and the variance of each component from its pixels' noise, px². */
type Shift = Readonly<{ x: number; y: number; dx: number; dy: number; variance: number }>;

/** Steps of the windowed centroid; each leaves half of the error, so 12 leave 2e-4 px of one pixel. */
const CENTROID_STEPS = 12;

/** Centroid under a Gaussian window that moves with it; null when it runs more than 3 px away or off the image. */
function windowedCentroid(
  { image, variance, width, height }: MaskedImage, x0: number, y0: number, sigma: number,
): { x: number; y: number; variance: number } | null {
  const half = Math.ceil(3 * sigma);
  let x = x0, y = y0, noise = 0;
  for (let i = 0; i < CENTROID_STEPS; i++) {
    const cx = Math.round(x), cy = Math.round(y);
    if (cx < half || cy < half || cx + half >= width || cy + half >= height) return null;
    let sum = 0, sumX = 0, sumY = 0, squares = 0;
    for (let v = cy - half; v <= cy + half; v++) {
      for (let u = cx - half; u <= cx + half; u++) {
        const r2 = (u - x) ** 2 + (v - y) ** 2, weight = Math.exp(-r2 / (2 * sigma * sigma));
        const weighted = image[v * width + u] * weight;
        // Half of r² is the mean of the two components' squares.
        squares += 0.5 * weight * weight * r2 * variance[v * width + u];
        sum += weighted;
        sumX += weighted * (u - x);
        sumY += weighted * (v - y);
      }
    }
    if (!(sum > 0)) return null;
    // Under a window as wide as the source the mean offset is half of the true one.
    x += (2 * sumX) / sum;
    y += (2 * sumY) / sum;
    if (!(Math.hypot(x - x0, y - y0) <= 3)) return null;
    noise = (4 * squares) / (sum * sum);
  }
  return { x, y, variance: noise };
}

function fitShifts(
  stars: readonly Shift[], width: number, height: number, order: number, axis: 'dx' | 'dy',
): Float64Array | null {
  const n = termCount(order), matrix = new Float64Array(n * n), right = new Float64Array(n), p = new Float64Array(n);
  for (const star of stars) {
    polynomialTerms(star.x, star.y, width, height, order, p);
    for (let a = 0; a < n; a++) {
      right[a] += p[a] * star[axis];
      for (let b = 0; b <= a; b++) matrix[a * n + b] += p[a] * p[b];
    }
  }
  return solveSymmetric(matrix, right, 1e-10) ? right : null;
}

function distancesFrom(
  stars: readonly Shift[], width: number, height: number, order: number, x: Float64Array, y: Float64Array,
): Float64Array {
  const terms = new Float64Array(x.length);
  return Float64Array.from(stars, (star) => Math.hypot(
    star.dx - evaluatePolynomial(x, star.x, star.y, width, height, order, terms),
    star.dy - evaluatePolynomial(y, star.x, star.y, width, height, order, terms),
  ));
}

/** Robust scatter of one component about its polynomial among the better half of the stars, their noise taken off. */
function scatterOf(
  stars: readonly Shift[], width: number, height: number, order: number, coefficients: Float64Array,
  axis: 'dx' | 'dy',
): number {
  const better = [...stars].sort((a, b) => a.variance - b.variance).slice(0, Math.ceil(stars.length / 2));
  const terms = new Float64Array(coefficients.length);
  const rest = Float64Array.from(
    better, (star) => star[axis] - evaluatePolynomial(coefficients, star.x, star.y, width, height, order, terms),
  );
  const noise = medianOf(Float64Array.from(better, (star) => star.variance));
  return Math.sqrt(Math.max(0, robustMoments(rest).scatter ** 2 - noise));
}

function rmsOf(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/** Displacement at a visit pixel. */
export function displacementAt(displacement: Displacement, x: number, y: number): { dx: number; dy: number } {
  const { width, height, order } = displacement, terms = new Float64Array(displacement.x.length);
  return {
    dx: evaluatePolynomial(displacement.x, x, y, width, height, order, terms),
    dy: evaluatePolynomial(displacement.y, x, y, width, height, order, terms),
  };
}
