/** Weights that move a PSF to its place within a pixel, from a table; and the cells in which it is one. */
import { shiftTaps, TAPS } from './shiftTaps.ts';

/**
 * Side of the cells in which a PSF counts as constant, pixels: a seeing that grows by a tenth across 4,096 px is then
 * off by 1.6e-3 at most, and few sources need a cell of their own.
 */
export const PATCH_CELL_PX = 128;

/** Places within a pixel at which taps are tabulated; between them they are straight to (1/256)² π² / 8 = 2e-5. */
export const PLACES = 256;
let table: Float64Array | null = null;

/** [PLACES + 1 × TAPS] Taps for shifts of −1/2 … 1/2. */
export function placeTaps(): Float64Array {
  if (table !== null) return table;
  table = new Float64Array((PLACES + 1) * TAPS);
  for (let i = 0; i <= PLACES; i++) table.set(shiftTaps(i / PLACES - 0.5), i * TAPS);
  return table;
}
