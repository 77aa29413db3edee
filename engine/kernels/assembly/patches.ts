/** A PSF moved to places on an image. The twin in `twins/patches.ts` defines the results. */
import { fillPsfCell } from './psfCells';

const TAPS: usize = 9, PLACES: f64 = 256;

/** As `patches.ts` writes it. */
@unmanaged
export class Patches {
  psf: usize; table: usize; cell: usize; taps: usize; rows: usize;
  /** Side of the patches, and of a cell, which is 8 more. */
  side: i32; padded: i32;
  /** Cells of the image along a row, and the cell that `cell` holds; −1 for none. */
  across: i32; key: i32; unused: i32;
  cellPx: f64;

  /** Has the cell of (x, y) ready, and the taps that move its middle there. */
  moveTo(x: f64, y: f64): void {
    const column = <i32>min<f64>(max<f64>(floor(x / this.cellPx), 0), this.across - 1);
    const row = <i32>max<f64>(floor(y / this.cellPx), 0), key = row * this.across + column;
    if (key != this.key) {
      fillPsfCell(this.psf, (<f64>column + 0.5) * this.cellPx, (<f64>row + 0.5) * this.cellPx, this.padded, this.cell);
      this.key = key;
    }
    this.fillTaps(x - Math.round(x), this.taps);
    this.fillTaps(y - Math.round(y), this.taps + (TAPS << 3));
  }

  /** Taps for a shift of −1/2 … 1/2, from the table. */
  fillTaps(shift: f64, taps: usize): void {
    const place = (shift + 0.5) * PLACES, below = min<f64>(PLACES - 1, max<f64>(0, floor(place)));
    const share = place - below, from = this.table + (<usize>below * TAPS << 3);
    for (let t: usize = 0; t < TAPS << 3; t += 8) {
      const value = load<f64>(from + t);
      store<f64>(taps + t, value + share * (load<f64>(from + t + (TAPS << 3)) - value));
    }
  }

  /** The patch there, or the middle of it. @param side Odd. @param out [side² + 1] float64, overwritten. */
  drawMiddle(side: i32, out: usize): void {
    const margin = (this.side - side) >> 1, stride = <usize>this.padded << 3, rowBytes = <usize>side << 3;
    const first = this.cell + <usize>margin * stride + (<usize>margin << 3);
    // Of an odd number the last pair ends one beyond, where the next row begins.
    weigh(first, stride, 8, this.taps, side + 8, rowBytes, this.rows, rowBytes);
    weigh(this.rows, rowBytes, rowBytes, this.taps + (TAPS << 3), side, rowBytes, out, rowBytes);
  }
}

/** Values of nine neighbours, `step` bytes apart, two at a time: `bytes` of each of `count` rows. */
function weigh(
  from: usize, fromStride: usize, step: usize, taps: usize, count: i32, bytes: usize, to: usize, toStride: usize,
): void {
  const t0 = v128.load64_splat(taps), t1 = v128.load64_splat(taps, 8), t2 = v128.load64_splat(taps, 16);
  const t3 = v128.load64_splat(taps, 24), t4 = v128.load64_splat(taps, 32), t5 = v128.load64_splat(taps, 40);
  const t6 = v128.load64_splat(taps, 48), t7 = v128.load64_splat(taps, 56), t8 = v128.load64_splat(taps, 64);
  for (let v = 0; v < count; v++, from += fromStride, to += toStride) {
    for (let u: usize = 0, at = from; u < bytes; u += 16, at += 16) {
      let sum = f64x2.mul(t0, v128.load(at)), next = at + step;
      sum = f64x2.add(sum, f64x2.mul(t1, v128.load(next)));
      next += step; sum = f64x2.add(sum, f64x2.mul(t2, v128.load(next)));
      next += step; sum = f64x2.add(sum, f64x2.mul(t3, v128.load(next)));
      next += step; sum = f64x2.add(sum, f64x2.mul(t4, v128.load(next)));
      next += step; sum = f64x2.add(sum, f64x2.mul(t5, v128.load(next)));
      next += step; sum = f64x2.add(sum, f64x2.mul(t6, v128.load(next)));
      next += step; sum = f64x2.add(sum, f64x2.mul(t7, v128.load(next)));
      next += step; sum = f64x2.add(sum, f64x2.mul(t8, v128.load(next)));
      v128.store(to + u, sum);
    }
  }
}
