/** Level and scatter of an overscan's rows. */
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { columnMediansTwin, overscanMediansTwin } from './twins/overscan.ts';

/**
 * Medians of rows of counts, and of their absolute deviations from it.
 *
 * @param pixels  A readout, ADU. Read only.
 * @param start   Index of the first row's first pixel; rows are `rawWidth` apart.
 * @param count   Pixels of a row that count, at least 1.
 * @param levels  [rows] ADU, overwritten: medians, the mean of the middle two when even.
 * @param deviations [⌈rows / deviationStep⌉] ADU, overwritten: median absolute deviations, to 32767 ADU, of every so
 *                many rows from the first.
 */
export function overscanMedians(
  pixels: Uint16Array, start: number, rawWidth: number, count: number, levels: Float64Array, deviations: Float64Array,
  deviationStep = 1,
): void {
  const rows = levels.length, kernels = kernelsOf(pixels), paddedBytes = ((count + 7) & ~7) * 4;
  const work = kernels && layOutWork(kernels, { values: paddedBytes, sums: rows * 8 });
  const sums = kernels === null || work === null ? new Int32Array(2 * rows)
    : new Int32Array(kernels.memory.buffer, work.sums, 2 * rows);
  if (kernels === null || work === null) overscanMediansTwin(pixels, start, rawWidth, count, deviationStep, sums);
  else {
    kernels.compiled.overscanMedians(
      pointerTo(kernels, pixels) + 2 * start, rawWidth, count, rows, deviationStep, work.values, work.sums,
    );
  }
  for (let i = 0; i < rows; i++) {
    levels[i] = sums[2 * i] / 2;
    if (i % deviationStep === 0) deviations[i / deviationStep] = sums[2 * i + 1] / 4;
  }
}

/**
 * Medians down columns of counts, the mean of the middle two when even.
 *
 * @param pixels A readout, ADU. Read only.
 * @param start  Index of the first row's first pixel; rows are `rawWidth` apart.
 * @param count  Rows, at least 1.
 * @param levels [columns] ADU, overwritten.
 */
export function columnMedians(
  pixels: Uint16Array, start: number, rawWidth: number, count: number, levels: Float64Array,
): void {
  const columns = levels.length, padded = (columns + 7) & ~7, kernels = kernelsOf(pixels);
  // The kernel reads whole groups of eight columns.
  const isInside = start + (count - 1) * rawWidth + padded <= pixels.length;
  const work = kernels && isInside ? layOutWork(kernels, { sums: 4 * padded }) : null;
  const sums = kernels === null || work === null ? new Int32Array(columns)
    : new Int32Array(kernels.memory.buffer, work.sums, columns);
  if (kernels === null || work === null) columnMediansTwin(pixels, start, rawWidth, count, sums);
  else kernels.compiled.columnMedians(pointerTo(kernels, pixels) + 2 * start, rawWidth, columns, count, work.sums);
  for (let x = 0; x < columns; x++) levels[x] = sums[x] / 2;
}
