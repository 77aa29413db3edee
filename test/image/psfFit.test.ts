import { describe, expect, test } from 'vitest';
import { measureBackground, subtractBackground } from '../../engine/image/background.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { evaluatePsf, evaluatePsfAt, psfFwhmPx, type PsfModel } from '../../engine/image/psf.ts';
import { buildPsf, isOneStar, type PsfFitConfig } from '../../engine/image/psfFit.ts';
import { createPsfFitter } from '../../engine/image/psfPhotometry.ts';
import { detectStars, measureSeeing } from '../../engine/image/starDetection.ts';
import { moffat, renderField, strewnStars, type SkyField } from '../support/skyField.ts';

const starLimits = { thresholdSigma: 8, borderPx: 6, cleanCountMax: 1000 };
const SIZE = 512;
const psfConfig: PsfFitConfig = {
  sizeFwhm: 6, sizePxMin: 25, sizePxMax: 61, snrMin: 30, starCountMax: 120, starCountMin: 4, linearStarCountMin: 9,
  quadraticStarCountMin: 60, neighbourFractionMax: 0.1, peakFractionMax: 0.6, fitRadiusFwhm: 1.6,
};

function scratch() {
  return { smooth: new Float32Array(SIZE * SIZE), work: new Float32Array(SIZE * SIZE) };
}

/** The field with its sky taken off, and its stars found. */
function found(field: SkyField, guessFwhmPx = 4) {
  const sky = measureBackground(field.image, field.mask, SIZE, SIZE, 0,
    { cellPx: 64, clipSigma: 3, usableFractionMin: 0.2 });
  if (!sky) throw new Error('no sky');
  subtractBackground(field.image, sky);
  const seeing = measureSeeing(field.image, field.mask, sky, guessFwhmPx, 5, starLimits,
    scratch());
  if (!seeing) throw new Error('no stars');
  return { sky, ...seeing };
}

function field(seed: number, options: Partial<Parameters<typeof renderField>[0]> = {}) {
  return renderField({
    seed, width: SIZE, height: SIZE, fwhmPx: 4, sky: 500, readNoise: 6,
    stars: strewnStars(seed + 1, 60, SIZE, SIZE, 5e3, 5e5, 30, 20), ...options,
  });
}

/** Exact PSF of the renderer as a model: one term. */
function exactPsf(fwhmPx: number, size = 31): PsfModel {
  const half = (size - 1) / 2, coefficients = new Float32Array(size * size);
  for (let k = 0; k < coefficients.length; k++) coefficients[k] = moffat(fwhmPx, ((k % size) - half) ** 2
    + (Math.floor(k / size) - half) ** 2);
  return { size, width: SIZE, height: SIZE, order: 0, coefficients };
}

