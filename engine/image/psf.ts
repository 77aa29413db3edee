/**
 * Empirical PSF: a polynomial over the detector for every pixel of the stamp, at the image's own sampling.
 *
 * PSF(x, y)[j] = Σ_k c[k][j] · P_k(u, v), with u = 2x/(width − 1) − 1, v = 2y/(height − 1) − 1 and
 * P = 1, u, v, u², uv, v² up to `order`. Plain data, so that it passes between threads and into files.
 */
import { shiftTaps, SHIFT_HALF_WIDTH } from '../kernels/shiftTaps.ts';

/** Full width at half maximum of a Gaussian in its standard deviations: √(8 ln 2). */
export const FWHM_PER_SIGMA = 2 * Math.sqrt(2 * Math.log(2));

/** The model. */
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

/** Weight of each of the model's stamps at a place. */
export function psfTerms(psf: PsfModel, x: number, y: number): number[] {
  const u = (2 * x) / (psf.width - 1) - 1, v = (2 * y) / (psf.height - 1) - 1;
  return [1, u, v, u * u, u * v, v * v].slice(0, psfTermCount(psf.order));
}

/**
 * The PSF at a place, its peak on the centre of the middle pixel, unit sum.
 *
 * @param x, y Pixel position on the image.
 * @param out  [size × size] row-major, overwritten.
 */
export function evaluatePsf(psf: PsfModel, x: number, y: number, out: Float32Array): void {
  const n = psf.size * psf.size, c = psf.coefficients, [, u, v, uu, uv, vv] = psfTerms(psf, x, y);
  let sum = 0;
  // One sum a pixel: a loop over the terms inside takes twice the time, one outside three times.
  for (let j = 0; j < n; j++) {
    let value = c[j];
    if (psf.order > 0) value += u * c[n + j] + v * c[2 * n + j];
    if (psf.order > 1) value += uu * c[3 * n + j] + uv * c[4 * n + j] + vv * c[5 * n + j];
    out[j] = value;
    sum += value;
  }
  const scale = 1 / sum;
  for (let j = 0; j < n; j++) out[j] *= scale;
}

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

/** Moves a stamp along one axis; what lies outside the stamp is zero. */
function shiftRows(
  from: Float32Array, to: Float32Array, size: number, step: number, rowStep: number, shift: number,
): void {
  const taps = shiftTaps(shift), half = SHIFT_HALF_WIDTH;
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
  return FWHM_PER_SIGMA * Math.sqrt(effectiveAreaPx(stamp) / (4 * Math.PI));
}

/** Steps of the adaptive moments: each halves what is left, and 25 leave 3e-8. */
const MOMENT_STEPS = 25;

/**
 * Size and ellipticity at a place by adaptive moments, under a Gaussian that takes the shape it finds (Bernstein & Jarvis
 * 2002, §3.1): standard deviation in pixels, and (xx − yy, 2 xy) over the trace.
 */
export function psfShape(psf: PsfModel, x: number, y: number): { sigmaPx: number; e1: number; e2: number } {
  const { size } = psf, half = (size - 1) / 2, stamp = new Float32Array(size * size);
  evaluatePsf(psf, x, y, stamp);
  let xx = (psfFwhmPx(psf, x, y) / FWHM_PER_SIGMA) ** 2, yy = xx, xy = 0;
  for (let step = 0; step < MOMENT_STEPS; step++) {
    const determinant = xx * yy - xy * xy;
    let sum = 0, mxx = 0, myy = 0, mxy = 0;
    for (let k = 0; k < stamp.length; k++) {
      const dx = (k % size) - half, dy = Math.floor(k / size) - half;
      const light = stamp[k] * Math.exp(-0.5 * ((yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / determinant));
      sum += light; mxx += light * dx * dx; myy += light * dy * dy; mxy += light * dx * dy;
    }
    // A Gaussian of the weight's own shape shows half its moments.
    xx = (2 * mxx) / sum; yy = (2 * myy) / sum; xy = (2 * mxy) / sum;
  }
  return { sigmaPx: Math.max(xx * yy - xy * xy, 0) ** 0.25, e1: (xx - yy) / (xx + yy), e2: (2 * xy) / (xx + yy) };
}
