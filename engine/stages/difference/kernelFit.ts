/** Fit of a spatially varying matching kernel and background (Alard & Lupton 1998; constant sum: Alard 2000). */
import { StageError } from '../../errors.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { addEquations, type StampEntries } from '../../kernels/equations.ts';
import { stampPixels } from '../../kernels/stampPixels.ts';
import { createStampEquations } from '../../kernels/stamps.ts';
import { addBasisFunction, createKernelBasis, type KernelBasis } from './basis.ts';
import type { KernelConfig, KernelStarConfig } from './config.ts';
import { basisProducts, weightedNoise } from './noiseBias.ts';
import { evaluatePolynomial, polynomialTerms, solveSymmetric, termCount } from './polynomial.ts';
import type { Stamp } from './stamps.ts';
import { medianOf, robustMoments } from './statistics.ts';

/** Turns the sharper image into the other: Σ_s P_s(x, y) kernels[s], with the terms of `polynomialTerms`. */
export type MatchingKernel = Readonly<{
  width: number; height: number;
  size: number;
  order: number;
  /** One a term, [size × size]; only the first has a sum. */
  kernels: readonly Float32Array[];
  /** Flux ratio of the other image to the sharper one; the same everywhere. */
  sum: number;
  backgroundOrder: number;
  /** Background of the other image over the sharper one's, in the images' unit. */
  background: Float64Array;
}>;

/** How the fit went at one stamp. */
export type FittedStamp = Readonly<{
  x: number; y: number;
  /** `rejected`: its χ² stood out. `empty`: it had too few usable pixels. */
  state: 'used' | 'rejected' | 'empty';
  pixelCount: number;
  /** χ² per pixel of what the match leaves, and of what is there without it: Σ w d² / n. NaN when empty. */
  chi2: number; signalChi2: number;
}>;

export type KernelFit = Readonly<{
  kernel: MatchingKernel;
  /** All stamps that were offered, in their order. */
  stamps: readonly FittedStamp[];
  stampsUsed: number;
  /** Rejected for a χ² that stands out: variables, neighbours of masked pixels, moved sources. */
  stampsRejected: number;
  /** Fell out for want of usable pixels. */
  stampsEmpty: number;
  iterationCount: number;
  /** Median over the used stamps of χ² per pixel. */
  stampChi2Median: number;
}>;

/** Stamps whose pixels are gathered before their equations are made: 1 MB, and tables are laid out once for all. */
const STAMPS_TOGETHER = 64;

/** Ridge on the unit diagonal: suppresses what the stamps do not determine at a part in 10⁸, below float32. */
const RIDGE = 1e-8;

/**
 * @param sharper   The image that is convolved; what is not finite counts as 0.
 * @param other     The image that it is to match.
 * @param unusable  [height × width], 1 where a pixel may not be fitted.
 * @param noiseRemoved Share of what the sharper image's noise, taken as white, adds to the equations that is taken off.
 *                     Where none would be left to fit, nothing is.
 * @throws StageError KERNEL_STARS_TOO_FEW.
 */
