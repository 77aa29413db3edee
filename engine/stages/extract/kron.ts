/** Flux in an elliptical aperture that fits the source (Kron 1980). */
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
 * Sum over the ellipse of 2.5 first moments, its shape the source's own. A pixel of a neighbour, or a bad one, is
 * replaced by the one opposite, and counts nothing when that is one too.
 *
 * @param labels  [height × width]: 0 outside all sources, else the number of the source. Read only.
 * @param number  Of this source.
 * @param badBits Pixels that hold no measurement.
 * @param pixelVariance Serves where there is no variance plane.
 */
export function kronFlux(
  planes: ExtractPlanes, labels: Int32Array, number: number, shape: Moments, badBits: number, pixelVariance: number,
  config: ExtractConfig['kron'],
): KronFlux {
  const wide = sumEllipse(planes, labels, number, shape, config.reach, badBits, pixelVariance);
  const firstMoment = wide.flux > 0 && wide.moment > 0 ? wide.moment / wide.flux : 0;
  const radius = Math.max(config.factor * firstMoment, config.radiusMin);
  const { flux, variance, inside, replaced, isIncomplete } = sumEllipse(
    planes, labels, number, shape, radius, badBits, pixelVariance,
  );
  return { flux, variance, radius, isIncomplete, isCrowded: replaced > config.neighbourFractionMax * inside };
}

type EllipseSums = Readonly<{
  flux: number;
  /** Σ r × pixel. */
  moment: number;
  variance: number;
  /** Pixels of the ellipse, and those for which another speaks or none. */
  inside: number; replaced: number;
  /** It reaches over the border. */
  isIncomplete: boolean;
}>;

/** Sums over the pixels whose centres lie in the ellipse of `radius`. */
function sumEllipse(
  { width, height, image, variance, mask }: ExtractPlanes, labels: Int32Array, number: number, shape: Moments,
  radius: number, badBits: number, pixelVariance: number,
): EllipseSums {
  const { cxx, cyy, cxy } = shape, radius2 = radius * radius;
  // The ellipse's half width is r times the standard deviation along the axis.
  const reachX = radius * Math.sqrt(shape.xx), reachY = radius * Math.sqrt(shape.yy);
  const x0 = Math.ceil(shape.x - reachX), x1 = Math.floor(shape.x + reachX);
  const y0 = Math.ceil(shape.y - reachY), y1 = Math.floor(shape.y + reachY);
  let flux = 0, moment = 0, sum = 0, inside = 0, replaced = 0;
  for (let y = Math.max(0, y0); y <= Math.min(height - 1, y1); y++) {
    const dy = y - shape.y;
    for (let x = Math.max(0, x0); x <= Math.min(width - 1, x1); x++) {
      const dx = x - shape.x, r2 = cxx * dx * dx + cyy * dy * dy + cxy * dx * dy;
      if (r2 > radius2) continue;
      inside++;
      let pixel = y * width + x;
      if (!((labels[pixel] === 0 || labels[pixel] === number) && (mask[pixel] & badBits) === 0
        && image[pixel] === image[pixel])) {
        replaced++;
        const u = Math.round(2 * shape.x - x), v = Math.round(2 * shape.y - y);
        pixel = v * width + u;
        if (u < 0 || v < 0 || u >= width || v >= height || !((labels[pixel] === 0 || labels[pixel] === number)
          && (mask[pixel] & badBits) === 0 && image[pixel] === image[pixel])) continue;
      }
      flux += image[pixel];
      moment += Math.sqrt(Math.max(0, r2)) * image[pixel];
      sum += variance === null ? pixelVariance : variance[pixel];
    }
  }
  const isIncomplete = x0 < 0 || y0 < 0 || x1 >= width || y1 >= height;
  return { flux, moment, variance: sum, inside, replaced, isIncomplete };
}
