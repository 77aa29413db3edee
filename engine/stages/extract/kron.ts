/** Flux in an elliptical aperture that fits the source (Kron 1980). */
import type { EllipseSummer } from '../../kernels/ellipse.ts';
import type { ExtractConfig } from './config.ts';
import type { Moments } from './moments.ts';

export type ExtractPlanes = Readonly<{
  width: number; height: number;
  /** [height × width], background subtracted. */
  image: Float32Array;
  /** [height × width], own unit squared; null where one noise serves all pixels. */
  variance: Float32Array | null;
  /** Bits of `maskPlanes.ts`. */
  mask: Uint16Array;
}>;

export type KronFlux = Readonly<{
  flux: number;
  /** Sum of the pixels' variances. */
  variance: number;
  /** Semi-major axis of the aperture, in units of a. */
  radius: number;
  /** Neighbours or bad pixels hold more than their share of the aperture. */
  isCrowded: boolean;
  /** The aperture reaches over the border. */
  isIncomplete: boolean;
}>;

/**
 * Sum over the ellipse of 2.5 first moments, its shape the source's own.
 *
 * @param sum    Sums over ellipses of the image.
 * @param label  Of this source.
 */
export function kronFlux(
  sum: EllipseSummer, { width, height }: ExtractPlanes, label: number, shape: Moments, config: ExtractConfig['kron'],
): KronFlux {
  const wide = sum(label, shape, config.reach);
  const firstMoment = wide.flux > 0 && wide.moment > 0 ? wide.moment / wide.flux : 0;
  const radius = Math.max(config.factor * firstMoment, config.radiusMin);
  const { flux, variance, inside, replaced } = sum(label, shape, radius);
  // The ellipse's half width is r times the standard deviation along the axis.
  const reachX = radius * Math.sqrt(shape.xx), reachY = radius * Math.sqrt(shape.yy);
  const isIncomplete = shape.x - reachX <= -1 || shape.y - reachY <= -1 || shape.x + reachX >= width
    || shape.y + reachY >= height;
  return { flux, variance, radius, isIncomplete, isCrowded: replaced > config.neighbourFractionMax * inside };
}
