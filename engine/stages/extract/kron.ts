/** Flux in an elliptical aperture that fits the source (Kron 1980). */
import type { ExtractConfig } from './config.ts';
import { ellipseRadius, type Moments } from './moments.ts';

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
  const pixelAt = createPixelAt(planes, labels, number, shape, badBits);
  let light = 0, moment = 0;
  overEllipse(shape, config.reach, planes, (x, y, r) => {
    const pixel = pixelAt(x, y);
    if (pixel < 0) return;
    light += planes.image[pixel];
    moment += r * planes.image[pixel];
  });
  const firstMoment = light > 0 && moment > 0 ? moment / light : 0;
  const radius = Math.max(config.factor * firstMoment, config.radiusMin);
  let flux = 0, variance = 0, inside = 0, replaced = 0;
  const isIncomplete = overEllipse(shape, radius, planes, (x, y) => {
    inside++;
    const pixel = pixelAt(x, y);
    if (pixel !== y * planes.width + x) replaced++;
    if (pixel < 0) return;
    flux += planes.image[pixel];
    variance += planes.variance === null ? pixelVariance : planes.variance[pixel];
  });
  return { flux, variance, radius, isIncomplete, isCrowded: replaced > config.neighbourFractionMax * inside };
}

/** The pixel that speaks for (x, y): itself, its opposite, or −1 for none. */
function createPixelAt(
  { width, height, image, mask }: ExtractPlanes, labels: Int32Array, number: number, shape: Moments, badBits: number,
): (x: number, y: number) => number {
  const isFree = (j: number): boolean => (labels[j] === 0 || labels[j] === number) && (mask[j] & badBits) === 0
    && image[j] === image[j];
  return (x, y) => {
    const own = y * width + x;
    if (isFree(own)) return own;
    const u = Math.round(2 * shape.x - x), v = Math.round(2 * shape.y - y);
    if (u < 0 || v < 0 || u >= width || v >= height) return -1;
    return isFree(v * width + u) ? v * width + u : -1;
  };
}

/** Visits the pixels whose centres lie in the ellipse of `radius`. True when it reaches over the border. */
function overEllipse(
  shape: Moments, radius: number, { width, height }: ExtractPlanes, visit: (x: number, y: number, r: number) => void,
): boolean {
  // The ellipse's half width is r times the standard deviation along the axis.
  const dx = radius * Math.sqrt(shape.xx), dy = radius * Math.sqrt(shape.yy);
  const x0 = Math.ceil(shape.x - dx), x1 = Math.floor(shape.x + dx);
  const y0 = Math.ceil(shape.y - dy), y1 = Math.floor(shape.y + dy);
  for (let y = Math.max(0, y0); y <= Math.min(height - 1, y1); y++) {
    for (let x = Math.max(0, x0); x <= Math.min(width - 1, x1); x++) {
      const r = ellipseRadius(shape, x - shape.x, y - shape.y);
      if (r <= radius) visit(x, y, r);
    }
  }
  return x0 < 0 || y0 < 0 || x1 >= width || y1 >= height;
}