describe('star detection', () => {
  test.each([2.6, 4, 7.5])('seeing of %f px is found from a guess of 4 px, and every bright star with it', (fwhmPx) => {
    const made = field(31, { fwhmPx }), { stars } = found(made);
    for (const star of made.stars) {
      // Four standard deviations along each axis of the faintest ones' centroids.
      const near = stars.filter((s) => Math.hypot(s.x - star.x, s.y - star.y) < Math.max(0.5, 5.6 * s.errorPx));
      expect(near).toHaveLength(1);
    }
    // 8 σ in pure noise: none. Wings of bright stars make no peaks of their own.
    expect(stars.length).toBeLessThanOrEqual(made.stars.length + 1);
  });

  test('of the stars beyond the brightest some of every brightness are measured as well', () => {
    const made = field(33), { sky, fwhmPx } = found(made), sampled = { ...starLimits, cleanCountMax: 10 };
    const measured = (config: typeof starLimits & { sampleSigma?: number; sampleCountMax?: number }) => (
      detectStars(made.image, made.mask, sky, fwhmPx, config, scratch()).filter(({ sigmaPx }) => !Number.isNaN(sigmaPx))
    );
    const few = measured(sampled), more = measured({ ...sampled, sampleSigma: 40, sampleCountMax: 15 });
    expect(few).toHaveLength(10);
    // Every n-th of at most 50, n rounded up, so that there are half of 15 or more.
    expect(more.length - few.length).toBeGreaterThanOrEqual(8);
    expect(more.length - few.length).toBeLessThanOrEqual(15);
    expect(more[more.length - 1].flux).toBeLessThan(few[9].flux / 3);
    expect(more.every(({ snr }) => snr > 40)).toBe(true);
  });

  test('centroids are unbiased, and err by what their noise says', () => {
    const made = field(33, { stars: strewnStars(34, 80, SIZE, SIZE, 8e3, 3e4, 25, 20) }), { stars } = found(made);
    let sum = 0, squares = 0, count = 0;
    for (const truth of made.stars) {
      const star = stars.find((s) => Math.hypot(s.x - truth.x, s.y - truth.y) < 1);
      if (!star) continue;
      const pull = (star.x - truth.x) / star.errorPx;
      sum += pull; squares += pull * pull; count++;
    }
    expect(count).toBe(80);
    expect(Math.abs(sum / count)).toBeLessThan(5 / Math.sqrt(80));
    // The star's own photons add up to √(1 + 3e4 / (536 e² × 72 px)) = 1.33, the Gaussian window on a Moffat star and
    // the correlation of both up to half as much again.
    expect(Math.sqrt(squares / count)).toBeLessThan(2);
    expect(Math.sqrt(squares / count)).toBeGreaterThan(0.7);
  });

  test('saturated and blemished stars are told', () => {
    const made = field(35), [a, b] = made.stars;
    made.mask[Math.round(a.y) * SIZE + Math.round(a.x)] |= maskBits('SAT');
    made.mask[Math.round(b.y) * SIZE + Math.round(b.x) + 2] |= maskBits('CR');
    const { stars } = found(made);
    const at = (star: { x: number; y: number }) => stars.find((s) => Math.hypot(s.x - star.x, s.y - star.y) < 1);
    expect(at(a)).toMatchObject({ isSaturated: true, isBlemished: false });
    expect(at(b)).toMatchObject({ isSaturated: false, isBlemished: true });
  });

  test('an image of noise has no stars, and NaN pixels do no harm', () => {
    const made = field(36, { stars: [] });
    for (let i = 0; i < 2000; i++) made.image[i * 7] = NaN;
    const sky = measureBackground(made.image, made.mask, SIZE, SIZE, 0,
      { cellPx: 64, clipSigma: 3, usableFractionMin: 0.2 });
    if (!sky) throw new Error('no sky');
    subtractBackground(made.image, sky);
    expect(detectStars(made.image, made.mask, sky, 4, starLimits, scratch())).toHaveLength(0);
  });
});

