import { describe, expect, test } from 'vitest';
import { StageError } from '../../engine/errors.ts';
import { asProduct } from '../../engine/image/maskedImage.ts';
import type { ReferenceStar } from '../../engine/image/references.ts';
import { nominalWcs, pixelToSky, separationArcsec, type Wcs } from '../../engine/image/wcs.ts';
import { calibrate } from '../../engine/stages/calibrate/calibrate.ts';
import { calibrateConfig } from '../../engine/stages/calibrate/config.ts';
import { detectorOf, loadCamera } from '../../schemas/camera.ts';
import { renderField, strewnStars, type FieldStar } from '../support/skyField.ts';
import { skyRandom } from '../support/skyRandom.ts';

const SIZE = 600, ELECTRONS_PER_NJY = 25;
const camera = loadCamera('minicam');
const detector = { ...detectorOf(camera, 4), width: SIZE, height: SIZE };
const scratch = () => ({ smooth: new Float32Array(SIZE * SIZE), work: new Float32Array(SIZE * SIZE) });

/** The sky as it truly lies on the detector, and a catalogue of its brighter stars with errors of 5 mas and 5 mmag. */
function scene(seed: number, truth: Wcs, stars: readonly FieldStar[], strangers = 0) {
  const field = renderField({ seed, width: SIZE, height: SIZE, fwhmPx: 4, sky: 500, readNoise: 6, stars,
    gradient: 20 });
  const random = skyRandom(seed + 5);
  const references = stars.filter((star) => star.flux > 6e3).map((star, i): ReferenceStar => {
    const sky = pixelToSky(truth, star.x, star.y), mas = 5 / 3.6e6;
    return {
      refId: String(i), raErrMas: 5, decErrMas: 5, magErr: 0.005, colourMag: null,
      raDeg: sky.raDeg + (mas * random.normal()) / Math.cos(sky.decDeg * Math.PI / 180), decDeg: sky.decDeg
        + mas * random.normal(),
      mag: 31.4 - 2.5 * Math.log10(star.flux / ELECTRONS_PER_NJY) + 0.005 * random.normal(),
    };
  });
  for (let k = 0; k < strangers; k++) {
    const sky = pixelToSky(truth, random.uniform() * SIZE, random.uniform() * SIZE);
    references.push({ refId: `s${k}`, ...sky, raErrMas: 5, decErrMas: 5, mag: 18 + 3 * random.uniform(),
      magErr: 0.005, colourMag: null });
  }
  const postIsr = asProduct('postIsrImage', { width: SIZE, height: SIZE, image: field.image, variance: field.variance,
    mask: field.mask });
  return { postIsr, references, field };
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof StageError) return `${error.code} ${error.disposition}`;
    throw error;
  }
  return 'none';
}

const strewn = (seed: number) => strewnStars(seed, 120, SIZE, SIZE, 1.5e3, 4e5, 14, 12);

