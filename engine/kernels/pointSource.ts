/** Sums over the pixels of a point source: what fits of its flux and place are made of. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels, type WorkParts } from './kernels.ts';
import { pointFluxTwin, pointProductsTwin } from './twins/pointSource.ts';

export type PointPlanes = Readonly<{
  width: number; height: number;
  /** [height × width]. A pixel counts that has none of the bits, a finite value and a positive variance. Read only. */
  image: Float32Array; variance: Float32Array; mask: Uint16Array; ignoredBits: number;
}>;

/** Variances multiplied to one number: 16 of up to 1e18 stay below the largest double. */
const PRODUCT_LENGTH = 16;

export type PointSums = Readonly<{
  /** [9] Σ of products of (p, ∂p/∂x, ∂p/∂y): 00, 01, 02, 11, 12, 22; then of each with the data. Valid until the next call. */
  products: (model: Float64Array, cx: number, cy: number) => Float64Array;
  /** [6] The same of products of the three, each pixel's times its variance. */
  noises: (model: Float64Array, cx: number, cy: number) => Float64Array;
  /**
   * Σ p d, Σ p² and Σ p² s over the usable pixels, s their variance, Σ p² over all, Σ d²/s, Σ p d/s, Σ p²/s, the number of
   * usable pixels, and Σ log s.
   */
  flux: (model: Float64Array, cx: number, cy: number) => Readonly<{
    signal: number; squares: number; noise: number; allSquares: number; dataChi2: number; crossChi2: number;
    modelChi2: number; pixelCount: number; logVariance: number;
  }>;
}>;

/**
 * Sums over squares of pixels around pixel (cx, cy).
 *
 * @param side Of the models, odd: [side²] row-major, the PSF on those pixels. Slopes of a model are five-point ones, and
 *             0 within two pixels of its border.
 */
export function createPointSums(planes: PointPlanes, side: number): PointSums {
  const result = new Float64Array(9), logs = new Float64Array(Math.floor((side * side) / PRODUCT_LENGTH) + 1);
  const kernels = kernelsOf(planes.image, planes.variance, planes.mask);
  const compiled = kernels && createCompiled(kernels, planes, side, result, logs);
  const fluxAt = compiled?.flux ?? ((model, cx, cy) => pointFluxTwin(planes, model, side, cx, cy, logs, result));
  const productsAt = compiled?.products ?? ((model, cx, cy, isWeighed) => (
    pointProductsTwin(planes, model, side, cx, cy, isWeighed, result)
  ));
  return {
    products(model, cx, cy) { productsAt(model, cx, cy, false); return result; },
    noises(model, cx, cy) { productsAt(model, cx, cy, true); return result.subarray(0, 6); },
    flux(model, cx, cy) {
      fluxAt(model, cx, cy);
      const [signal, squares, noise, allSquares, dataChi2, crossChi2, modelChi2, pixelCount] = result;
      let logVariance = 0;
      for (let i = 0; i <= pixelCount / PRODUCT_LENGTH; i++) logVariance += Math.log(logs[i]);
      return { signal, squares, noise, allSquares, dataChi2, crossChi2, modelChi2, pixelCount, logVariance };
    },
  };
}

type Compiled = Readonly<{
  products: (model: Float64Array, cx: number, cy: number, isWeighed: boolean) => void;
  flux: (model: Float64Array, cx: number, cy: number) => void;
}>;

/** Fills `result`, and `logs` with products of variances. */
function createCompiled(
  kernels: Kernels, planes: PointPlanes, side: number, result: Float64Array, logs: Float64Array,
): Compiled {
  const { width, height, ignoredBits } = planes, { compiled } = kernels;
  const [image, variance, mask] = [planes.image, planes.variance, planes.mask].map((plane) => pointerTo(kernels, plane));
  let work: WorkParts<'model' | 'result' | 'products'> | null = null, model = result, sums = result, products = result;
  const place = (values: Float64Array): NonNullable<typeof work> => {
    if (work === null || !holdsWork(kernels, work)) {
      work = layOutWork(kernels, { model: 8 * side * side, result: 8 * result.length, products: 8 * logs.length });
      if (work === null) throw new Error(`the work area has no room for a model of ${side} px`);
      const { buffer } = kernels.memory;
      model = new Float64Array(buffer, work.model, side * side);
      sums = new Float64Array(buffer, work.result, result.length);
      products = new Float64Array(buffer, work.products, logs.length);
    }
    model.set(values);
    return work;
  };
  return {
    products(values, cx, cy, isWeighed) {
      const at = place(values);
      compiled.pointProducts(
        image, variance, mask, width, height, ignoredBits, at.model, side, cx, cy, isWeighed ? 1 : 0, at.result,
      );
      result.set(sums);
    },
    flux(values, cx, cy) {
      const at = place(values);
      compiled.pointFlux(
        image, variance, mask, width, height, ignoredBits, at.model, side, cx, cy, at.products, at.result,
      );
      result.set(sums);
      logs.set(products);
    },
  };
}
