import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { loadCamera, pixelScaleArcsec } from '../../schemas/camera.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { BANDS, nJyOfAbMag } from '../../schemas/units.ts';
import { makeBias, makeFlat } from '../../simulator/calibrations.ts';
import { renderExposure } from '../../simulator/exposure.ts';
import { encodeRaw } from '../../simulator/rawFile.ts';
import { detectorResponse } from '../../simulator/detector.ts';
import { drawStar } from '../../simulator/drawing.ts';
import { conditionsOf, electronsPerNJy, fieldPlace, psfAt } from '../../simulator/optics.ts';
import { drawScene, starsOfCone } from '../../simulator/scene.ts';
import { planNight } from '../../simulator/schedule.ts';
import { detectorMap, tanGridMap, type PixelMap } from '../../simulator/projection.ts';
import { makeTemplate } from '../../simulator/template.ts';
import { assembleRaw, readFitsBytes } from './readFits.ts';

const SEED = 3, R = BANDS.indexOf('r');
const camera = loadCamera('minicam'), detector = camera.detectors[5];
const dayObs = asDayObs(20260915);
const [plan] = planNight({ dayObs, visitCount: 2, seed: SEED, camera });
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const rawOf = (seed: number, index = 5): Buffer => {
  const [visit] = planNight({ dayObs, visitCount: 2, seed, camera });
  const described = camera.detectors[index];
  return encodeRaw('minicam', dayObs, described, visit, renderExposure(seed, camera, described, visit).amps);
};
const raw = rawOf(SEED);

test('twice the same seed gives the same bytes, whatever was rendered in between; another seed gives others', () => {
  rawOf(SEED, 2);
  const otherSeed = rawOf(SEED + 1);
  expect(digest(rawOf(SEED))).toBe(digest(raw));
  expect(digest(otherSeed)).not.toBe(digest(raw));
});

/**
 * Stars of 17 … 19.5 without a neighbour brighter than 5 mag fainter within 8″, 30 px from edges, where the truth
 * puts them.
 */
function isolatedStars({ toPixel, width, height }: PixelMap): { x: number; y: number; r: number }[] {
  const all = starsOfCone(SEED, plan.field.raDeg, plan.field.decDeg, 0.15 * (Math.PI / 180))
    .map((star) => ({ star, at: toPixel(star.place) }));
  return all.flatMap(({ star, at }) => {
    const r = star.mags[R];
    if (!at || star.variable || r < 17 || r > 19.5) return [];
    if (at.x < 30 || at.y < 30 || at.x > width - 31 || at.y > height - 31) return [];
    const isCrowded = all.some((other) => other.star !== star && other.at !== null && other.star.mags[R] < r + 3.5
      && Math.hypot(other.at.x - at.x, other.at.y - at.y) < 40);
    return isCrowded ? [] : [{ ...at, r }];
  });
}