describe('calibrate', () => {
  test.each([
    ['as commanded', 150, 2, 30, 0, 0, 0], ['10″ off and turned by 0.1°', 150, 2, 0, 7, -7, 0.1],
    ['across the wrap of right ascension', 359.9999, -44, 120, -6, 3, -0.05],
      ['beside the pole', 40, 89.95, 77, 4, 8, 0.1],
  ])('pointing %s: WCS within 5 mas and zero point within 5 mmag of the truth',
    (_, ra, dec, angle, east, north, turn) => {
    const nominal = nominalWcs(camera, detector, ra, dec, angle);
    const truth = nominalWcs(camera, detector, ra + east / 3600 / Math.cos(dec * Math.PI / 180), dec + north / 3600,
      angle + turn);
    const { postIsr, references, field } = scene(61, truth, strewn(62), 20);
    const result = calibrate(postIsr, nominal, references, 30, calibrateConfig, scratch());
    let worst = 0;
    for (const x of [0, 300, 599]) for (const y of [0, 300, 599]) {
      const a = pixelToSky(result.wcs, x, y), b = pixelToSky(truth, x, y);
      worst = Math.max(worst, separationArcsec(a.raDeg, a.decDeg, b.raDeg, b.decDeg) * 1000);
    }
    // 80 standards of 5 mas and centroids of 2 … 10 mas: 0.8 mas an axis at the centre, √3 × as much again at a
    // corner, 3.5 σ.
    expect(worst).toBeLessThan(7);
    // Statistics 1 mmag, the PSF's wings (0.3 %) 3 mmag, light beyond the stamp 1.4 mmag.
    expect(Math.abs(2.5 * Math.log10(result.photometry.nJyPerElectron * ELECTRONS_PER_NJY))).toBeLessThan(0.006);
    expect(result.photometry.zeroPointMag).toBeCloseTo(31.4 + 2.5 * Math.log10(ELECTRONS_PER_NJY / 30), 1);
    expect(result.stars.filter((star) => star.refId !== null).length).toBeGreaterThan(50);
    // The stranger references are not on any star.
    expect(result.stars.filter((star) => star.refId?.startsWith('s')).length).toBeLessThanOrEqual(2);
    const i = 20 * SIZE + 300;
    expect(result.visitImage.variance[i]).toBeCloseTo((field.expected[i]
      + 36) * result.photometry.nJyPerElectron ** 2, 4);
  });

  test('fluxes of stars come out in nJy, right within their errors and 1 %', () => {
    const nominal = nominalWcs(camera, detector, 10, -30, 0), stars = strewn(64);
    const { postIsr, references } = scene(63, nominal, stars);
    const result = calibrate(postIsr, nominal, references, 30, calibrateConfig, scratch());
    let count = 0;
    for (const truth of stars.filter((star) => star.flux > 1e4)) {
      const star = result.stars.find((s) => Math.hypot(s.x - truth.x, s.y - truth.y) < 0.5);
      if (!star?.isIsolated) continue;
      const expected = truth.flux / ELECTRONS_PER_NJY;
      expect(Math.abs(star.flux - expected)).toBeLessThan(5 * star.fluxErr + 0.012 * expected);
      count++;
    }
    expect(count).toBeGreaterThan(30);
  });

  test('the sky that is left is zero to a fiftieth of its noise, its χ² is 1', () => {
    const nominal = nominalWcs(camera, detector, 10, -30, 0);
    const { visitImage } = (({ postIsr, references }) =>
      calibrate(postIsr, nominal, references, 30, calibrateConfig, scratch()))(scene(65, nominal, strewn(66)));
    let sum = 0, squares = 0, count = 0;
    for (let i = 0; i < visitImage.image.length; i++) {
      if (visitImage.mask[i] !== 0) continue;
      const chi = visitImage.image[i] / Math.sqrt(visitImage.variance[i]);
      sum += chi; squares += chi * chi; count++;
    }
    expect(count).toBeGreaterThan(0.5 * SIZE * SIZE);
    expect(Math.abs(sum / count)).toBeLessThan(0.02);
    expect(Math.abs(squares / count - 1)).toBeLessThan(0.02);
  });

  test('references of another field, or too few, are refused', () => {
    const nominal = nominalWcs(camera, detector, 10, -30, 0);
    const other = scene(67, nominal, strewn(68)).references;
    const run = (references: readonly ReferenceStar[]) => () =>
      calibrate(scene(69, nominal, strewn(70)).postIsr, nominal, references, 30, calibrateConfig, scratch());
    expect(codeOf(run(other))).toBe('WCS_STARS_TOO_FEW reject');
    expect(codeOf(run([]))).toBe('WCS_STARS_TOO_FEW reject');
    const own = scene(69, nominal, strewn(70)).references;
    expect(codeOf(run(own.slice(0, 4)))).toBe('WCS_STARS_TOO_FEW reject');
    expect(codeOf(run(own.map((reference) => ({ ...reference, mag: null }))))).toBe('ZERO_POINT_STARS_TOO_FEW reject');
  });

  test('images without stars or without sky are refused by name', () => {
    const nominal = nominalWcs(camera, detector, 10, -30, 0);
    const empty = scene(71, nominal, []);
    expect(codeOf(() => calibrate(empty.postIsr, nominal, [], 30, calibrateConfig,
      scratch()))).toBe('STARS_TOO_FEW reject');
    const nan = scene(72, nominal, []).postIsr;
    nan.image.fill(NaN);
    expect(codeOf(() => calibrate(nan, nominal, [], 30, calibrateConfig, scratch()))).toBe('BACKGROUND_UNKNOWN reject');
  });

  test.each([
    ['one value and no noise', () => 1000, 0, 'STARS_TOO_FEW reject'],
    ['nothing but saturated pixels', () => 1e5, 1 << 1, 'BACKGROUND_UNKNOWN reject'],
    ['a checkerboard', (i: number) => 1000 + 500 * (i % 2), 0, 'STARS_TOO_FEW reject'],
    ['infinities', (i: number) => (i % 3 === 0 ? Infinity : 500), 0, 'STARS_TOO_FEW reject'],
  ])('a detector of %s is refused by name', (_, valueOf, bits, code) => {
    const nominal = nominalWcs(camera, detector, 10, -30, 0), { postIsr, references } = scene(77, nominal, strewn(78));
    postIsr.image.forEach((_value, i) => { postIsr.image[i] = valueOf(i); });
    postIsr.mask.fill(bits);
    expect(codeOf(() => calibrate(postIsr, nominal, references, 30, calibrateConfig, scratch()))).toBe(code);
  });

  test('an image mirrored, or of a place a minute of arc away, matches nothing', () => {
    const nominal = nominalWcs(camera, detector, 10, -30, 0), { postIsr, references } = scene(79, nominal, strewn(80));
    const far = nominalWcs(camera, detector, 10, -30 + 1 / 60, 0);
    expect(codeOf(() => calibrate({ ...postIsr, image: postIsr.image.slice(), variance: postIsr.variance.slice(),
      mask: postIsr.mask.slice() }, far, references, 30, calibrateConfig, scratch()))).toBe('WCS_STARS_TOO_FEW reject');
    for (let y = 0; y < SIZE; y++) postIsr.image.subarray(y * SIZE, (y + 1) * SIZE).reverse();
    expect(codeOf(() => calibrate(postIsr, nominal, references, 30, calibrateConfig, scratch())))
      .toBe('WCS_STARS_TOO_FEW reject');
  });

  test('a NaN region and saturated stars do no harm', () => {
    const nominal = nominalWcs(camera, detector, 10, -30, 0);
    const { postIsr, references } = scene(73, nominal, strewn(74));
    for (let y = 0; y < 150; y++) for (let x = 0; x < 200; x++) { postIsr.image[y * SIZE
      + x] = NaN; postIsr.variance[y * SIZE + x] = NaN; postIsr.mask[y * SIZE + x] = 1 << 8; }
    for (let i = 0; i < postIsr.image.length; i++) {
      if (!(postIsr.image[i] > 9000)) continue;
      postIsr.image[i] = 9000;
      postIsr.mask[i] |= 1 << 1;
    }
    const result = calibrate(postIsr, nominal, references, 30, calibrateConfig, scratch());
    expect(Math.abs(2.5 * Math.log10(result.photometry.nJyPerElectron * ELECTRONS_PER_NJY))).toBeLessThan(0.01);
    expect(result.figures.wcsRmsMas).toBeLessThan(20);
    expect(result.visitImage.image[100]).toBeNaN();
  });

  test('equal input gives equal bytes', () => {
    const nominal = nominalWcs(camera, detector, 10, -30, 0);
    const once = () => {
      const { postIsr, references } = scene(75, nominal, strewn(76));
      const { visitImage, wcs, psf } = calibrate(postIsr, nominal, references, 30, calibrateConfig, scratch());
      return { image: Buffer.from(visitImage.image.buffer), wcs, psf };
    };
    const first = once(), second = once();
    expect(first.image.equals(second.image)).toBe(true);
    expect({ wcs: first.wcs, psf: first.psf }).toEqual({ wcs: second.wcs, psf: second.psf });
  });
});
