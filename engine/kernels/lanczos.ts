/** Weights that move an image by a fraction of a pixel. */

/** Half width of the kernel; what is moved has to be sampled at 2.5 px FWHM or better. */
export const SHIFT_HALF_WIDTH = 4;

/** Rows and columns of zeros about a stamp that is moved; weights of a shift. */
export const PAD = SHIFT_HALF_WIDTH, TAPS = 2 * SHIFT_HALF_WIDTH + 1;
/** A table of weights: floats from one phase to the next, phases per pixel. The first is of a shift of −1. */
export const PHASE_STRIDE = 12, PHASES = 512;

/**
 * taps[t] weighs the pixel t − 4 away, for a stamp moved by +shift, |shift| ≤ 1.
 *
 * Lanczos's window alone moves a stamp by up to 0.0145 px too far; so the least correction under the window is added
 * that makes the taps' sum 1 and their first and second moments about the shifted place 0.
 */
export function lanczosTaps(shift: number): Float64Array {
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