describe('PSF model', () => {
  test('buildPsf recovers a Moffat profile to 1.5 % of its light, wings included', () => {
    const made = field(41), { stars, fwhmPx } = found(made), result = buildPsf(made, stars, fwhmPx, psfConfig);
    expect(result).not.toBeNull();
    if (!result) return;
    const { psf } = result, model = new Float32Array(psf.size ** 2), truth = new Float32Array(psf.size ** 2);
    evaluatePsf(psf, 256, 256, model);
    evaluatePsf(exactPsf(4, psf.size), 256, 256, truth);
    let squares = 0, light = 0, wing = 0, wingTruth = 0;
    for (let k = 0; k < model.length; k++) {
      squares += (model[k] - truth[k]) ** 2;
      light += truth[k] ** 2;
      const r = Math.hypot((k % psf.size) - (psf.size - 1) / 2, Math.floor(k / psf.size) - (psf.size - 1) / 2);
      if (r > 6) { wing += model[k]; wingTruth += truth[k]; }
    }
    // 60 stars, the brighter half with SNR > 200: the core is known to 1/(200 √30) = 1e-3, shape noise over 29² pixels
    // adds.
    expect(Math.sqrt(squares / light)).toBeLessThan(0.015);
    // The wings' sum: sky noise 23 e × √700 px = 600 e against the four brightest stars' 1.5e6 e, and the sky's own
    // error.
    expect(Math.abs(wing - wingTruth)).toBeLessThan(0.004);
  });

  test('a PSF that widens over the image is followed', () => {
    const made = field(43, { fwhmGrowth: 0.25 }), { stars, fwhmPx } = found(made),
      result = buildPsf(made, stars, fwhmPx, psfConfig);
    if (!result) throw new Error('no PSF');
    const left = psfFwhmPx(result.psf, 40, 256), right = psfFwhmPx(result.psf, 470, 256);
    // Growth between x = 40 and 470: (1 + 0.25 × 470/512) / (1 + 0.25 × 40/512) = 1.206.
    expect(right / left).toBeGreaterThan(1.15);
    expect(right / left).toBeLessThan(1.26);
  });

  test('faint neighbours on every star stay out of the wings', () => {
    const base = strewnStars(45, 50, SIZE, SIZE, 2e4, 5e5, 34, 25);
    const neighbours = base.map((star, i) => ({ x: star.x + 12 * Math.cos(i), y: star.y + 12 * Math.sin(i),
      flux: 0.05 * star.flux }));
    const made = field(46, { stars: [...base, ...neighbours] }), { stars, fwhmPx } = found(made);
    const result = buildPsf(made, stars, fwhmPx, psfConfig);
    if (!result) throw new Error('no PSF');
    const model = new Float32Array(result.psf.size ** 2), truth = new Float32Array(model.length);
    evaluatePsf(result.psf, 256, 256, model);
    evaluatePsf(exactPsf(4, result.psf.size), 256, 256, truth);
    let excess = 0;
    for (let k = 0; k < model.length; k++) {
      const r = Math.hypot((k % result.psf.size) - (result.psf.size - 1) / 2,
        Math.floor(k / result.psf.size) - (result.psf.size - 1) / 2);
      if (r > 9) excess += model[k] - truth[k];
    }
    // Left in, the neighbours would be 0.05; a tenth of that may stay from errors of their fluxes.
    expect(Math.abs(excess)).toBeLessThan(0.005);
  });

  test('too few stars give null', () => {
    const made = field(47, { stars: strewnStars(48, 3, SIZE, SIZE, 1e5, 2e5, 100, 50) });
    const sky = measureBackground(made.image, made.mask, SIZE, SIZE, 0,
      { cellPx: 64, clipSigma: 3, usableFractionMin: 0.2 });
    if (!sky) throw new Error('no sky');
    subtractBackground(made.image, sky);
    const stars = detectStars(made.image, made.mask, sky, 4, starLimits, scratch());
    expect(buildPsf(made, stars, 4, psfConfig)).toBeNull();
  });

  test('a PSF moved by a fraction of a pixel keeps its sum and moves its centroid by that much', () => {
    const psf = exactPsf(3.5), out = new Float32Array(31 * 31), work = new Float32Array(31 * 31);
    for (const [dx, dy] of [[0.5, 0], [-0.3, 0.7], [0.01, -0.99]]) {
      evaluatePsfAt(psf, 100, 100, dx, dy, out, work);
      let sum = 0, cx = 0, cy = 0, peak = 0;
      for (let k = 0; k < out.length; k++) {
        sum += out[k]; cx += out[k] * ((k % 31) - 15); cy += out[k] * (Math.floor(k / 31) - 15);
        peak = Math.max(peak, Math.abs(out[k] - moffat(3.5, ((k % 31) - 15 - dx) ** 2
          + (Math.floor(k / 31) - 15 - dy) ** 2)));
      }
      expect(Math.abs(sum - 1)).toBeLessThan(2e-3);
      // Light that the shift moves out of the stamp at r = 15, 3e-4 of it at most 15 px away, pulls the centroid by
      // 5e-3 a side; the unequal halves of the lost wings by as much again.
      expect(Math.hypot(cx / sum - dx, cy / sum - dy)).toBeLessThan(0.025);
      // The taps pass a profile of 3.5 px FWHM to 2e-3 of its peak at half a pixel on both axes.
      expect(peak).toBeLessThan(0.002 * moffat(3.5, 0));
    }
  });
});