export function fitMatchingKernel(
  sharper: MaskedImage, other: MaskedImage, unusable: Uint8Array, stamps: readonly Stamp[], blurSigmaPx: number,
  kernelConfig: KernelConfig, starConfig: KernelStarConfig, noiseRemoved = 0,
): KernelFit {
  const basis = createKernelBasis(blurSigmaPx, kernelConfig);
  const equationsAt = createStampEquations({
    basis, image: sharper.image, width: sharper.width, stampHalf: starConfig.stampHalfSizePx,
  });
  const unknownCount = basis.functions.length + 1, all: StampEquations[] = [];
  for (let first = 0; first < stamps.length; first += STAMPS_TOGETHER) {
    const some = stamps.slice(first, first + STAMPS_TOGETHER);
    for (const { stamp, weights, data, pixelCount } of stampPixelsOf(sharper, other, unusable, some, starConfig)) {
      const local = new Float64Array(unknownCount ** 2), localRight = new Float64Array(unknownCount);
      const dataSquares = pixelCount > 0 ? equationsAt(stamp.x, stamp.y, weights, data, local, localRight) : 0;
      const noise = noiseRemoved === 0 ? 0 : noiseRemoved * weightedNoise(
        sharper.variance, sharper.width, stamp.x, stamp.y, weights, starConfig.stampHalfSizePx);
      all.push({ ...stamp, pixelCount, local, localRight, dataSquares, noise });
    }
  }
  const filled = all.filter((equations) => equations.pixelCount > 0);
  const layout = layoutOf(basis, other.width, other.height, filled.length, kernelConfig);
  const normal: Normal = { matrix: new Float64Array(layout.count ** 2), right: new Float64Array(layout.count) };
  addStamps(layout, normal, filled, 1, sharper.image);
  let used = filled, iterationCount = 0, solution: Float64Array;
  for (;;) {
    requireStamps(used.length, stamps.length, starConfig);
    solution = solve(layout, normal, used.length);
    iterationCount++;
    const kept = withoutOutliers(layout, filled, solution, starConfig.kappa);
    const isSame = kept.length === used.length && kept.every((equations, i) => equations === used[i]);
    if (isSame || iterationCount >= starConfig.iterationCountMax) break;
    const before = new Set(used), after = new Set(kept);
    addStamps(layout, normal, used.filter((equations) => !after.has(equations)), -1, sharper.image);
    addStamps(layout, normal, kept.filter((equations) => !before.has(equations)), 1, sharper.image);
    used = kept;
  }
  if (noiseRemoved > 0) solution = solveWithoutNoise(layout, normal, basis, used, sharper.image) ?? solution;
  const isUsed = new Set(used);
  const fitted = all.map((equations): FittedStamp => {
    const { x, y, pixelCount, dataSquares } = equations;
    if (pixelCount === 0) return { x, y, state: 'empty', pixelCount, chi2: NaN, signalChi2: NaN };
    return {
      x, y, state: isUsed.has(equations) ? 'used' : 'rejected', pixelCount,
      chi2: chi2OfStamp(layout, equations, solution), signalChi2: dataSquares / pixelCount,
    };
  });
  return {
    kernel: kernelOf(basis, layout, solution), stamps: fitted,
    stampsUsed: used.length, stampsRejected: filled.length - used.length, stampsEmpty: all.length - filled.length,
    iterationCount,
    stampChi2Median: medianOf(Float64Array.from(fitted.filter(({ state }) => state === 'used'), ({ chi2 }) => chi2)),
  };
}

function requireStamps(count: number, chosen: number, config: KernelStarConfig): void {
  if (count >= config.stampCountMin) return;
  throw new StageError({
    code: 'KERNEL_STARS_TOO_FEW',
    message: `${count} of ${chosen} stamps are usable for the matching kernel, ${config.stampCountMin} required`,
    disposition: 'reject', // The same pixels will have the same stars.
    details: { stampCount: count, stampsChosen: chosen, stampCountMin: config.stampCountMin },
  });
}

/**
 * Normal equations of one stamp, for the kernel at its place: unknowns are a weight for each basis function and one
 * constant background.
 */
type StampEquations = Readonly<{
  x: number; y: number;
  pixelCount: number;
  /** [n × n], n = functions + 1; full. */
  local: Float64Array;
  /** [n] */
  localRight: Float64Array;
  /** Σ w d². */
  dataSquares: number;
  /** What of Σ w V of the convolved image is to be taken off. */
  noise: number;
}>;

/** What a stamp is fitted to; [stamp side²] each, 0 where a pixel may not be used. `pixelCount` 0: not at all. */
type StampPixels = Readonly<{ stamp: Stamp; weights: Float64Array; data: Float64Array; pixelCount: number }>;

