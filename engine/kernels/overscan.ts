/** Level and scatter of an overscan's rows. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { overscanMediansTwin } from './twins/overscan.ts';

/**
 * Medians of rows of counts, and of their absolute deviations from it.
 *
 * @param pixels  A readout, ADU. Read only.
 * @param start   Index of the first row's first pixel; rows are `rawWidth` apart.
 * @param count   Pixels of a row that count, at least 1.
 * @param levels, deviations [rows] ADU, overwritten: medians, the mean of the middle two when even; and their median
 *                absolute deviations, to 32767 ADU.
 */
export function overscanMedians(
  pixels: Uint16Array, start: number, rawWidth: number, count: number, levels: Float64Array, deviations: Float64Array,
): void {
  const rows = levels.length, kernels = kernelsOf(pixels), paddedBytes = ((count + 7) & ~7) * 4;
  const work = kernels && layOutWork(kernels, { values: paddedBytes, sums: rows * 8 });
  const sums = kernels === null || work === null ? new Int32Array(2 * rows)
    : new Int32Array(kernels.memory.buffer, work.sums, 2 * rows);
  if (kernels === null || work === null) overscanMediansTwin(pixels, start, rawWidth, count, sums);
  else {
    kernels.compiled.overscanMedians(
      pointerTo(kernels, pixels) + 2 * start, rawWidth, count, rows, work.values, work.sums,
    );
  }
  for (let i = 0; i < rows; i++) {
    levels[i] = sums[2 * i] / 2;
    deviations[i] = sums[2 * i + 1] / 4;
  }
}
