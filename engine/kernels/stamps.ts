/**
 * Normal equations of stamps for a convolution kernel that is a sum of separable basis functions (Alard & Lupton 1998).
 */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels, type WorkParts } from './kernels.ts';
import { normalEquationsTwin, stampVectorsTwin } from './twins/stamps.ts';

export type StampBasis = Readonly<{
  halfSize: number;
  /** 1-D factors, [2 halfSize + 1] each. */
  profiles: readonly Float64Array[];
  /**
   * Factors along x and y (indices of `profiles`), scale, and whether the first function is taken off (never off
   * itself).
   */
  functions: readonly Readonly<{ x: number; y: number; scale: number; isEven: boolean }>[];
}>;

export type StampTask = Readonly<{
  basis: StampBasis;
  /**
   * [· × width] row-major, whole within halfSize + stampHalf of every stamp's centre; what is not finite counts as 0.
   * Read only.
   */
  image: Float32Array;
  width: number;
  /** Half side of the stamps, pixels. */
  stampHalf: number;
}>;

/** Elements of a profile that count, both ends included. */
export type BasisSupport = Readonly<{ first: number; last: number }>;

/**
 * Equations of the stamp centred at pixel (x, y), for the unknowns: a weight for each basis function, then one
 * constant.
 *
 * @param weights, data [side²] row-major; data are rounded to float32. A pixel of weight 0 does not count (its data
 *                must be finite). Read only.
 * @param matrix [n × n], n = functions + 1; overwritten, full: Σ w v_a v_b, v the image convolved with a function.
 * @param right  [n]; overwritten: Σ w v_a d.
 * @returns Σ w d².
 */
export type StampEquations = (
  x: number, y: number, weights: Float64Array, data: Float64Array, matrix: Float64Array, right: Float64Array,
) => number;

/** As the compiled code reads a basis function. */
const FUNCTION_BYTES = 16;

/**
 * Ends of a profile that are smaller than this share of its largest value are left out: narrow Gaussians fill a third
 * of their array. Some ten pixels of this weight are less than the rounding of one float32 pixel, 6e-8.
 */
const NEGLIGIBLE = 1e-10;

/**
 * Convolutions are in single precision, from profiles, scales and data rounded to float32: a pixel of a vector is good
 * to some (taps + 3) × 6e-8 of Σ |function| |image|, and averages out over the pixels of a stamp. Products are summed
 * in double precision, in the order of the pixels.
 */
export function createStampEquations(task: StampTask): StampEquations {
  const supports = task.basis.profiles.map(supportOf), kernels = kernelsOf(task.image);
  return (kernels === null ? null : createCompiledEquations(kernels, task, supports)) ?? createTwinEquations(
    task, supports);
}

function supportOf(profile: Float64Array): BasisSupport {
  const limit = NEGLIGIBLE * profile.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  let first = 0, last = profile.length - 1;
  while (first < last && Math.abs(profile[first]) <= limit) first++;
  while (last > first && Math.abs(profile[last]) <= limit) last--;
  return { first, last };
}

function createTwinEquations(task: StampTask, supports: readonly BasisSupport[]): StampEquations {
  const side = 2 * task.stampHalf + 1, area = side * side, n = task.basis.functions.length + 1;
  const vectors = new Float32Array((n + 1) * area), scratch = new Float32Array((side + 2 * task.basis.halfSize) * side);
  const products = new Float64Array((n + 1) ** 2);
  vectors.fill(1, (n - 1) * area, n * area);
  return (x, y, weights, data, matrix, right) => {
    stampVectorsTwin(task, supports, x, y, vectors, scratch);
    vectors.set(data, n * area);
    normalEquationsTwin(vectors, weights, n + 1, products);
    return unpack(products, n + 1, n, matrix, right);
  };
}

/** The data are the last vector, so that their products are the right side and Σ w d². */
function unpack(products: Float64Array, stride: number, n: number, matrix: Float64Array, right: Float64Array): number {
  for (let a = 0; a < n; a++) {
    for (let b = 0; b <= a; b++) matrix[a * n + b] = matrix[b * n + a] = products[a * stride + b];
    right[a] = products[n * stride + a];
  }
  return products[n * stride + n];
}