function stampPixelsOf(
  sharper: MaskedImage, { width, image, variance }: MaskedImage, unusable: Uint8Array, stamps: readonly Stamp[],
  { stampHalfSizePx: stampHalf, modelErrorFraction: errorFraction }: KernelStarConfig,
): StampPixels[] {
  const area = (2 * stampHalf + 1) ** 2, task = {
    width, image, variance, convolvedVariance: sharper.variance, unusable, stampHalf, share: CONVOLVED_VARIANCE_SHARE,
    errorFraction,
  };
  return stamps.map((stamp) => {
    const weights = new Float64Array(area), data = new Float64Array(area);
    const pixelCount = stampPixels(task, stamp.x, stamp.y, weights, data);
    // A stamp that has lost most of its pixels holds the wings of a star without the star.
    return { stamp, weights, data, pixelCount: pixelCount < area / 2 ? 0 : pixelCount };
  });
}

/** Share of the convolved image's pixel variance that is left after its kernel: Σ K² of a kernel of 1.2 px is 0.06. */
const CONVOLVED_VARIANCE_SHARE = 0.1;

function dot(a: Float64Array, b: Float64Array, start: number, length: number): number {
  let sum = 0;
  for (let j = 0; j < length; j++) sum += a[j] * b[start + j];
  return sum;
}

/**
 * Order of the unknowns: the kernel's sum; then every other function with its spatial terms; then the background's.
 */
type Layout = Readonly<{
  width: number; height: number; size: number;
  functionCount: number;
  spatialOrder: number; spatialTerms: number; backgroundOrder: number; backgroundTerms: number;
  count: number;
}>;

function layoutOf(
  basis: KernelBasis, width: number, height: number, stampCount: number, config: KernelConfig,
): Layout {
  const functionCount = basis.functions.length;
  let spatialOrder: number = config.spatialOrder;
  while (spatialOrder > 0 && stampCount < config.stampsPerSpatialTerm * termCount(spatialOrder)) spatialOrder--;
  const spatialTerms = termCount(spatialOrder), backgroundTerms = termCount(config.backgroundOrder);
  return {
    width, height, size: 2 * basis.halfSize + 1, functionCount, spatialOrder, spatialTerms,
    backgroundOrder: config.backgroundOrder, backgroundTerms,
    count: 1 + (functionCount - 1) * spatialTerms + backgroundTerms,
  };
}

function entriesAt(layout: Layout, x: number, y: number): StampEntries {
  const spatial = new Float64Array(layout.spatialTerms), background = new Float64Array(layout.backgroundTerms);
  polynomialTerms(x, y, layout.width, layout.height, layout.spatialOrder, spatial);
  polynomialTerms(x, y, layout.width, layout.height, layout.backgroundOrder, background);
  const firsts = Int32Array.from({ length: layout.functionCount + 1 }, (_, v) => (
    v === 0 ? 0 : 1 + (v - 1) * layout.spatialTerms
  ));
  return { firsts, factors: Array.from(firsts, (_, v) => (
    v === 0 ? ONE : v < layout.functionCount ? spatial : background
  )) };
}

/** The kernel's sum is the same everywhere. */
const ONE = Float64Array.of(1);

/** Sums over stamps of what their equations say about the unknowns; lower triangle. */
type Normal = Readonly<{ matrix: Float64Array; right: Float64Array }>;

/** Adds stamps' equations, or with `sign` −1 takes them off again. */
function addStamps(
  layout: Layout, { matrix, right }: Normal, stamps: readonly StampEquations[], sign: 1 | -1, beside: Float32Array,
): void {
  addEquations(matrix, right, stamps, ({ x, y }) => entriesAt(layout, x, y), sign, beside);
}

/**
 * The solution without what the noise of the convolved image adds to the equations; null where that leaves nothing to
 * solve, as when the variance says more noise than there is. `normal` is changed.
 */
function solveWithoutNoise(
  layout: Layout, normal: Normal, basis: KernelBasis, stamps: readonly StampEquations[], beside: Float32Array,
): Float64Array | null {
  const n = basis.functions.length, products = basisProducts(basis), localRight = new Float64Array(n + 1);
  addStamps(layout, normal, stamps.map((equations) => {
    const local = new Float64Array((n + 1) ** 2);
    for (let a = 0; a < n; a++) {
      for (let b = 0; b < n; b++) local[a * (n + 1) + b] = equations.noise * products[a * n + b];
    }
    return { ...equations, local, localRight };
  }), -1, beside);
  const right = normal.right.slice();
  return solveSymmetric(normal.matrix.slice(), right, RIDGE) ? right : null;
}

