/**
 * Empirical PSF: a polynomial over the detector for every pixel of the stamp, at the image's own sampling.
 *
 * PSF(x, y)[j] = Σ_k c[k][j] · P_k(u, v), with u = 2x/(width − 1) − 1, v = 2y/(height − 1) − 1 and
 * P = 1, u, v, u², uv, v² up to `order`. Plain data, so that it passes between threads and into files.
 */
export type PsfModel = Readonly<{
  /** Side of the stamp, pixels; odd. */
  size: number;
  /** Size of the image that the model belongs to, pixels. */
  width: number; height: number;
  order: 0 | 1 | 2;
  /** [terms × size × size], terms = 1, 3 or 6. */
  coefficients: Float32Array;
}>;

export function psfTermCount(order: 0 | 1 | 2): number {
  return ((order + 1) * (order + 2)) / 2;
}

/**
 * The PSF at a place, its peak on the centre of the middle pixel, unit sum.
 *
 * @param x, y Pixel position on the image.
 * @param out  [size × size] row-major, overwritten.
 */
export function evaluatePsf(psf: PsfModel, x: number, y: number, out: Float32Array): void {
  const n = psf.size * psf.size;
  const u = (2 * x) / (psf.width - 1) - 1, v = (2 * y) / (psf.height - 1) - 1;
  const terms = [1, u, v, u * u, u * v, v * v];
  const c = psf.coefficients;
  out.fill(0);
  for (let k = 0, count = psfTermCount(psf.order); k < count; k++) {
    const weight = terms[k], start = k * n;
    for (let j = 0; j < n; j++) out[j] += weight * c[start + j];
  }
  let sum = 0;
  for (let j = 0; j < n; j++) sum += out[j];
  for (let j = 0; j < n; j++) out[j] /= sum;
}

/** Lanczos kernel's half width used to move a PSF by a fraction of a pixel; the PSF is sampled at ≥ 2.5 px FWHM. */
const SHIFT_HALF_WIDTH = 4;

/**
 * The PSF at a place, its centre moved by (dx, dy) from the middle of the stamp.
 *
 * @param dx, dy  Displacement, pixels, |·| ≤ 1.
 * @param out     [size × size] row-major, overwritten. Unit sum.
 * @param scratch [size × size], contents destroyed.
 */
export function evaluatePsfAt(
  psf: PsfModel, x: number, y: number, dx: number, dy: number, out: Float32Array, scratch: Float32Array,
): void {
  evaluatePsf(psf, x, y, out);
  const size = psf.size;
  if (dx !== 0) { shiftRows(out, scratch, size, 1, size, dx); out.set(scratch); }
  if (dy !== 0) { shiftRows(out, scratch, size, size, 1, dy); out.set(scratch); }
}

/**
 * Moves a stamp's light by (dx, dy), |·| ≤ 1, by Lanczos interpolation.
 *
 * @param from    [size × size] row-major. Read only.
 * @param out     Same shape, overwritten.
 * @param scratch Same shape, contents destroyed.
 */
export function shiftStamp(
  from: Float32Array, size: number, dx: number, dy: number, out: Float32Array, scratch: Float32Array,
): void {
  shiftRows(from, scratch, size, 1, size, dx);
  shiftRows(scratch, out, size, size, 1, dy);
}

/** Moves a stamp along one axis by Lanczos interpolation; what lies outside the stamp is zero. */
function shiftRows(
  from: Float32Array, to: Float32Array, size: number, step: number, rowStep: number, shift: number,
): void {
  const taps = lanczosTaps(shift), half = SHIFT_HALF_WIDTH;
  const [t0, t1, t2, t3, t4, t5, t6, t7, t8] = taps;
  for (let row = 0; row < size; row++) {
    const start = row * rowStep;
    for (let i = 0; i < size; i++) {
      const at = start + i * step;
      if (i >= half && i < size - half) {
        // Written out, for this line is where PSF fitting spends its time.
        to[at] = t0 * from[at - 4 * step] + t1 * from[at - 3 * step] + t2 * from[at - 2 * step] + t3 * from[at - step]
          + t4 * from[at] + t5 * from[at + step] + t6 * from[at + 2 * step] + t7 * from[at + 3 * step]
          + t8 * from[at + 4 * step];
        continue;
      }
      let sum = 0;
      for (let t = Math.max(0, half - i); t < Math.min(taps.length, size + half - i); t++) {
        sum += taps[t] * from[at + (t - half) * step];
      }
      to[at] = sum;
    }
  }
}

/**
 * taps[t] weighs the pixel t − 4 away, for a stamp moved by +shift.
 *
 * Lanczos's window alone moves a stamp by up to 0.0145 px too far; so the least correction under the window is added that makes
 * the taps' sum 1 and their first and second moments about the shifted place 0.
 */
function lanczosTaps(shift: number): Float64Array {
  const a = SHIFT_HALF_WIDTH, taps = new Float64Array(2 * a + 1);
  // Moments of the taps (m) and of the window (w) about the place that is read.
  let m0 = 0, m1 = 0, m2 = 0, w0 = 0, w1 = 0, w2 = 0, w3 = 0, w4 = 0;
  for (let t = 0; t < taps.length; t++) {
    const d = t - a + shift, window = windowAt(d, a);
    taps[t] = sinc(d) * window;
    m0 += taps[t]; m1 += taps[t] * d; m2 += taps[t] * d * d;
    w0 += window; w1 += window * d; w2 += window * d * d; w3 += window * d ** 3; w4 += window * d ** 4;
  }
  const [c0, c1, c2] = solve3([w0, w1, w2, w1, w2, w3, w2, w3, w4], [1 - m0, -m1, -m2]);
  for (let t = 0; t < taps.length; t++) {
    const d = t - a + shift;
    taps[t] += windowAt(d, a) * (c0 + d * (c1 + d * c2));
  }
  return taps;
}

function windowAt(d: number, halfWidth: number): number {
  return Math.abs(d) < halfWidth ? sinc(d / halfWidth) : 0;
}

/** Cramer's rule for a symmetric 3 × 3 system; the windows' moments are far from singular. */
function solve3(m: readonly number[], v: readonly number[]): readonly [number, number, number] {
  const [a, b, c, , e, f, , , i] = m;
  const determinant = a * (e * i - f * f) - b * (b * i - f * c) + c * (b * f - e * c);
  return [
    (v[0] * (e * i - f * f) - b * (v[1] * i - f * v[2]) + c * (v[1] * f - e * v[2])) / determinant,
    (a * (v[1] * i - f * v[2]) - v[0] * (b * i - f * c) + c * (b * v[2] - v[1] * c)) / determinant,
    (a * (e * v[2] - v[1] * f) - b * (b * v[2] - v[1] * c) + v[0] * (b * f - e * c)) / determinant,
  ];
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Pixels of noise that a PSF flux gathers: 1 / Σ p² (King 1983), pixels. */
export function effectiveAreaPx(stamp: Float32Array): number {
  let sum = 0;
  for (let j = 0; j < stamp.length; j++) sum += stamp[j] * stamp[j];
  return 1 / sum;
}

/** Full width at half maximum of a Gaussian of the same effective area 4πσ², pixels. */
export function psfFwhmPx(psf: PsfModel, x: number, y: number): number {
  const stamp = new Float32Array(psf.size * psf.size);
  evaluatePsf(psf, x, y, stamp);
  return 2.3548 * Math.sqrt(effectiveAreaPx(stamp) / (4 * Math.PI));
}