describe('PSF photometry', () => {
  test('fluxes, positions and their errors are right: pulls have mean 0 and width 1', () => {
    const stars = strewnStars(51, 150, SIZE, SIZE, 3e3, 3e4, 26, 20);
    const made = field(52, { stars });
    for (let i = 0; i < made.image.length; i++) made.image[i] -= 500;
    const psf = exactPsf(4), fitter = createPsfFitter(made, psf), pulls: number[][] = [[], [], []];
    const norm = psf.coefficients.reduce((sum, value) => sum + value, 0);
    for (const star of stars) {
      const fit = fitter.fit(star.x + 0.2, star.y - 0.2, 7, null);
      if (!fit) throw new Error('no fit');
      // The model has unit sum within its stamp; the renderer's stars within infinity.
      pulls[0].push((fit.flux - star.flux * norm) / fit.fluxErr);
      pulls[1].push((fit.x - star.x) / fit.xErr);
      pulls[2].push((fit.y - star.y) / fit.yErr);
    }
    for (const pull of pulls) {
      const mean = pull.reduce((sum, value) => sum + value, 0) / pull.length;
      const width = Math.sqrt(pull.reduce((sum, value) => sum + (value - mean) ** 2, 0) / pull.length);
      // 150 stars: mean to 0.082, width to 0.058; 4 σ. Interpolating the PSF and neighbours' wings add a little.
      expect(Math.abs(mean)).toBeLessThan(4 * 0.082 + 0.1);
      expect(Math.abs(width - 1)).toBeLessThan(4 * 0.058 + 0.05);
    }
  });

  test('a star with another under its core is not one star; single ones are, faint or bright', () => {
    const stars = strewnStars(61, 150, SIZE, SIZE, 2e3, 2e6, 26, 20), isDouble = (i: number): boolean => i % 2 === 1;
    const companions = stars.filter((_, i) => isDouble(i)).map(({ x, y, flux }) => ({ x: x + 2, y: y + 1.5, flux: 0.1 * flux }));
    const made = field(62, { stars: [...stars, ...companions] }), fitter = createPsfFitter(made, exactPsf(4));
    for (let i = 0; i < made.image.length; i++) made.image[i] -= 500;
    let singlesTold = 0, singles = 0;
    stars.forEach((star, i) => {
      const fit = fitter.fit(star.x, star.y, 6, null);
      if (!fit) throw new Error('no fit');
      if (!isDouble(i)) { singles++; singlesTold += isOneStar(fit, 0.02) ? 1 : 0; return; }
      // A tenth of the light at 2.5 px leaves some 4 %, which at a signal to noise of 200 is χ² of 64 too many for 110 pixels.
      if (fit.flux > 200 * fit.fluxErr) expect(isOneStar(fit, 0.02)).toBe(false);
    });
    // χ² of some hundred pixels exceeds 3 standard deviations once in 400.
    expect(singlesTold).toBeGreaterThanOrEqual(singles - 2);
  });

  test('masked pixels are ignored, and a star mostly masked has no flux', () => {
    const star = { x: 200.2, y: 201.4, flux: 2e4 }, made = field(54, { stars: [star] });
    for (let i = 0; i < made.image.length; i++) made.image[i] -= 500;
    const fitter = createPsfFitter(made, exactPsf(4)), fit = () => fitter.fit(star.x, star.y, 8, null), clean = fit();
    made.image[201 * SIZE + 201] = 1e7;
    made.mask[201 * SIZE + 201] = maskBits('SAT');
    const masked = fit();
    expect(Math.abs((masked?.flux ?? NaN) - (clean?.flux ?? 0))).toBeLessThan(5 * (masked?.fluxErr ?? 0));
    made.mask.fill(maskBits('BAD'));
    expect(fit()).toBeNull();
  });
});
