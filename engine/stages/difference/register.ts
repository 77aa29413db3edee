/**
 * Local registration: where the visit shows what the template shows, beyond what the two WCSs know.
 *
 * A WCS good to 50 mas leaves a dipole on every star of SNR above some ten; a kernel of low spatial order cannot follow
 * an error that waves across the detector, but a smooth field of displacements measured on the kernel stars can.
 */
import { createWindowed } from '../../kernels/windowed.ts';
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
  // Without a width there is no source to measure.
  if (!(windowSigmaPx > 0)) return null;
  const here = centroidsOf(visit, stamps, windowSigmaPx), there = centroidsOf(warped, stamps, windowSigmaPx);
  const stars = stamps.flatMap(({ x, y }, k): Shift[] => {
    const a = here[k], b = there[k];
    return a === null || b === null ? []
      : [{ x, y, dx: a.x - b.x, dy: a.y - b.y, variance: a.variance + b.variance }];
  });
  return fitDisplacement(stars, visit.width, visit.height, config);
}

/** As `measureDisplacement`, from measured shifts. */
export function fitDisplacement(
  stars: readonly Shift[], width: number, height: number, config: RegistrationConfig,
): Displacement | null {
  let orderMax = config.order;
  while (orderMax >= 0 && stars.length < config.starsPerTerm * termCount(orderMax)) orderMax--;
  if (orderMax < 0) return null;
  const field = fieldOf(stars, width, height, orderMax);
  // What single stars scatter beyond their noise is no evidence for an order.
  const first = fitOrder(momentsOf(field, config.floorPx), orderMax, config);
  if (first === null) return null;
  const { scatterXPx, scatterYPx } = describe(field, first);
  const moments = momentsOf(field, Math.max(config.floorPx, scatterXPx, scatterYPx)), still = unmoved(moments);
  let best = { fit: still, criterion: cost(moments, still, config) };
  for (let order = 0; order <= orderMax; order++) {
    const fit = fitOrder(moments, order, config);
    if (fit === null) continue;
    const parameters = 2 * termCount(order), measurements = 2 * stars.length;
    const criterion = cost(moments, fit, config) + parameters * Math.log(measurements);
    if (criterion < best.criterion) best = { fit, criterion };
  }
  return describe(field, best.fit);
}

/** Stars, and the terms of the highest order at their places; lower orders' terms come first among them. */
type Field = Readonly<{
  stars: readonly Shift[]; width: number; height: number; termCount: number;
  /** [stars × terms] */
  terms: Float64Array;
}>;

function fieldOf(stars: readonly Shift[], width: number, height: number, order: number): Field {
  const count = termCount(order), terms = new Float64Array(stars.length * count);
  stars.forEach(({ x, y }, k) => {
    polynomialTerms(x, y, width, height, order, terms.subarray(k * count, (k + 1) * count));
  });
  return { stars, width, height, termCount: count, terms };
}

/** Polynomials of both components, and the stars that have a say in them. */
type OrderFit = Readonly<{ order: number; x: Float64Array; y: Float64Array; isUsed: Uint8Array }>;

/** Normal equations of all stars, of which every order's and selection's follow. */
type Moments = Readonly<{
  field: Field; weights: Float64Array;
  /** [terms × terms], lower triangle; [terms] each. */
  matrix: Float64Array; x: Float64Array; y: Float64Array;
}>;

function momentsOf(field: Field, scatterPx: number): Moments {
  const { stars, termCount: n } = field;
  const weights = Float64Array.from(stars, ({ variance }) => 1 / (variance + scatterPx * scatterPx));
  const moments = { field, weights, matrix: new Float64Array(n * n), x: new Float64Array(n), y: new Float64Array(n) };
  for (let k = 0; k < stars.length; k++) addStar(moments, k, 1, n, moments.matrix, moments.x, moments.y);
  return moments;
}

