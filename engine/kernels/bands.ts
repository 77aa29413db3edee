/** Bands of rows: what a kernel does before anyone may ask it to stop. */
import { kernelsOf, type Kernels, type PlaneView } from './kernels.ts';

/** Rows of a band: a few milliseconds of the slowest kernel on a row of 4096, so that a cancelled detector stops at once. */
const BAND_ROWS = 512;

export type RowBand = Readonly<{ y0: number; y1: number }>;

/** Rows y0 … y1 − 1 in bands; whoever set a checkpoint is asked before each. */
export function* bandsOf(kernels: Kernels, y0: number, y1: number): Generator<RowBand> {
  for (let y = y0; y < y1; y += BAND_ROWS) {
    kernels.holder.checkpoint?.();
    yield { y0: y, y1: Math.min(y + BAND_ROWS, y1) };
  }
}

/**
 * Sets what kernels on a plane's memory call before each band of rows: it throws when the work has lost its purpose, and
 * the planes are then half done. Null takes it away.
 */
export function setCheckpoint(plane: PlaneView, checkpoint: (() => void) | null): void {
  const kernels = kernelsOf(plane);
  if (kernels !== null) kernels.holder.checkpoint = checkpoint;
}

/** Where work goes on by tiles or cells instead of bands: asks once, as `bandsOf` does before a band. */
export function passCheckpoint(plane: PlaneView): void {
  kernelsOf(plane)?.holder.checkpoint?.();
}
