/** The loops of matching and subtraction: convolution of masked planes, difference, variance and masks. */
import { createClippedCells } from '../../kernels/background.ts';
import { convolveByCell, convolveConstant } from '../../kernels/convolve.ts';
import type { DifferenceNoise } from '../../kernels/difference.ts';
import { HALVING_PX2, smoothHalved } from '../../kernels/halved.ts';
import { addSlopes, slopeSums } from '../../kernels/match.ts';
import { smoothSeparable } from '../../kernels/smooth.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { gaussianTaps } from '../../image/smooth.ts';
import type { MatchingKernel } from './kernelFit.ts';
import { polynomialTerms, solveSymmetric, termCount } from './polynomial.ts';
import { medianOfSample } from './statistics.ts';

const NO_DATA = maskBits('NO_DATA');

/**
 * Image convolved with the kernel, constant in cells of 98 px (across which the PSFs vary by a part in a thousand), and
 * variance with how the kernel at the middle of the detector spreads it, scaled to `convolvedVariance` of unit noise.
 * Pixels without data count as zero. The mask is not touched.
 *
 * @param spread  Squares of the kernel, of its size, times any factor.
 * @param out     Image and variance overwritten.
 */
export function convolvePlanes(
  planes: MaskedImage, kernel: MatchingKernel, spread: Float32Array, convolvedVariance: number,
  out: MaskedImage,
): void {
  const { width, height, variance, mask } = planes;
  convolveByCell(
    planes.image, width, height, kernel.size, {
      terms: kernel.kernels, weightsAt: (x, y, at) => { polynomialTerms(x, y, width, height, kernel.order, at); },
    }, out.image,
    { mask: planes.mask, bits: NO_DATA, variance: null },
  );
  const sides = sidesOf(spread, kernel.size);
  if (sides !== null) {
    const restX = (secondMoment(sides.x) - HALVING_PX2) / 4, restY = (secondMoment(sides.y) - HALVING_PX2) / 4;
    if (restX < 0 || restY < 0) {
      smoothSeparable(variance, mask, NO_DATA, width, height, tapsOf(sides, convolvedVariance), out.variance);
      return;
    }
    const halved = { x: gaussianSide(restX), y: gaussianSide(restY) };
    smoothHalved(variance, mask, NO_DATA, width, height, tapsOf(halved, convolvedVariance), out.variance);
    return;
  }
  const total = spread.reduce((sum, value) => sum + value, 0);
  const squares = spread.map((value) => (value * convolvedVariance) / total);
  convolveConstant(
    variance, width, height, kernel.size, squares, out.variance, { mask, bits: NO_DATA, variance: null },
  );
}

/** Share of the variance that separate taps may put elsewhere than the kernel does: some pixels beside a bright star. */
const MISPLACED_MAX = 0.15;
/** Share of the sum beyond the ends of taps. */
const TAPS_END = 1e-4;

/** Weights of a symmetric kernel along either axis, from the middle on. */
type Sides = Readonly<{ x: Float64Array; y: Float64Array }>;

/**
 * What the squares of a kernel are along either axis, each side like the other; null where they are not nearly the
 * product of both.
 */
function sidesOf(squares: Float32Array, size: number): Sides | null {
  const middle = (size - 1) / 2, x = new Float64Array(middle + 1), y = new Float64Array(middle + 1);
  const total = squares.reduce((all, value) => all + value, 0);
  squares.forEach((value, j) => {
    x[Math.abs((j % size) - middle)] += value / total;
    y[Math.abs(Math.floor(j / size) - middle)] += value / total;
  });
  // So far both sides together.
  for (let i = 1; i <= middle; i++) { x[i] /= 2; y[i] /= 2; }
  let misplaced = 0;
  squares.forEach((value, j) => {
    const product = x[Math.abs((j % size) - middle)] * y[Math.abs(Math.floor(j / size) - middle)];
    misplaced += Math.abs(value / total - product) / 2;
  });
  return misplaced > MISPLACED_MAX || !(x[0] > 0) || !(y[0] > 0) ? null : { x, y };
}

/** Of a kernel with these sides, px². */
function secondMoment(side: Float64Array): number {
  const sum = side.reduce((all, weight) => all + 2 * weight, -side[0]);
  return side.reduce((all, weight, i) => all + 2 * weight * i * i, 0) / sum;
}

function gaussianSide(variance: number): Float64Array {
  const taps = gaussianTaps(Math.sqrt(variance));
  return taps.slice((taps.length - 1) >> 1);
}

/**
 * Taps of `smoothSeparable` (those along x, the middle, those along y) with the sum given, without the sides' faint ends.
 */
function tapsOf({ x, y }: Sides, sum: number): Float64Array {
  const at = (side: Float64Array, i: number): number => (i < side.length ? side[i] : 0);
  let half = Math.max(x.length, y.length) - 1, lost = 0;
  while (half > 1 && lost + at(x, half) + at(y, half) < TAPS_END) lost += at(x, half) + at(y, half--);
  const length = (side: Float64Array): number => side.subarray(0, half + 1).reduce((all, tap) => all + 2 * tap, -side[0]);
  // The middle tap is the same for both axes.
  const scale = Math.sqrt(sum / (length(x) * length(y))), even = Math.sqrt(y[0] / x[0]);
  const taps = new Float64Array(2 * half + 1).fill(scale * Math.sqrt(x[0] * y[0]), half, half + 1);
  for (let i = 1; i <= half; i++) { taps[half - i] = scale * even * at(x, i); taps[half + i] = (scale / even) * at(y, i); }
  return taps;
}

/**
 * Radius beyond which no pixel of the kernel holds more than `fraction` of its sum, pixels.
 *
 * @param kernel [size × size].
 */