/** Adds a star to the equations of the first `n` terms, or with `sign` −1 takes it off. */
function addStar(
  { field: { stars, terms, termCount: stride }, weights }: Moments, k: number, sign: 1 | -1, n: number,
  matrix: Float64Array, x: Float64Array, y: Float64Array,
): void {
  const { dx, dy } = stars[k], start = k * stride, weight = sign * weights[k];
  for (let a = 0; a < n; a++) {
    const weighted = weight * terms[start + a], row = a * n;
    x[a] += weighted * dx;
    y[a] += weighted * dy;
    for (let b = 0; b <= a; b++) matrix[row + b] += weighted * terms[start + b];
  }
}

/** Weighted least squares of one order, outliers rejected by turns; null when it is not determined. */
function fitOrder(moments: Moments, order: number, config: RegistrationConfig): OrderFit | null {
  const { stars } = moments.field;
  let isUsed = new Uint8Array(stars.length).fill(1), usedCount = stars.length;
  for (let i = 0; ; i++) {
    const found = fitShifts(moments, isUsed, order);
    if (found === null) return null;
    const pulls = distancesFrom(moments.field, found);
    for (let k = 0; k < pulls.length; k++) pulls[k] *= Math.sqrt(moments.weights[k]);
    const { median, scatter } = robustMoments(pulls.slice()), limit = median + config.kappa * scatter;
    const isKept = Uint8Array.from(pulls, (pull) => (pull <= limit ? 1 : 0));
    const keptCount = isKept.reduce((sum, kept) => sum + kept, 0);
    if (i >= config.iterationCountMax || keptCount === usedCount) return { order, ...found, isUsed };
    isUsed = isKept;
    usedCount = keptCount;
  }
}

/** Polynomials of both components, which share their equations; null when these are singular. */
function fitShifts(
  moments: Moments, isUsed: Uint8Array, order: number,
): Readonly<{ x: Float64Array; y: Float64Array }> | null {
  const n = termCount(order), stride = moments.field.termCount, matrix = new Float64Array(n * n);
  for (let a = 0; a < n; a++) matrix.set(moments.matrix.subarray(a * stride, a * stride + a + 1), a * n);
  const x = moments.x.slice(0, n), y = moments.y.slice(0, n);
  for (let k = 0; k < isUsed.length; k++) if (isUsed[k] === 0) addStar(moments, k, -1, n, matrix, x, y);
  return solveSymmetric(matrix.slice(), x, 1e-10) && solveSymmetric(matrix, y, 1e-10) ? { x, y } : null;
}

function describe(field: Field, { order, x, y, isUsed }: OrderFit): Displacement {
  const { width, height, stars } = field, used = stars.filter((_, k) => isUsed[k] === 1);
  const own = fieldOf(used, width, height, order), unshifted = used.map((star) => ({ ...star, dx: 0, dy: 0 }));
  return {
    width, height, order, x, y, starCount: used.length,
    rmsPx: rmsOf(distancesFrom({ ...own, stars: unshifted }, { x, y })), residualPx: rmsOf(distancesFrom(own, { x, y })),
    scatterXPx: scatterOf(own, x, 'dx'), scatterYPx: scatterOf(own, y, 'dy'),
  };
}

/** No displacement: the WCSs are right. */
function unmoved({ field: { stars }, weights }: Moments): OrderFit {
  const isSound = Uint8Array.from(stars, ({ dx, dy }, k) => (Math.hypot(dx, dy) * Math.sqrt(weights[k]) <= 5 ? 1 : 0));
  return {
    order: 0, x: new Float64Array(1), y: new Float64Array(1), isUsed: isSound.includes(1) ? isSound : isSound.fill(1),
  };
}

/** Σ of squared pulls over both axes; an outlier counts no more than its rejection limit. */
function cost({ field, weights }: Moments, fit: OrderFit, config: RegistrationConfig): number {
  const lengths = distancesFrom(field, fit), limit = 2 * config.kappa * config.kappa;
  return lengths.reduce((sum, length, k) => sum + Math.min(limit, length * length * weights[k]), 0);
}

/** Displacement of one star, and the variance of each component from its pixels' noise, px². */
export type Shift = Readonly<{ x: number; y: number; dx: number; dy: number; variance: number }>;

