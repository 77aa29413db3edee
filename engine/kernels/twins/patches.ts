import type { PsfPatches } from '../patches.ts';
import { PATCH_CELL_PX, PLACES, placeTaps } from '../placeTaps.ts';
import type { PsfStamps } from '../psfCells.ts';
import { TAPS } from '../shiftTaps.ts';
import { psfCellTwin, termSums } from './psfCells.ts';

/** Twin of `Patches`. @param half Half side of the patches; at most the PSF stamp's. */
export function createPatchesTwin(psf: PsfStamps, half: number): PsfPatches {
  const reach = Math.min(half, (psf.size - 1) / 2), side = 2 * reach + 1, padded = side + TAPS - 1;
  const cells = new Map<number, Float64Array>(), across = Math.ceil(psf.width / PATCH_CELL_PX) + 1;
  const rows = new Float64Array(padded * side), out = new Float64Array(side * side), sums = termSums(psf);
  const tapsX = new Float64Array(TAPS), tapsY = new Float64Array(TAPS);
  const cellOf = (x: number, y: number): Float64Array => {
    const column = Math.min(Math.max(Math.floor(x / PATCH_CELL_PX), 0), across - 1);
    const row = Math.max(Math.floor(y / PATCH_CELL_PX), 0), key = row * across + column, known = cells.get(key);
    if (known !== undefined) return known;
    const cell = new Float64Array(padded * padded);
    psfCellTwin(psf, sums, (column + 0.5) * PATCH_CELL_PX, (row + 0.5) * PATCH_CELL_PX, padded, cell);
    cells.set(key, cell);
    return cell;
  };
  const drawMiddle = (x: number, y: number, middle: number, to: Float64Array): void => {
    fillTaps(x - Math.round(x), tapsX);
    fillTaps(y - Math.round(y), tapsY);
    const margin = (side - middle) / 2, first = margin * padded + margin;
    weigh(cellOf(x, y), first, padded, 1, tapsX, middle + 8, middle, rows);
    weigh(rows, 0, middle, middle, tapsY, middle, middle, to);
  };
  let lastX = NaN, lastY = NaN;
  return {
    half: reach, side, cellOf, drawMiddle,
    at(x, y) {
      if (x === lastX && y === lastY) return out;
      lastX = x;
      lastY = y;
      drawMiddle(x, y, side, out);
      return out;
    },
  };
}

/** Taps for a shift of −1/2 … 1/2, from the table. */
function fillTaps(shift: number, taps: Float64Array): void {
  const table = placeTaps(), place = (shift + 0.5) * PLACES;
  const below = Math.min(PLACES - 1, Math.max(0, Math.floor(place))), share = place - below;
  for (let t = 0, k = below * TAPS; t < TAPS; t++, k++) taps[t] = table[k] + share * (table[k + TAPS] - table[k]);
}

/** Values of nine neighbours, `step` apart: `columns` of each of `count` rows. */
function weigh(
  from: Float64Array, first: number, stride: number, step: number, [t0, t1, t2, t3, t4, t5, t6, t7, t8]: Float64Array,
  count: number, columns: number, to: Float64Array,
): void {
  for (let v = 0; v < count; v++) {
    for (let u = 0, k = first + v * stride; u < columns; u++, k++) {
      to[v * columns + u] = t0 * from[k] + t1 * from[k + step] + t2 * from[k + 2 * step] + t3 * from[k + 3 * step]
        + t4 * from[k + 4 * step] + t5 * from[k + 5 * step] + t6 * from[k + 6 * step] + t7 * from[k + 7 * step]
        + t8 * from[k + 8 * step];
    }
  }
}
