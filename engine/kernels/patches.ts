/** A PSF moved to sub-pixel places, many times over: evaluated once a cell of the image, where it is asked for. */
import type { Kernels } from './kernels.ts';
import { PATCH_CELL_PX, PLACES, placeTaps } from './placeTaps.ts';
import { psfRoomBytes, writePsf, type PsfStamps } from './psfCells.ts';
import { TAPS } from './shiftTaps.ts';
import { createPatchesTwin } from './twins/patches.ts';

export type PsfPatches = Readonly<{
  half: number; side: number;
  /**
   * The PSF of unit sum over its whole stamp, centred at (x, y), on the square of `side` pixels around (round(x),
   * round(y)); valid until the next call. [side × side] row-major.
   */
  at: (x: number, y: number) => Float64Array;
  /** The same on the middle (side × side) of it. @param out Overwritten. */
  drawMiddle: (x: number, y: number, side: number, out: Float64Array) => void;
  /** [(side + 8)²] The PSF at the middle of the cell that holds (x, y), on the pixel. Read only. */
  cellOf: (x: number, y: number) => Float64Array;
}>;

export { createPatchesTwin as createPsfPatches };

/** Bytes of the head, as `assembly/patches.ts` lays it out. */
const HEAD_BYTES = 48;

/** Half side of the patches of a PSF. */
export function patchHalf(psf: PsfStamps, half: number): number {
  return Math.min(half, (psf.size - 1) / 2);
}

/** What lies where in the room of patches, bytes from its start. */
function roomParts(psf: PsfStamps, half: number) {
  const side = 2 * patchHalf(psf, half) + 1, padded = side + TAPS - 1;
  const tableAt = HEAD_BYTES, cell = tableAt + 8 * (PLACES + 1) * TAPS, taps = cell + 8 * (padded * padded + 1);
  const rows = taps + 8 * 2 * TAPS, psfAt = rows + 8 * (padded * side + 2);
  return { side, padded, tableAt, cell, taps, rows, psfAt, end: psfAt + psfRoomBytes(psf) };
}

export function patchesRoomBytes(psf: PsfStamps, half: number): number {
  return roomParts(psf, half).end;
}

/** Writes patches where `assembly/patches.ts` reads them. @param at Byte offset of `patchesRoomBytes`, a multiple of 8. */
export function writePatches(kernels: Kernels, at: number, psf: PsfStamps, half: number): void {
  const { buffer } = kernels.memory, { side, padded, tableAt, cell, taps, rows, psfAt } = roomParts(psf, half);
  writePsf(kernels, at + psfAt, psf);
  new Float64Array(buffer, at + tableAt, (PLACES + 1) * TAPS).set(placeTaps());
  new Int32Array(buffer, at, 10).set([
    at + psfAt, at + tableAt, at + cell, at + taps, at + rows, side, padded, Math.ceil(psf.width / PATCH_CELL_PX) + 1, -1, 0,
  ]);
  new Float64Array(buffer, at + 40, 1)[0] = PATCH_CELL_PX;
}
