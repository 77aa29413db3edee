import { selectInPlace } from '../select.ts';
import type { ColumnMoments, SampleTask, SampledCell } from '../sample.ts';

/** Twin of `sampleCell`. */
export function sampleCellTwin(
  { image, mask, width, ignoredBits }: SampleTask, rows: Int32Array, x0: number, x1: number,
): SampledCell {
  const values: number[] = [];
  for (const y of rows) {
    for (let i = y * width + x0; i < y * width + x1; i++) {
      // The largest number itself stands for none in the kernel.
      if ((mask[i] & ignoredBits) === 0 && Math.abs(image[i]) < 3.4028234663852886e38) values.push(image[i]);
    }
  }
  const sorted = Float32Array.from(values).sort(), count = sorted.length;
  return { count, median: sorted[count >> 1] + 0, lower: sorted[Math.trunc(count * 0.1587)] + 0 };
}

/** Twin of `columnMoments`. */
export function columnMomentsTwin(
  { image, mask, width, ignoredBits }: SampleTask, x: number, rowStep: number,
): ColumnMoments {
  const values = new Float32Array(Math.ceil(image.length / (width * rowStep)));
  let count = 0;
  for (let j = x; j < image.length; j += rowStep * width) {
    if ((mask[j] & ignoredBits) === 0 && image[j] - image[j] === 0) values[count++] = image[j];
  }
  const middle = (): number => (
    (selectInPlace(values, 0, count, (count - 1) >> 1) + selectInPlace(values, 0, count, count >> 1)) / 2
  );
  if (count === 0) return { count, median: NaN, deviation: NaN };
  const median = middle();
  for (let i = 0; i < count; i++) values[i] = Math.abs(values[i] - median);
  return { count, median: median + 0, deviation: middle() };
}
