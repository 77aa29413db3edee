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
