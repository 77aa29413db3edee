/** What the fit of the kernel says about itself: every place that was looked at, and how the kernel varies. */
import { evaluateKernel, type FittedStamp, type KernelFit, type MatchingKernel } from './kernelFit.ts';
import type { StampChoice } from './stamps.ts';

/**
 * Why a place was or was not used: `used` by the fit; `rejected` for a χ² that stands out; `empty` of usable pixels;
 * `spare`, a star that told the registration only; `masked`, it touches a masked pixel; `crowded`, too near a brighter
 * one; `surplus`, its cell has brighter ones enough.
 */
export const STAMP_STATES = ['used', 'rejected', 'empty', 'spare', 'masked', 'crowded', 'surplus'] as const;
export type StampState = (typeof STAMP_STATES)[number];

/** A place that was looked at, science pixels from 0; as `FittedStamp`, with NaN for what was not fitted. */
export type StampRecord = Omit<FittedStamp, 'state'> & Readonly<{ state: StampState }>;

/** All places: those of the fit first, in its order. */
export function listStamps({ stamps }: KernelFit, choice: StampChoice): StampRecord[] {
  const unfitted = (x: number, y: number, state: StampState): StampRecord =>
    ({ x, y, state, pixelCount: 0, chi2: NaN, signalChi2: NaN });
  const isFitted = new Set(choice.fitted);
  return [
    ...stamps,
    ...choice.stamps.filter((stamp) => !isFitted.has(stamp)).map(({ x, y }) => unfitted(x, y, 'spare')),
    ...choice.passedOver.map(({ x, y, reason }) => unfitted(x, y, reason)),
  ];
}

/** Share of the light's χ² at all fitted stamps that the match leaves, noise (1 a pixel) taken off both. */
export function residualFraction(stamps: readonly FittedStamp[]): number {
  let left = 0, light = 0;
  for (const { state, chi2, signalChi2 } of stamps) {
    if (state === 'empty') continue;
    left += Math.max(0, chi2 - 1);
    light += Math.max(0, signalChi2 - 1);
  }
  return light > 0 ? left / light : 1;
}

/** The kernel at a place, pixels of the science image from 0. */
export type KernelShape = Readonly<{
  x: number; y: number;
  /** ΣK, and ΣK²: what becomes of the variance. */
  sum: number; squareSum: number;
  /** First moments, px: how far it moves sources. */
  shiftX: number; shiftY: number;
  /** Second central moments, px²: by what it widens sources. */
  xx: number; yy: number; xy: number;
  /** Norm of its difference from the kernel in the middle of the image, over the norm of that. */
  change: number;
}>;

/** The kernel on a grid of `side` × `side` places, the image's corners included, row by row. */
export function kernelShapes(kernel: MatchingKernel, side: number): KernelShape[] {
  const { width, height, size } = kernel, at = new Float32Array(size * size), middle = new Float32Array(size * size);
  evaluateKernel(kernel, (width - 1) / 2, (height - 1) / 2, middle);
  return Array.from({ length: side * side }, (_, k) => {
    const x = ((k % side) * (width - 1)) / (side - 1), y = (Math.floor(k / side) * (height - 1)) / (side - 1);
    evaluateKernel(kernel, x, y, at);
    return { x, y, ...shapeOf(at, middle, size) };
  });
}

function shapeOf(pixels: Float32Array, middle: Float32Array, size: number): Omit<KernelShape, 'x' | 'y'> {
  const half = (size - 1) / 2;
  let sum = 0, squareSum = 0, u1 = 0, v1 = 0, uu = 0, vv = 0, uv = 0, changed = 0, norm = 0;
  for (let v = -half, j = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, j++) {
      const value = pixels[j], change = value - middle[j];
      sum += value;
      squareSum += value * value;
      u1 += u * value;
      v1 += v * value;
      uu += u * u * value;
      vv += v * v * value;
      uv += u * v * value;
      changed += change * change;
      norm += middle[j] * middle[j];
    }
  }
  const shiftX = u1 / sum, shiftY = v1 / sum;
  return {
    sum, squareSum, shiftX, shiftY, xx: uu / sum - shiftX * shiftX, yy: vv / sum - shiftY * shiftY,
    xy: uv / sum - shiftX * shiftY, change: Math.sqrt(changed / norm),
  };
}
