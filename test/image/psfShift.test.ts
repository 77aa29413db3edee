/** A PSF that is moved by a fraction of a pixel keeps its flux and goes as far as it was told. */
import { expect, test } from 'vitest';
import { evaluatePsfAt, type PsfModel } from '../../engine/image/psf.ts';

const SIZE = 31, MIDDLE = 15;

/** A Gaussian that is constant over the image. */
function gaussianPsf(sigmaPx: number): PsfModel {
  const coefficients = new Float32Array(SIZE * SIZE);
  let sum = 0;
  for (let y = 0; y < SIZE; y++) for (let x = 0; x < SIZE; x++) {
    sum += coefficients[y * SIZE + x] = Math.exp(-((x - MIDDLE) ** 2 + (y - MIDDLE) ** 2) / (2 * sigmaPx * sigmaPx));
  }
  for (let j = 0; j < coefficients.length; j++) coefficients[j] /= sum;
  return { size: SIZE, width: 100, height: 100, order: 0, coefficients };
}

test('evaluatePsfAt moves the centroid by the displacement to 2e-4 px, and the flux by less than 1e-5, at any phase', () => {
  const stamp = new Float32Array(SIZE * SIZE), scratch = new Float32Array(SIZE * SIZE);
  const psf = gaussianPsf(1.7);
  for (const [dx, dy] of [[0.5, -0.5], [0.25, 0.1], [-0.37, 0.49], [0.01, 0], [0, 0.3]]) {
    evaluatePsfAt(psf, 50, 50, dx, dy, stamp, scratch);
    let flux = 0, x = 0, y = 0;
    for (let j = 0; j < stamp.length; j++) {
      flux += stamp[j];
      x += stamp[j] * ((j % SIZE) - MIDDLE);
      y += stamp[j] * (Math.floor(j / SIZE) - MIDDLE);
    }
    // The taps' sum and first moment are exact; what is left is float32 and the Gaussian beyond the stamp (8.8 σ).
    // Lanczos's window alone would miss by 0.0145 px and 0.12 %.
    expect(Math.abs(flux - 1)).toBeLessThan(1e-5);
    expect(Math.abs(x / flux - dx)).toBeLessThan(2e-4);
    expect(Math.abs(y / flux - dy)).toBeLessThan(2e-4);
  }
});

test('a star of 3 px FWHM keeps its second moments to 5e-4 at any phase', () => {
  const stamp = new Float32Array(SIZE * SIZE), scratch = new Float32Array(SIZE * SIZE), sigma = 3 / 2.3548;
  const psf = gaussianPsf(sigma);
  for (const [dx, dy] of [[0.5, 0.5], [0.25, -0.25], [-0.4, 0.1], [0.9, -0.7]]) {
    evaluatePsfAt(psf, 50, 50, dx, dy, stamp, scratch);
    // Under a weight of the star's own shape a Gaussian shows half its variance; what is wider shows more. Lanczos's
    // taps with the same moments make it 2e-3 more; the weight's own error of 1e-4 px is nothing beside it.
    let sum = 0, xx = 0;
    for (let j = 0; j < stamp.length; j++) {
      const u = (j % SIZE) - MIDDLE - dx, v = Math.floor(j / SIZE) - MIDDLE - dy;
      const light = stamp[j] * Math.exp(-(u * u + v * v) / (2 * sigma * sigma));
      sum += light;
      xx += light * (u * u + v * v);
    }
    expect(Math.abs(xx / sum / (sigma * sigma) - 1)).toBeLessThan(5e-4);
  }
});
