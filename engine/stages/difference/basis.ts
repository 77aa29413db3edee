/** Basis of the matching kernel: Gaussians times polynomials (Alard & Lupton 1998; Alard 2000). */
import type { KernelConfig } from './config.ts';

export type KernelBasis = Readonly<{
  halfSize: number;
  /** 1-D factors, [2 halfSize + 1] each. */
  profiles: readonly Float64Array[];
  /**
   * One a basis function: factors along x and y, `scale`, and whether it is even in both, so that the first function
   * (unit sum) is taken off to leave no sum. All but the first have zero sum: the kernel's sum is one coefficient.
   */
  functions: readonly Readonly<{ x: number; y: number; scale: number; isEven: boolean }>[];
}>;

/**
 * @param blurSigmaPx Width of the Gaussian that blurs the sharper PSF to the other, which the widths are multiples of.
 */
export function createKernelBasis(blurSigmaPx: number, config: KernelConfig): KernelBasis {
  const half = config.halfSizePx, profiles: Float64Array[] = [];
  const functions: { x: number; y: number; scale: number; isEven: boolean }[] = [];
  // A Gaussian wider than a third of the half size would be cut off visibly.
  const unit = Math.max(blurSigmaPx, config.widthMinPx / config.widthRatios[0]);
  const widths = config.widthRatios.map((ratio) => Math.min(ratio * unit, half / 3));
  widths.forEach((sigma, g) => {
    const first = profiles.length, degree = config.degrees[g];
    for (let i = 0; i <= degree; i++) {
      profiles.push(Float64Array.from({ length: 2 * half + 1 }, (_, k) => {
        const t = (k - half) / sigma;
        return t ** i * Math.exp(-0.5 * t * t);
      }));
    }
    for (let i = 0; i <= degree; i++) {
      for (let j = 0; i + j <= degree; j++) {
        const x = first + i, y = first + j, isEven = i % 2 === 0 && j % 2 === 0;
        const size = (profile: Float64Array): number => profile.reduce((sum, value) => sum + Math.abs(value), 0);
        functions.push({ x, y, scale: 1 / (size(profiles[x]) * size(profiles[y])), isEven });
      }
    }
  });
  return { halfSize: half, profiles, functions };
}

/** The basis function `n` as pixels, [size × size], added to `out` times `weight`. */
export function addBasisFunction(basis: KernelBasis, n: number, weight: number, out: Float64Array): void {
  const size = 2 * basis.halfSize + 1;
  const add = (m: number, factor: number): void => {
    const { x, y, scale } = basis.functions[m], px = basis.profiles[x], py = basis.profiles[y];
    for (let v = 0; v < size; v++) {
      for (let u = 0; u < size; u++) out[v * size + u] += factor * scale * px[u] * py[v];
    }
  };
  add(n, weight);
  if (n > 0 && basis.functions[n].isEven) add(0, -weight);
}

/**
 * A stamp of an image convolved with every basis function.
 *
 * @param image   [· × width] row-major, finite within halfSize + stampHalf of the centre. Read only.
 * @param out     [functions × stamp side²], overwritten.
 * @param scratch [rows × (stamp side + rows)], rows = stamp side + 2 halfSize.
 */
export function convolveStamp(
  basis: KernelBasis, image: Float32Array, width: number, centreX: number, centreY: number, stampHalf: number,
  out: Float64Array, scratch: Float64Array,
): void {
  const side = 2 * stampHalf + 1, half = basis.halfSize, size = 2 * half + 1, rows = side + 2 * half;
  // A copy in doubles, so that the inner loop meets one type of array only and is compiled for it.
  const window = scratch.subarray(rows * side, rows * (side + rows));
  for (let v = 0; v < rows; v++) {
    const from = (centreY - stampHalf - half + v) * width + centreX - stampHalf - half;
    for (let u = 0; u < rows; u++) window[v * rows + u] = image[from + u];
  }
  let filled = -1;
  for (const [n, { x, y, scale, isEven }] of basis.functions.entries()) {
    if (x !== filled) {
      const profile = basis.profiles[x], isOddX = isOdd(profile);
      for (let v = 0; v < rows; v++) {
        for (let u = 0; u < side; u++) {
          scratch[v * side + u] = foldedSum(profile, half, size, window, v * rows + u + half, 1, isOddX);
        }
      }
      filled = x;
    }
    const profile = basis.profiles[y], isOddY = isOdd(profile), start = n * side * side;
    for (let v = 0; v < side; v++) {
      for (let u = 0; u < side; u++) {
        out[start + v * side + u] = scale * foldedSum(profile, half, size, scratch, (v + half) * side + u, side, isOddY);
      }
    }
    if (n > 0 && isEven) for (let j = 0; j < side * side; j++) out[start + j] -= out[j];
  }
}

/** Profiles are even or odd, and an odd one changes sign about its middle. */
function isOdd(profile: Float64Array): boolean {
  return profile[0] * profile[profile.length - 1] < 0;
}

/** Σ_k profile[k] data[middle − (k − half) step] of an even or odd profile: half of the products. */
function foldedSum(
  profile: Float64Array, half: number, size: number, data: Float64Array, middle: number, step: number,
  isOddProfile: boolean,
): number {
  let sum = profile[half] * data[middle];
  if (isOddProfile) {
    for (let k = half + 1, near = middle - step, far = middle + step; k < size; k++, near -= step, far += step) {
      sum += profile[k] * (data[near] - data[far]);
    }
  } else {
    for (let k = half + 1, near = middle - step, far = middle + step; k < size; k++, near -= step, far += step) {
      sum += profile[k] * (data[near] + data[far]);
    }
  }
  return sum;
}