export function kernelReachPx(kernel: Float32Array, size: number, fraction: number): number {
  const half = (size - 1) / 2, limit = fraction * Math.abs(kernel.reduce((sum, value) => sum + value, 0));
  let reach = 0;
  for (let v = -half; v <= half; v++) {
    for (let u = -half; u <= half; u++) {
      if (Math.abs(kernel[(v + half) * size + u + half]) > limit) reach = Math.max(reach, Math.hypot(u, v));
    }
  }
  return Math.min(half, Math.ceil(reach));
}

/** Sets EDGE on a border of `marginPx`. */
export function markEdge(mask: Uint16Array, width: number, height: number, marginPx: number): void {
  const edge = maskBits('EDGE'), markRow = (y: number, x0: number, x1: number): void => {
    for (let j = y * width + Math.max(0, x0), end = y * width + Math.min(width, x1); j < end; j++) mask[j] |= edge;
  };
  for (let y = 0; y < height; y++) {
    if (y < marginPx || y >= height - marginPx) { markRow(y, 0, width); continue; }
    markRow(y, 0, marginPx);
    markRow(y, width - marginPx, width);
  }
}

/** Pixels of a cell that the background uses lie within this many standard deviations of its median. */
const BACKGROUND_CLIP_SIGMA = 3;
/** Images with as many rows show every fourth to the background: a level over four million pixels is good to σ / 2000. */
const BACKGROUND_ROWS_MANY = 2048;

/**
 * Polynomial through the clipped means of cells, the sky that the stamps did not see.
 *
 * @param blank Pixels with one of these bits are not used; cells with less than half of their pixels neither.
 * @returns Coefficients in the order of `polynomialTerms`; zeros when too few cells are usable.
 */
export function fitCellBackground(
  plane: Float32Array, mask: Uint16Array, width: number, height: number, blank: number, cellPx: number, order: number,
): Float64Array {
  const terms = termCount(order), matrix = new Float64Array(terms * terms), right = new Float64Array(terms);
  const p = new Float64Array(terms);
  const rowStep = height < BACKGROUND_ROWS_MANY ? 1 : 4, looked = cellPx * Math.ceil(cellPx / rowStep);
  const cellOf = createClippedCells({
    image: plane, mask, ignoredBits: blank, width, clipSigma: BACKGROUND_CLIP_SIGMA, rowStep, pixelsMax: cellPx ** 2,
  });
  let cellCount = 0;
  for (let y0 = 0; y0 < height; y0 += cellPx) {
    for (let x0 = 0; x0 < width; x0 += cellPx) {
      const x1 = Math.min(x0 + cellPx, width), y1 = Math.min(y0 + cellPx, height);
      const { mean } = cellOf({ x0, x1, y0, y1 }, Math.ceil(looked / 2));
      if (!Number.isFinite(mean)) continue;
      polynomialTerms((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2, width, height, order, p);
      for (let a = 0; a < terms; a++) {
        right[a] += p[a] * mean;
        for (let b = 0; b < terms; b++) matrix[a * terms + b] += p[a] * p[b];
      }
      cellCount++;
    }
  }
  if (cellCount < terms || !solveSymmetric(matrix, right, 1e-12)) return new Float64Array(terms);
  return right;
}

/** With fewer rows all are taken to tell the slope. */
const SLOPE_ROWS_MIN = 1024;

/**
 * How much a pixel's variance rises with its own flux: Σ Δvariance Δflux / Σ Δflux² of neighbours in the sky, where
 * noise alone makes them differ. 1/gain when the variance was computed from each pixel's counts, 0 when it is smooth.
 */
export function varianceSlope(planes: MaskedImage, blank: number): number {
  const typical = medianOfSample(planes.variance, planes.mask, blank);
  const { products, squares } = slopeSums(planes, {
    // Sources have gradients: only differences that noise explains are used.
    blank, differenceSquareMax: 18 * typical, varianceMax: 1.5 * typical,
    // 2 million pairs of a 4k detector are left; the slope is needed to some percent.
    rowStep: planes.height < SLOPE_ROWS_MIN ? 1 : 8,
  });
  return squares > 0 ? Math.max(0, products / squares) : 0;
}

/**
 * Adds what single sources lie off the fitted registration (refraction by colour, proper motion): scatter² × slope² of
 * the template on the visit's pixels.
 *
 * @param template [height × width], the matched template. Read only; NaN adds nothing.
 * @param variance [height × width], added to.
 */
export function addRegistrationVariance(
  template: Float32Array, width: number, height: number, scatterX: number, scatterY: number, variance: Float32Array,
): void {
  addSlopes(template, width, height, (scatterX * scatterX) / 4, (scatterY * scatterY) / 4, variance);
}

/** Mean of 3 × 3 pixels of the difference, in standard deviations of one pixel, above which a source is believed. */
const BELIEVED_SIGMA = 2.5;
/** Share of a pixel's variance that the correction leaves at least. */
const VARIANCE_SHARE_MIN = 0.2;

/**
 * How the variance of a difference is made of that of the visit and of the convolved template.
 *
 * A variance from a pixel's own counts is small where the pixel fluctuated down, and makes faint negative detections
 * of noise. So the fluctuation's part, slope × difference, is taken off, which leaves what the pixel would have if it
 * held what the template says; where 3 × 3 pixels agree that it does not (a source of SNR above about 9), nothing is.
 *
 * @param slope As `varianceSlope` measures it.
 */
export function differenceNoise(slope: number): DifferenceNoise {
  return { slope, believed: (9 * BELIEVED_SIGMA) ** 2, shareMin: VARIANCE_SHARE_MIN, scale: 1 };
}