/** Steps of the windowed centroid; each leaves half of the error, so 12 leave 2e-4 px of one pixel. */
const CENTROID_STEPS = 12;
/** A step below which the next ones would move the centroid by less than that. */
const CENTROID_TOLERANCE_PX = 2e-4;
/** A centroid that runs farther is another source's. */
const CENTROID_DRIFT_PX = 3;
/** Narrowest window that pixels sample. */
const WINDOW_SIGMA_MIN_PX = 0.5;

/** And the variance of each component. */
type Centroid = Readonly<{ x: number; y: number; variance: number }>;

/** Centroids under a Gaussian window that moves with them; null where one runs away. */
function centroidsOf(planes: MaskedImage, stamps: readonly Stamp[], windowSigmaPx: number): (Centroid | null)[] {
  const { image, mask, width, height } = planes, sigmaPx = Math.max(windowSigmaPx, WINDOW_SIGMA_MIN_PX);
  const measure = createWindowed({
    image, mask, width, height, sigmaPx, steps: CENTROID_STEPS, tolerancePx: CENTROID_TOLERANCE_PX,
    driftPx: CENTROID_DRIFT_PX, flagReach2: 0,
  });
  const half = Math.ceil(3 * sigmaPx), alongX = new Float64Array(2 * half + 1), alongY = new Float64Array(2 * half + 1);
  return stamps.map((stamp) => {
    const found = measure(stamp.x, stamp.y);
    if (found === null) return null;
    const { x, y, flux } = found, left = Math.round(x) - half, top = Math.round(y) - half;
    if (left < 0 || top < 0 || left + 2 * half >= width || top + 2 * half >= height) return null;
    fillGaussian(left, x, sigmaPx, alongX);
    fillGaussian(top, y, sigmaPx, alongY);
    // Under a window as wide as the source a step is twice the mean offset.
    return { x, y, variance: (4 * offsetNoise(planes, left, top, x, y, alongX, alongY)) / (flux * flux) };
  });
}

/** Variance of Σ weight × value × offset along one axis: half of r² is the mean of the two components' squares. */
function offsetNoise(
  { variance, width }: MaskedImage, left: number, top: number, x: number, y: number, alongX: Float64Array,
  alongY: Float64Array,
): number {
  let sum = 0;
  for (let j = 0; j < alongY.length; j++) {
    const dy2 = (top + j - y) ** 2, squareY = alongY[j] * alongY[j], row = (top + j) * width + left;
    for (let i = 0; i < alongX.length; i++) {
      const dx = left + i - x;
      sum += squareY * alongX[i] * alongX[i] * (dx * dx + dy2) * variance[row + i];
    }
  }
  return 0.5 * sum;
}

/** A Gaussian's factor along one axis at the pixels from `first` on. */
function fillGaussian(first: number, centre: number, sigma: number, out: Float64Array): void {
  for (let i = 0; i < out.length; i++) out[i] = Math.exp(-((first + i - centre) ** 2) / (2 * sigma * sigma));
}

/** How far each star lies from the polynomials. */
function distancesFrom(
  { stars, terms, termCount: stride }: Field, { x, y }: Readonly<{ x: Float64Array; y: Float64Array }>,
): Float64Array {
  const lengths = new Float64Array(stars.length);
  for (let k = 0; k < lengths.length; k++) {
    let dx = stars[k].dx, dy = stars[k].dy;
    for (let a = 0, at = k * stride; a < x.length; a++, at++) { dx -= x[a] * terms[at]; dy -= y[a] * terms[at]; }
    lengths[k] = Math.hypot(dx, dy);
  }
  return lengths;
}

/** Robust scatter of one component about its polynomial among the better half of the stars, their noise taken off. */
function scatterOf(
  { stars, terms, termCount: stride }: Field, coefficients: Float64Array, axis: 'dx' | 'dy',
): number {
  const better = stars.map((_, k) => k).sort((a, b) => stars[a].variance - stars[b].variance)
    .slice(0, Math.ceil(stars.length / 2));
  const rest = Float64Array.from(better, (k) => {
    let value = stars[k][axis];
    for (let a = 0; a < coefficients.length; a++) value -= coefficients[a] * terms[k * stride + a];
    return value;
  });
  const noise = medianOf(Float64Array.from(better, (k) => stars[k].variance));
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