function solve(layout: Layout, normal: Normal, stampCount: number): Float64Array {
  const { count } = layout, right = normal.right.slice();
  if (!solveSymmetric(normal.matrix.slice(), right, RIDGE)) {
    throw new StageError({
      code: 'KERNEL_STARS_TOO_FEW',
      message: `${stampCount} stamps do not determine the ${count} unknowns of the kernel`,
      disposition: 'reject', details: { stampCount, unknownCount: count },
    });
  }
  return right;
}

/** χ² a pixel of a stamp: Σ w d² − 2 c·b + c·A c, with c the solution at its place. */
function chi2OfStamp(layout: Layout, equations: StampEquations, solution: Float64Array): number {
  const n = layout.functionCount + 1, local = new Float64Array(n);
  const { firsts, factors } = entriesAt(layout, equations.x, equations.y);
  for (let v = 0; v < n; v++) {
    for (let s = 0; s < factors[v].length; s++) local[v] += factors[v][s] * solution[firsts[v] + s];
  }
  let chi2 = equations.dataSquares;
  for (let a = 0; a < n; a++) {
    chi2 += local[a] * (dot(local, equations.local, a * n, n) - 2 * equations.localRight[a]);
  }
  return chi2 / equations.pixelCount;
}

/** All stamps whose χ² does not stand above the median by `kappa` robust standard deviations. */
function withoutOutliers(
  layout: Layout, stamps: readonly StampEquations[], solution: Float64Array, kappa: number,
): StampEquations[] {
  const chi2 = Float64Array.from(stamps, (equations) => chi2OfStamp(layout, equations, solution));
  const { median, scatter } = robustMoments(chi2.slice());
  // χ² a pixel of n pixels scatters by √(2/n) even when all stamps are perfect and alike.
  return stamps.filter((equations, i) => {
    const limit = median + kappa * Math.max(scatter, median * Math.sqrt(2 / equations.pixelCount));
    return chi2[i] <= limit;
  });
}

function kernelOf(basis: KernelBasis, layout: Layout, solution: Float64Array): MatchingKernel {
  const kernels: Float32Array[] = [];
  for (let s = 0; s < layout.spatialTerms; s++) {
    const pixels = new Float64Array(layout.size ** 2);
    if (s === 0) addBasisFunction(basis, 0, solution[0], pixels);
    for (let n = 1; n < layout.functionCount; n++) {
      addBasisFunction(basis, n, solution[1 + (n - 1) * layout.spatialTerms + s], pixels);
    }
    kernels.push(Float32Array.from(pixels));
  }
  const { width, height, size, spatialOrder, backgroundOrder, backgroundTerms } = layout;
  return {
    width, height, size, order: spatialOrder, kernels, sum: solution[0],
    backgroundOrder, background: solution.slice(layout.count - backgroundTerms),
  };
}

/**
 * The kernel at a place.
 *
 * @param out [size × size], overwritten.
 */
export function evaluateKernel(kernel: MatchingKernel, x: number, y: number, out: Float32Array): void {
  const terms = new Float64Array(kernel.kernels.length);
  polynomialTerms(x, y, kernel.width, kernel.height, kernel.order, terms);
  out.fill(0);
  for (let s = 0; s < terms.length; s++) {
    const pixels = kernel.kernels[s];
    for (let j = 0; j < out.length; j++) out[j] += terms[s] * pixels[j];
  }
}

/** The background that was fitted, at a place. */
export function backgroundAt(kernel: MatchingKernel, x: number, y: number): number {
  const { background, width, height, backgroundOrder } = kernel;
  return evaluatePolynomial(background, x, y, width, height, backgroundOrder, new Float64Array(background.length));
}
