/**
 * A PSF moved by a part of a pixel with Lagrange's polynomial through six pixels: +, −, × and ÷ alone. The twin in
 * `twins/localPsf.ts` defines the result.
 */
import { fillPsfCell } from './psfCells';

const TAPS = 6;

/** Weights of the pixels around for the value at `place`, |place| ≤ 1/2: of −3 … 2 when it is negative, else −2 … 3. */
function lagrangeTaps(place: f64, taps: usize): void {
  const first: f64 = place < 0 ? -3 : -2;
  for (let t = 0; t < TAPS; t++) {
    let weight: f64 = 1;
    for (let k = 0; k < TAPS; k++) if (k != t) weight *= (place - first - <f64>k) / <f64>(t - k);
    store<f64>(taps + (<usize>t << 3), weight);
  }
}

/** A value of six neighbours, `step` bytes apart, two at a time. */
@inline
function six(at: usize, step: usize, taps: usize): v128 {
  let sum = f64x2.mul(v128.load64_splat(taps), v128.load(at));
  for (let t: usize = 8; t < 48; t += 8) {
    at += step;
    sum = f64x2.add(sum, f64x2.mul(v128.load64_splat(taps + t), v128.load(at)));
  }
  return sum;
}

/**
 * The PSF of the cell that holds (x, y), moved by (fx, fy), on (2 half + 1)² pixels.
 *
 * @param work [(side + 6)² + 1 + (side + 6) × side + 1 + 6] float64.
 * @param out  [side² + 1] float64, overwritten; the last one is of no use.
 */
export function moveLocalPsf(
  psf: usize, cellPx: f64, x: f64, y: f64, fx: f64, fy: f64, half: i32, work: usize, out: usize,
): void {
  const side = 2 * half + 1, padded = side + TAPS, rowBytes = <usize>side << 3, paddedBytes = <usize>padded << 3;
  const rows = work + (<usize>(padded * padded + 1) << 3), taps = rows + (<usize>(padded * side + 1) << 3);
  const column = max<f64>(0, floor(x / cellPx)), row = max<f64>(0, floor(y / cellPx));
  fillPsfCell(psf, (column + 0.5) * cellPx, (row + 0.5) * cellPx, padded, work);
  lagrangeTaps(-fx, taps);
  // Of an odd number the last pair ends one beyond, where the next row begins.
  for (let v = 0, from = work + (fx > 0 ? 0 : 8), to = rows; v < padded; v++, from += paddedBytes, to += rowBytes) {
    for (let u: usize = 0; u < rowBytes; u += 16) v128.store(to + u, six(from + u, 8, taps));
  }
  lagrangeTaps(-fy, taps);
  const from = rows + (fy > 0 ? 0 : rowBytes);
  for (let j: usize = 0, end = rowBytes * side; j < end; j += 16) v128.store(out + j, six(from + j, rowBytes, taps));
}
