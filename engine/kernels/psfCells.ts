/** A PSF that varies over an image as the kernels of sources read it, evaluated once a cell of the image. */
import type { Kernels } from './kernels.ts';
import { termSums } from './twins/psfCells.ts';

/** [terms × size × size] of coefficients of 1, u, v, u², uv, v²; size odd. A `PsfModel` is one. */
export type PsfStamps = Readonly<{ size: number; width: number; height: number; coefficients: Float32Array }>;

const HEAD_BYTES = 80;

/** Bytes of a PSF in the work area. */
export function psfRoomBytes({ coefficients }: PsfStamps): number {
  return HEAD_BYTES + 4 * coefficients.length + 8;
}

/** Writes a PSF where `assembly/psfCells.ts` reads it. @param at Byte offset of `psfRoomBytes`, a multiple of 8. */
export function writePsf({ memory: { buffer } }: Kernels, at: number, psf: PsfStamps): void {
  const { size, width, height, coefficients } = psf, sums = termSums(psf);
  new Int32Array(buffer, at, 4).set([size, sums.length, at + HEAD_BYTES, 0]);
  new Float64Array(buffer, at + 16, 2).set([width, height]);
  new Float64Array(buffer, at + 32, sums.length).set(sums);
  new Float32Array(buffer, at + HEAD_BYTES, coefficients.length).set(coefficients);
}