/** Sizes of a stamp as the compiled code lays it out. */
function sizesOf({ basis, stampHalf }: StampTask) {
  const side = 2 * stampHalf + 1, stride = Math.ceil(side / 16) * 16, functionCount = basis.functions.length;
  const n = functionCount + 1;
  return { side, stride, rows: side + 2 * basis.halfSize, functionCount, n, groups: Math.ceil((n + 1) / 4),
    pixels: side * stride };
}

/** Null when the work area has no room. */
function createCompiledEquations(
  kernels: Kernels, task: StampTask, supports: readonly BasisSupport[],
): StampEquations | null {
  const { basis: { halfSize: half }, width, stampHalf } = task, { compiled, memory: { buffer } } = kernels;
  const { side, stride, functionCount, n, groups, pixels } = sizesOf(task), image = pointerTo(kernels, task.image);
  let work = layOutStamps(kernels, task, supports);
  if (work === null) return null;
  return (x, y, weights, data, matrix, right) => {
    // Other kernels may have run since the last stamp.
    if (work === null || !holdsWork(kernels, work)) work = layOutStamps(kernels, task, supports);
    if (work === null) throw new Error('the work area has shrunk');
    const weightPlane = new Float64Array(buffer, work.weights, pixels);
    const dataPlane = new Float32Array(buffer, work.vectors + n * pixels * 4, pixels);
    for (let v = 0; v < side; v++) {
      weightPlane.set(weights.subarray(v * side, (v + 1) * side), v * stride);
      dataPlane.set(data.subarray(v * side, (v + 1) * side), v * stride);
    }
    compiled.stampVectors(
      image, width, x - stampHalf - half, y - stampHalf - half, side, stride, half, work.functions, functionCount,
      work.profiles, work.supports, work.patch, work.scratch, work.vectors,
    );
    compiled.normalEquations(work.vectors, work.weights, groups, pixels, work.plain, work.weighted, work.products);
    return unpack(new Float64Array(buffer, work.products, 16 * groups ** 2), 4 * groups, n, matrix, right);
  };
}

type StampParts = WorkParts<
  'profiles' | 'supports' | 'functions' | 'patch' | 'scratch' | 'vectors' | 'weights' | 'products' | 'plain'
    | 'weighted'
>;

function layOutStamps(kernels: Kernels, task: StampTask, supports: readonly BasisSupport[]): StampParts | null {
  const { basis } = task, { buffer } = kernels.memory, size = 2 * basis.halfSize + 1;
  const { stride, rows, functionCount, n, groups, pixels } = sizesOf(task), wide = 4 * groups * pixels * 8;
  const work = layOutWork(kernels, {
    profiles: basis.profiles.length * size * 4, supports: supports.length * 8,
      functions: functionCount * FUNCTION_BYTES,
    patch: rows * (stride + size - 1) * 4, scratch: rows * stride * 4, vectors: wide / 2, weights: pixels * 8,
    products: 16 * groups ** 2 * 8, plain: wide, weighted: wide,
  });
  if (work === null) return null;
  basis.profiles.forEach((profile,
    i) => { new Float32Array(buffer, work.profiles + i * size * 4, size).set(profile); });
  new Int32Array(buffer, work.supports, 2 * supports.length).set(supports.flatMap(({ first, last }) => [first, last]));
  basis.functions.forEach(({ x, y, scale, isEven }, i) => {
    new Int32Array(buffer, work.functions + FUNCTION_BYTES * i, 3).set([x, y, i > 0 && isEven ? 1 : 0]);
    new Float32Array(buffer, work.functions + FUNCTION_BYTES * i + 12, 1)[0] = scale;
  });
  // What lies beyond the rows' ends stays 0, and the last vector but one is the constant.
  new Float32Array(buffer, work.vectors, 4 * groups * pixels).fill(0).fill(1, functionCount * pixels, n * pixels);
  new Float64Array(buffer, work.weights, pixels).fill(0);
  return work;
}
