import type { SampleTask, SampledCell } from '../sample.ts';

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
