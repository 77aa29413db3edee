/** How the pixels of a ring around a source scatter, over what their variance says. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { ringNoiseTwin } from './twins/ring.ts';

export type RingTask = Readonly<{
  width: number; height: number;
  /** [height × width] each; pixels with one of the bits, or without a variance, count nowhere. Read only. */
  image: Float32Array; variance: Float32Array; mask: Uint16Array; ignoredBits: number;
  /** Factor on √variance, and the size at which a value over its noise is cut off. */
  scale: number; limit: number;
}>;

/** Middle and radii, pixels. */
export type Ring = Readonly<{ x: number; y: number; inner: number; outer: number }>;

/** Of values over their noise: sums over the ring, and over its pairs of neighbours along either axis. */
export type RingSums = Readonly<{
  sum: number; square: number; count: number; product: number; pairs: number;
  /** Largest mean of 3 × 3 pixels of either sign, in its standard deviations; about every fourth is looked at. */
  most: number;
}>;

/** Of a ring's pixels that have a neighbour on every side. */
export function ringNoise(task: RingTask, ring: Ring): RingSums {
  const { width, height, image, variance, mask } = task, cx = Math.round(ring.x), cy = Math.round(ring.y);
  const reach = Math.ceil(ring.outer), x0 = Math.max(1, cx - reach), y0 = Math.max(1, cy - reach);
  const x1 = Math.min(width - 2, cx + reach), y1 = Math.min(height - 2, cy + reach);
  if (x1 < x0 || y1 < y0) return { sum: 0, square: 0, count: 0, product: 0, pairs: 0, most: 0 };
  const kernels = kernelsOf(image, variance, mask);
  const work = kernels && layOutWork(kernels, { result: 48, window: 8 * (x1 - x0 + 3) * (y1 - y0 + 3) });
  if (kernels === null || work === null) return ringNoiseTwin(task, ring, x0, y0, x1, y1);
  kernels.compiled.ringNoise(
    pointerTo(kernels, image), pointerTo(kernels, variance), pointerTo(kernels, mask), width, task.ignoredBits,
    task.scale, task.limit, x0, y0, x1, y1, ring.x, ring.y, ring.inner * ring.inner, ring.outer * ring.outer,
    work.window, work.result,
  );
  const [sum, square, count, product, pairs, most] = new Float64Array(kernels.memory.buffer, work.result, 6);
  return { sum, square, count, product, pairs, most };
}
