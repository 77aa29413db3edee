/** Sums over the pixels of a point source: what fits of its flux and place are made of. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels, type WorkParts } from './kernels.ts';
import { movePatchTwin, pointFluxTwin, pointProductsTwin } from './twins/pointSource.ts';

export { movePatchTwin as movePatch };

export type PointPlanes = Readonly<{
  width: number; height: number;
  /** [height × width]. A pixel counts that has none of the bits, a finite value and a positive variance. Read only. */
  image: Float32Array; variance: Float32Array; mask: Uint16Array; ignoredBits: number;
}>;

/** A PSF and how far it is moved: what it is made of. Read only. */
export type Patch = Readonly<{
  /** [(side + 8)²] row-major, the PSF on four pixels more to every side. The same array has the same contents. */
  cell: Float64Array;
  /** [18] Weights of nine neighbours along x, and along y. */
  taps: Float64Array;
}>;

/** Variances multiplied to one number: 16 of up to 1e18 stay below the largest double. */
const PRODUCT_LENGTH = 16;

export type PointSums = Readonly<{
  /**
   * [9] Σ of products of (p, ∂p/∂x, ∂p/∂y): 00, 01, 02, 11, 12, 22; then of each with the data. Valid until the next
   * call.
   */
  products: (patch: Patch, cx: number, cy: number) => Float64Array;
  /** [6] The same of products of the three, each pixel's times its variance. */
  noises: (patch: Patch, cx: number, cy: number) => Float64Array;
  /**
   * Σ p d, Σ p² and Σ p² s over the usable pixels, s their variance, Σ p² over all, Σ d²/s, Σ p d/s, Σ p²/s, the
   * number of usable pixels, and Σ log s.
   */
  flux: (patch: Patch, cx: number, cy: number) => Readonly<{
    signal: number; squares: number; noise: number; allSquares: number; dataChi2: number; crossChi2: number;
    modelChi2: number; pixelCount: number; logVariance: number;
  }>;
}>;

/**
 * Sums over squares of pixels around pixel (cx, cy), of the model that a moved patch is: [side²] row-major.
 *
 * @param side Odd. Slopes of a model are five-point ones, and 0 within two pixels of its border.
 */
export function createPointSums(planes: PointPlanes, side: number): PointSums {
  const result = new Float64Array(9), logs = new Float64Array(Math.floor((side * side) / PRODUCT_LENGTH) + 1);
  const kernels = kernelsOf(planes.image, planes.variance, planes.mask);
  const compiled = kernels && createCompiled(kernels, planes, side, result, logs);
  const { flux: fluxAt, products: productsAt } = compiled ?? twinSums(planes, side, result, logs);
  return {
    products(patch, cx, cy) { productsAt(patch, cx, cy, false); return result; },
    noises(patch, cx, cy) { productsAt(patch, cx, cy, true); return result.subarray(0, 6); },
    flux(patch, cx, cy) {
      fluxAt(patch, cx, cy);
      const [signal, squares, noise, allSquares, dataChi2, crossChi2, modelChi2, pixelCount] = result;
      let logVariance = 0;
      for (let i = 0; i <= pixelCount / PRODUCT_LENGTH; i++) logVariance += Math.log(logs[i]);
      return { signal, squares, noise, allSquares, dataChi2, crossChi2, modelChi2, pixelCount, logVariance };
    },
  };
}

type Sums = Readonly<{
  products: (patch: Patch, cx: number, cy: number, isWeighed: boolean) => void;
  flux: (patch: Patch, cx: number, cy: number) => void;
}>;

function twinSums(planes: PointPlanes, side: number, result: Float64Array, logs: Float64Array): Sums {
  const rows = new Float64Array((side + 8) * side), model = new Float64Array(side * side);
  return {
    products(patch, cx, cy, isWeighed) {
      movePatchTwin(patch, side, rows, model);
      pointProductsTwin(planes, model, side, cx, cy, isWeighed, result);
    },
    flux(patch, cx, cy) {
      movePatchTwin(patch, side, rows, model);
      pointFluxTwin(planes, model, side, cx, cy, logs, result);
    },
  };
}

/** Fills `result`, and `logs` with products of variances. */
function createCompiled(
  kernels: Kernels, planes: PointPlanes, side: number, result: Float64Array, logs: Float64Array,
): Sums {
  const { width, height, ignoredBits } = planes, { compiled } = kernels, padded = side + 8;
  const [image, variance, mask] = [planes.image, planes.variance, planes.mask]
    .map((plane) => pointerTo(kernels, plane));
  let work: WorkParts<'model' | 'rows' | 'cell' | 'taps' | 'result' | 'products'> | null = null;
  let cell = result, taps = result, sums = result, products = result, placed: Float64Array | null = null;
  const place = (patch: Patch): NonNullable<typeof work> => {
    if (work === null || !holdsWork(kernels, work)) {
      work = layOutWork(kernels, {
        model: 8 * (side * side + 1), rows: 8 * (padded * side + 1), cell: 8 * (padded * padded + 1), taps: 8 * 18,
        result: 8 * result.length, products: 8 * logs.length,
      });
      if (work === null) throw new Error(`the work area has no room for a model of ${side} px`);
      const { buffer } = kernels.memory;
      cell = new Float64Array(buffer, work.cell, padded * padded);
      taps = new Float64Array(buffer, work.taps, 18);
      sums = new Float64Array(buffer, work.result, result.length);
      products = new Float64Array(buffer, work.products, logs.length);
      placed = null;
    }
    // Steps towards a centroid stay in one cell.
    if (patch.cell !== placed) cell.set(patch.cell);
    placed = patch.cell;
    taps.set(patch.taps);
    compiled.movePatch(work.cell, side, work.taps, work.rows, work.model);
    return work;
  };
  return {
    products(patch, cx, cy, isWeighed) {
      const at = place(patch);
      compiled.pointProducts(
        image, variance, mask, width, height, ignoredBits, at.model, side, cx, cy, isWeighed ? 1 : 0, at.result,
      );
      result.set(sums);
    },
    flux(patch, cx, cy) {
      const at = place(patch);
      compiled.pointFlux(
        image, variance, mask, width, height, ignoredBits, at.model, side, cx, cy, at.products, at.result,
      );
      result.set(sums);
      logs.set(products);
    },
  };
}
