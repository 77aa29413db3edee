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
 * The order of the polynomials is the one of least Bayesian information criterion (Schwarz 1978) up to the largest
 * that the stars allow; when no displacement at all is the best account, the result is zero. A higher order than the
 * stars support would follow their centroids' noise, and run away where there are none, at the edges.
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
  return fitDisplacement(stars, visit.width, visit.height, config);
}

/** As `measureDisplacement`, from measured shifts. */
export function fitDisplacement(
  stars: readonly Shift[], width: number, height: number, config: RegistrationConfig,
): Displacement | null {
  let orderMax = config.order;
  while (orderMax >= 0 && stars.length < config.starsPerTerm * termCount(orderMax)) orderMax--;
  if (orderMax < 0) return null;
  const field = { width, height };
  // What single stars scatter beyond their noise is no evidence for an order.
  const first = fitOrder(stars, field, orderMax, config.floorPx, config);
  if (first === null) return null;
  const scatterPx = Math.max(config.floorPx, first.scatterXPx, first.scatterYPx);
  let best = { fit: unmoved(stars, field, scatterPx), criterion: cost(stars, field, null, scatterPx, config) };
  for (let order = 0; order <= orderMax; order++) {
    const fit = fitOrder(stars, field, order, scatterPx, config);
    if (fit === null) continue;
    const parameters = 2 * termCount(order), measurements = 2 * stars.length;
    const criterion = cost(stars, field, fit, scatterPx, config) + parameters * Math.log(measurements);
    if (criterion < best.criterion) best = { fit, criterion };
  }
  return best.fit;
}

type Field = Readonly<{ width: number; height: number }>;

/** Weighted least squares of one order, outliers rejected by turns; null when it is not determined. */
function fitOrder(
  stars: readonly Shift[], { width, height }: Field, order: number, scatterPx: number, config: RegistrationConfig,
): Displacement | null {
  let used: readonly Shift[] = stars;
  for (let i = 0; ; i++) {
    const found = fitShifts(used, width, height, order, scatterPx);
    if (found === null) return null;
    const { x, y } = found;
    const lengths = distancesFrom(stars, width, height, order, x, y);
    const pulls = lengths.map((length, k) => length / Math.sqrt(stars[k].variance + scatterPx * scatterPx));
    const { median, scatter } = robustMoments(pulls.slice());
    const kept = stars.filter((_, k) => pulls[k] <= median + config.kappa * scatter);
    if (i >= config.iterationCountMax || kept.length === used.length) {
      return describe(used, { width, height }, order, x, y);
    }
    used = kept;
  }
}

function describe(
  used: readonly Shift[], { width, height }: Field, order: number, x: Float64Array, y: Float64Array,
): Displacement {
  const unshifted = used.map((star) => ({ ...star, dx: 0, dy: 0 }));
  return {
    width, height, order, x, y, starCount: used.length,
    rmsPx: rmsOf(distancesFrom(unshifted, width, height, order, x, y)),
    residualPx: rmsOf(distancesFrom(used, width, height, order, x, y)),
    scatterXPx: scatterOf(used, width, height, order, x, 'dx'),
    scatterYPx: scatterOf(used, width, height, order, y, 'dy'),
  };
}

/** No displacement: the WCSs are right. */
function unmoved(stars: readonly Shift[], field: Field, scatterPx: number): Displacement {
  const sound = stars.filter(({ dx, dy, variance }) => (
    Math.hypot(dx, dy) <= 5 * Math.sqrt(variance + scatterPx * scatterPx)));
  return describe(sound.length > 0 ? sound : stars, field, 0, new Float64Array(1), new Float64Array(1));
}

/** Σ of squared pulls over both axes; an outlier counts no more than its rejection limit. */
function cost(
  stars: readonly Shift[], { width, height }: Field, fit: Displacement | null, scatterPx: number, config: RegistrationConfig,
): number {
  const { x, y, order } = fit ?? { x: new Float64Array(1), y: new Float64Array(1), order: 0 };
  const lengths = distancesFrom(stars, width, height, order, x, y);
  const limit = 2 * config.kappa * config.kappa;
  return lengths.reduce((sum, length, k) => (
    sum + Math.min(limit, (length * length) / (stars[k].variance + scatterPx * scatterPx))), 0);
}

/** Displacement of one star, and the variance of each component from its pixels' noise, px². */
export type Shift = Readonly<{ x: number; y: number; dx: number; dy: number; variance: number }>;

/** Steps of the windowed centroid; each leaves half of the error, so 12 leave 2e-4 px of one pixel. */
const CENTROID_STEPS = 12;
/** Half of a step from which on the next ones would move the centroid by less than 2e-4 px. */
const CENTROID_STEP_MIN_PX = 1e-4;

/** Centroid under a Gaussian window that moves with it; null when it runs more than 3 px away or off the image. */
function windowedCentroid(
  { image, variance, width, height }: MaskedImage, x0: number, y0: number, sigma: number,
): { x: number; y: number; variance: number } | null {
  const half = Math.ceil(3 * sigma), alongX = new Float64Array(2 * half + 1), alongY = new Float64Array(2 * half + 1);
  let x = x0, y = y0, noise = 0;
  for (let i = 0; i < CENTROID_STEPS; i++) {
    const cx = Math.round(x), cy = Math.round(y);
    if (cx < half || cy < half || cx + half >= width || cy + half >= height) return null;
    let sum = 0, sumX = 0, sumY = 0, squares = 0;
    fillGaussian(cx - half, x, sigma, alongX);
    fillGaussian(cy - half, y, sigma, alongY);
    for (let v = cy - half; v <= cy + half; v++) {
      const weightY = alongY[v - cy + half], dy2 = (v - y) * (v - y);
      for (let u = cx - half; u <= cx + half; u++) {
        const r2 = (u - x) * (u - x) + dy2, weight = weightY * alongX[u - cx + half];
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
    if (Math.hypot(sumX, sumY) < CENTROID_STEP_MIN_PX * sum) break;
  }
  return { x, y, variance: noise };
}

/** A Gaussian's factor along one axis at the pixels from `first` on. */
function fillGaussian(first: number, centre: number, sigma: number, out: Float64Array): void {
  for (let i = 0; i < out.length; i++) out[i] = Math.exp(-((first + i - centre) ** 2) / (2 * sigma * sigma));
}

/** Polynomials of both components, which share their equations; null when these are singular. */
function fitShifts(
  stars: readonly Shift[], width: number, height: number, order: number, scatterPx: number,
): { x: Float64Array; y: Float64Array } | null {
  const n = termCount(order), matrix = new Float64Array(n * n), p = new Float64Array(n);
  const x = new Float64Array(n), y = new Float64Array(n);
  for (const star of stars) {
    polynomialTerms(star.x, star.y, width, height, order, p);
    const weight = 1 / (star.variance + scatterPx * scatterPx);
    for (let a = 0; a < n; a++) {
      const weighted = weight * p[a];
      x[a] += weighted * star.dx;
      y[a] += weighted * star.dy;
      for (let b = 0; b <= a; b++) matrix[a * n + b] += weighted * p[b];
    }
  }
  return solveSymmetric(matrix.slice(), x, 1e-10) && solveSymmetric(matrix, y, 1e-10) ? { x, y } : null;
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
