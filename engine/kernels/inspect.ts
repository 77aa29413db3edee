/** What an image from a file holds: pixels without a value, saturated ones, and its range. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { inspectPixelsTwin } from './twins/inspect.ts';

export type PixelRange = {
  /** Of the usable pixels: lowest and highest value, ±Infinity when there are none, and how many there are. */
  lowest: number; highest: number; usable: number;
  /** Infinity when no variance was given. */
  lowestVariance: number;
};

export type InspectedPlanes = Readonly<{
  width: number; height: number; image: Float32Array; variance: Float32Array; mask: Uint16Array;
}>;

/**
 * Marks what has no value: `noData` in the mask, NaN in the image and 0 in the variance, where the image is not finite
 * or, with a variance given, that is not positive and finite. All planes are changed in place.
 *
 * @param saturation Value of a pixel from which it counts as saturated; such pixels are not marked.
 * @param unusable   Mask bits of pixels that are left out of the range.
 * @returns The range, and the rows that hold saturated pixels.
 */
export function inspectPlanes(
  planes: InspectedPlanes, hasVariance: boolean, saturation: number, noData: number, unusable: number,
): PixelRange & { saturatedRows: number[] } {
  const { width, height, image, variance, mask } = planes, saturatedRows: number[] = [];
  const range: PixelRange = { lowest: Infinity, highest: -Infinity, usable: 0, lowestVariance: Infinity };
  const kernels = kernelsOf(image, variance, mask), least = Math.fround(saturation);
  const work = kernels === null ? null : layOutWork(kernels, { result: 16 });
  if (kernels === null || work === null) {
    for (let y = 0; y < height; y++) {
      const start = y * width, end = start + width;
      const found = inspectPixelsTwin(image, variance, mask, start, end, hasVariance, least, noData, unusable, range);
      if (found > 0) saturatedRows.push(y);
    }
    return { ...unsigned(range), saturatedRows };
  }
  const floats = new Float32Array(kernels.memory.buffer, work.result, 4),
    counts = new Int32Array(kernels.memory.buffer, work.result, 4);
  floats.set([Infinity, -Infinity, 0, Infinity]);
  const [p, v, m] = [image, variance, mask].map((plane) => pointerTo(kernels, plane));
  for (let y = 0; y < height; y++) {
    const at = y * width;
    const found = kernels.compiled.inspectPixels(
      p + 4 * at, v + 4 * at, m + 2 * at, width, hasVariance ? 1 : 0, least, noData, unusable, work.result,
    );
    if (found > 0) saturatedRows.push(y);
  }
  const found = { lowest: floats[0], highest: floats[1], usable: counts[2], lowestVariance: floats[3] };
  return { ...unsigned(found), saturatedRows };
}

/** With 0 for −0: which of the two is met first depends on the order of the lanes. */
function unsigned({ lowest, highest, usable, lowestVariance }: PixelRange): PixelRange {
  return { lowest: lowest + 0, highest: highest + 0, usable, lowestVariance: lowestVariance + 0 };
}
