/** Short runs of defects, filled from the good pixels beside. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { fillRunsTwin } from './twins/fill.ts';

/** Each [height × width]. */
export type FillPlanes = Readonly<{
  image: Float32Array; variance: Float32Array; mask: Uint16Array; width: number; height: number;
}>;

/** Bits of pixels that are filled, that are left, that were filled (set), and that a filled pixel loses. */
export type FillBits = Readonly<{ defects: number; saturated: number; filled: number; missing: number }>;

/** Pixels that pass through the work area at a time. */
const PIXELS_AT_ONCE = 2 ** 18;

/**
 * Fills runs of defects along rows or columns, whichever run is shorter (the row's when equal), with the straight line
 * between the pixels at its ends that have none of the bits; those of more than `runMax` pixels are left.
 *
 * @param pixels Those that may be defects, in any order; others among them are passed over. Read only.
 * @returns Number of pixels filled.
 */
export function fillRuns(planes: FillPlanes, bits: FillBits, runMax: number, pixels: ArrayLike<number>): number {
  const { image, variance, mask, width, height } = planes, kernels = kernelsOf(image, variance, mask);
  const most = Math.min(pixels.length, PIXELS_AT_ONCE), work = kernels && layOutWork(kernels, { list: 4 * most });
  if (kernels === null || work === null) return fillRunsTwin(planes, bits, runMax, pixels);
  const list = new Int32Array(kernels.memory.buffer, work.list, most), { compiled } = kernels;
  let count = 0;
  for (let from = 0; from < pixels.length; from += most) {
    const part = Math.min(most, pixels.length - from);
    for (let k = 0; k < part; k++) list[k] = pixels[from + k];
    count += compiled.fillRuns(
      pointerTo(kernels, image), pointerTo(kernels, variance), pointerTo(kernels, mask), width, height, work.list, part,
      runMax, bits.defects, bits.saturated, bits.filled, bits.missing,
    );
  }
  return count;
}
