/** Rows of a warped image, cell by cell. The twin in `twins/warp.ts` defines the result. */
import { warpRow } from './warp';
import { warpSheared } from './warpSheared';

const CELL_BYTES: usize = 80;

/**
 * Rows y0 ≤ y < y1 of the output, cell after cell: planes are then read and written along their rows, and not in steps of
 * a row of 4,096 px, which all fall into the same few sets of the cache.
 *
 * @param planes  Pointers, u32: the source's image, variance, mask; then those of the output.
 * @param width, height Size of the source.
 * @param cellPx  Columns of a cell.
 * @param cells   Ten f64 for each cell: source position of its pixel (i, j), counted from its first column and y0, is
 *                (tx + i xx + j xy, ty + i yx + j yy) for tx, ty, xx, xy, yx, yy; then the area of an output pixel in the
 *                source; then how many pixels of a row, a multiple of 4, may share the taps of their middle one, 0 for none,
 *                negative for a sheared cell; of which the last two are shear and slope.
 * @param taps    [(phases + 1) × 8] float32.
 * @param bits    u32: bits that mean "no data", bits that are carried over, then two pairs of a bit and what it
 *                becomes.
 * @param list    20 bytes for each pixel of a cell's row, rounded up to a multiple of 4 pixels, and 32 more, work.
 * @param lines   [rows × 80] float32, work: the rows of the source that a sheared cell needs.
 * @returns Pixels that have data.
 */
export function warpCells(
  planes: usize, width: i32, height: i32, outWidth: i32, y0: i32, y1: i32, cellPx: i32, cells: usize, taps: usize,
  phases: i32, bits: usize, list: usize, lines: usize,
): i32 {
  let covered = 0;
  for (let x = 0, cell = cells; x < outWidth; x += cellPx, cell += CELL_BYTES) {
    if (isSheared(cell)) covered += warpSheared(
      planes, width, height, cell, min(cellPx, outWidth - x), y1 - y0, y0 * outWidth + x, outWidth, taps, phases, bits,
      list, lines);
  }
  for (let y = y0; y < y1; y++) {
    const dy = <f64>(y - y0), out = y * outWidth;
    for (let x = 0, cell = cells; x < outWidth; x += cellPx, cell += CELL_BYTES) {
      if (isSheared(cell)) continue;
      covered += warpRow(
        planes, width, height, cell, dy, min(cellPx, outWidth - x), taps, phases, bits, list, out + x);
    }
  }
  return covered;
}

function isSheared(cell: usize): bool {
  return load<f64>(cell, 56) < 0;
}