/** Flux and centroid in a circle of 12 px, the background taken from a ring of 18 … 24 px by its median. */
function aperture(
  image: ArrayLike<number>, width: number, x: number, y: number,
): { flux: number; x: number; y: number; level: number } {
  const ring: number[] = [];
  let flux = 0, sumX = 0, sumY = 0, count = 0;
  for (let row = Math.round(y) - 25; row <= y + 25; row++) {
    for (let column = Math.round(x) - 25; column <= x + 25; column++) {
      const radius = Math.hypot(column - x, row - y), value = image[row * width + column];
      if (radius > 18 && radius < 24) ring.push(value);
    }
  }
  const level = ring.sort((a, b) => a - b)[ring.length >> 1];
  for (let row = Math.round(y) - 12; row <= y + 12; row++) {
    for (let column = Math.round(x) - 12; column <= x + 12; column++) {
      if (Math.hypot(column - x, row - y) > 12) continue;
      const value = image[row * width + column] - level;
      flux += value; sumX += value * (column - x); sumY += value * (row - y); count++;
    }
  }
  if (count === 0) throw new Error('empty aperture');
  return { flux, x: sumX / flux, y: sumY / flux, level };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

test('a raw reduced by its own bias and flat has its stars where and as bright as truth has them', () => {
  const bias = makeBias(SEED, detector), flat = makeFlat(SEED, camera, detector, bias);
  const image = assembleRaw(readFitsBytes(raw), detector.width, detector.height);
  for (const amp of detector.amps) {
    const { x0, x1, y0, y1 } = amp.detectorBox;
    for (let y = y0; y < y1; y++) {
      for (let i = y * detector.width + x0; i < y * detector.width + x1; i++) {
        image[i] = (image[i] - bias[i] * amp.gainElectronsPerAdu) / flat[i];
      }
    }
  }
  const stars = isolatedStars(detectorMap(camera, detector, plan.actual));
  expect(stars.length).toBeGreaterThan(5);
  const measured = stars.map((star) => ({ star, ...aperture(image, detector.width, star.x, star.y) }));
  expect(Math.abs(median(measured.map((m) => m.x)))).toBeLessThan(0.03); // Faintest: 0.02 px each; the median is finer.
  expect(Math.abs(median(measured.map((m) => m.y)))).toBeLessThan(0.03);
  const perNJy = electronsPerNJy('r', plan.exposureSeconds, conditionsOf(SEED, plan.exposure, 'r').transparency);
  const ratio = median(measured.map((m) => m.flux / (nJyOfAbMag(m.star.r) * perNJy)));
  // Within 12 px lie 1 − (1 + (12/4.8)²)^−2.5 = 99.3 %; the detector's mean response (vignetting to 8 %) is left in
  // the flux.
  expect(ratio).toBeGreaterThan(0.88);
  expect(ratio).toBeLessThan(1.03);
});

test('a template has its stars where its WCS puts them, in nJy', () => {
  const template = makeTemplate(SEED, camera, detector, plan.field, 'r');
  const map = tanGridMap(template.grid);
  expect(template.grid.width).toBeGreaterThanOrEqual(detector.width + 120);
  const stars = isolatedStars(map);
  const measured = stars.map((star) => ({ star, ...aperture(template.image, map.width, star.x, star.y) }));
  expect(Math.abs(median(measured.map((m) => m.x)))).toBeLessThan(0.01);
  expect(Math.abs(median(measured.map((m) => m.y)))).toBeLessThan(0.01);
  const ratio = median(measured.map((m) => m.flux / nJyOfAbMag(m.star.r)));
  expect(Math.abs(ratio - 0.997)).toBeLessThan(0.004); // 1 − (1 + (12/3.74)²)^−2.5 = 99.7 %.
});

test('the noise of a template is the one its variance plane says', () => {
  const template = makeTemplate(SEED, camera, detector, plan.field, 'r');
  const { width } = template.grid;
  // Dark pixels only: those whose variance is within 0.1 % of the least have less than 0.1 % of the sky (0.9 e⁻) of
  // starlight in them, against a noise of 30/4 e⁻, so that a difference of neighbours is noise to 1 % of its square.
  const least = template.variance.reduce((low, value) => Math.min(low, value), Infinity);
  let sum = 0, count = 0;
  for (let i = width; i < template.image.length; i += 2) {
    if (template.variance[i] > 1.001 * least || template.variance[i - 1] > 1.001 * least) continue;
    sum += (template.image[i] - template.image[i - 1]) ** 2 / (template.variance[i] + template.variance[i - 1]);
    count++;
  }
  expect(count).toBeGreaterThan(10_000);
  expect(Math.abs(sum / count - 1)).toBeLessThan(5 * Math.sqrt(2 / count) + 0.01);
});

test('truth lists variables and transients on the detector, each with the change between science and template', () => {
  const { truth } = renderExposure(SEED, camera, detector, plan);
  expect(truth.length).toBeGreaterThan(5);
  for (const row of truth) {
    expect(row.fluxNJy).toBe(row.scienceFluxNJy - row.templateFluxNJy);
    expect(row.snr).toBeGreaterThanOrEqual(0);
    expect(row.kind === 'supernova' ? row.templateFluxNJy : 0).toBe(0);
  }
});

test('a raw differs from the same sky unchanged by what truth says, within the errors that its SNR means', () => {
  const pulls: number[] = [];
  for (const index of [0, 4, 8]) {
    const described = camera.detectors[index], { width, height } = described;
    const { amps, truth } = renderExposure(SEED, camera, described, plan);
    const image = assembleRaw(readFitsBytes(encodeRaw('minicam', dayObs, described, plan, amps)), width, height);
    const conditions = conditionsOf(SEED, plan.exposure, 'r'), scale = pixelScaleArcsec(camera);
    const place = fieldPlace(camera, described);
    const psf = (x: number, y: number): ReturnType<typeof psfAt> => psfAt(conditions, scale, ...place(x, y));
    const perNJy = electronsPerNJy('r', plan.exposureSeconds, conditions.transparency);
    const unchanged = new Float32Array(width * height);
    drawScene({
      seed: SEED, band: 'r', map: detectorMap(camera, described, plan.actual), mjdTai: null, psf,
      electronsPerNJy: perNJy,
      pixelScaleArcsec: scale,
    }, unchanged);
    const { response } = detectorResponse(SEED, camera, described);
    const difference = image.map((value, i) => value / response[i] - unchanged[i]);
    for (const row of truth) {
      // Sources far from any other truth row; bright ones would test the drawing to better than their own noise.
      if (row.masked || row.snr > 100 || row.x < 30 || row.y < 30 || row.x > width - 31 || row.y > height - 31) {
        continue;
      }
      if (truth.some((other) => other !== row && Math.hypot(other.x - row.x, other.y - row.y) < 45)) continue;
      const stamp = new Float32Array(width * height);
      drawStar(stamp, width, height, row.x, row.y, perNJy, psf(row.x, row.y), 1e-4 * perNJy);
      const { level } = aperture(difference, width, row.x, row.y);
      let signal = 0, norm = 0;
      for (let i = 0; i < stamp.length; i++) {
        if (stamp[i] === 0) continue;
        const variance = Math.max(900, unchanged[i] + 900 + row.fluxNJy * stamp[i]);
        signal += (stamp[i] * (difference[i] - level)) / variance;
        norm += (stamp[i] * stamp[i]) / variance;
      }
      pulls.push((signal / norm - row.fluxNJy) / Math.abs(row.fluxNJy / row.snr));
    }
  }
  expect(pulls.length).toBeGreaterThan(20);
  const mean = pulls.reduce((sum, pull) => sum + pull, 0) / pulls.length;
  const rms = Math.sqrt(pulls.reduce((sum, pull) => sum + pull * pull, 0) / pulls.length);
  // The template's part of the noise (1/17 of the variance) is missing here; ring and bias pattern add some 2 %.
  expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(pulls.length));
  expect(Math.abs(rms - 1)).toBeLessThan(5 / Math.sqrt(2 * pulls.length) + 0.05);
});
