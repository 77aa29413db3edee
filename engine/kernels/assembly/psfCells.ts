/** A PSF at the middle of a cell of the image. The twin in `twins/psfCells.ts` defines the result. */

/** A PSF as `psfCells.ts` writes it: [terms × size²] float32 of coefficients, and the sum of each term. */
@unmanaged
export class Psf {
  size: i32; terms: i32; coefficients: usize; unused: i32;
  /** Size of the image that it belongs to. */
  width: f64; height: f64;
  sums: f64;
}

class Term {
  /** Of 1, u, v, u², uv, v². */
  @inline static at(k: i32, u: f64, v: f64): f64 {
    return k == 0 ? 1 : k == 1 ? u : k == 2 ? v : k == 3 ? u * u : k == 4 ? u * v : v * v;
  }
}

/**
 * The PSF at (x, y), of unit sum over its whole stamp, cut or filled with zeros to a side.
 *
 * @param side Odd, as is the stamp's.
 * @param cell [side² + 1] float64, overwritten.
 */
export function fillPsfCell(at: usize, x: f64, y: f64, side: i32, cell: usize): void {
  const psf = changetype<Psf>(at), size = psf.size, sums = at + offsetof<Psf>('sums');
  const u = (2 * x) / (psf.width - 1) - 1, v = (2 * y) / (psf.height - 1) - 1;
  let total: f64 = 0;
  for (let k = 0; k < psf.terms; k++) total += Term.at(k, u, v) * load<f64>(sums + (<usize>k << 3));
  memory.fill(cell, 0, <usize>(side * side) << 3);
  const offset = (size - side) / 2, first = max(0, -offset), count = min(side, size - offset) - first;
  for (let k = 0; k < psf.terms; k++) {
    const factor = Term.at(k, u, v) / total, both = f64x2.splat(factor);
    for (let row = first; row < first + count; row++) {
      let from = psf.coefficients + (<usize>((k * size + row + offset) * size + offset + first) << 2);
      let to = cell + (<usize>(row * side + first) << 3);
      const pairsEnd = to + (<usize>(count & ~1) << 3);
      for (; to < pairsEnd; to += 16, from += 8) {
        const values = f64x2.promote_low_f32x4(v128.load64_zero(from));
        v128.store(to, f64x2.add(v128.load(to), f64x2.mul(both, values)));
      }
      if ((count & 1) != 0) store<f64>(to, load<f64>(to) + factor * <f64>load<f32>(from));
    }
  }
}
