/** Diffraction spikes of saturated stars in a difference of noise: masked where both sides show them, and only there. */
import { expect, test } from 'vitest';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { asProduct, type MaskedImage } from '../../engine/image/maskedImage.ts';
import { detectDefaults } from '../../engine/stages/detect/config.ts';
import { detectSources } from '../../engine/stages/detect/detect.ts';
import { pixelFlags } from '../../engine/stages/measure/pixelFlags.ts';
import { pairImage, pairPsf, type PairSource } from '../support/pairScene.ts';

const SIDE = 500, SIGMA = 1.9, NOISE = 10, STAR = { x: 252.3, y: 246.8 }, CORE = 8;

/** Light beside a star: its score where it is highest, and how it falls, by angle and distance. */
type Light = (angle: number, r: number, across: (angle: number) => number) => number;

/** A saturated star that bled along its column, with light around it. */
function starWith(light: Light, sources: readonly PairSource[], seed: number): MaskedImage {
  const planes = pairImage(SIDE, sources, SIGMA, NOISE, seed), unit = (NOISE * Math.SQRT2) / (2 * Math.sqrt(Math.PI) * SIGMA);
  for (let v = 0; v < SIDE; v++) {
    for (let u = 0; u < SIDE; u++) {
      const dx = u - STAR.x, dy = v - STAR.y, r = Math.hypot(dx, dy), j = v * SIDE + u;
      const across = (angle: number): number => (
        Math.exp(-((dy * Math.cos(angle) - dx * Math.sin(angle)) ** 2) / (2 * SIGMA * SIGMA)));
      planes.image[j] += unit * light(Math.atan2(dy, dx), r, across);
      if (r < CORE || (Math.abs(dx) < 1.5 && Math.abs(dy) < 40)) planes.mask[j] |= maskBits('SAT');
    }
  }
  return planes;
}

function detected(planes: MaskedImage) {
  return detectSources(asProduct('differenceImage', planes), pairPsf(SIDE, SIGMA), new Float32Array(SIDE * SIDE), detectDefaults);
}

const ANGLE = 0.5;
/** Four vanes' light, fading with the distance from a score of 12 at the core. */
const cross = (height: number): Light => (_, r, across) => (
  height * Math.exp(-r / 90) * (across(ANGLE) + across(ANGLE + Math.PI / 2)));

const placeAt = (along: number, beside: number): { x: number; y: number } => ({
  x: STAR.x + along * Math.cos(ANGLE) - beside * Math.sin(ANGLE), y: STAR.y + along * Math.sin(ANGLE) + beside * Math.cos(ANGLE),
});

test.each([12, -12])('both spikes of a cross of score %f are found, masked to their ends and no streaks', (height) => {
  const planes = starWith(cross(height), [], 3), { spikes, streaks } = detected(planes);
  expect(streaks).toHaveLength(0);
  expect(spikes.map(({ isNegative }) => isNegative)).toEqual([height < 0, height < 0]);
  const angles = spikes.map(({ angleDeg }) => angleDeg).sort((a, b) => a - b);
  // Angles are looked at every 2°.
  expect(Math.abs(angles[0] - (ANGLE * 180) / Math.PI)).toBeLessThanOrEqual(2);
  expect(Math.abs(angles[1] - 90 - (ANGLE * 180) / Math.PI)).toBeLessThanOrEqual(2);
  const isMarked = (x: number, y: number): boolean => (planes.mask[Math.round(y) * SIDE + Math.round(x)] & maskBits('SPIKE')) !== 0;
  for (let r = CORE + 4; r < 120; r += 4) {
    // To 120 px, where a score of 3 is left; 1.4 px off after that by the step of angles.
    for (const side of [r, -r]) {
      const { x, y } = placeAt(side, 0);
      expect(isMarked(x, y)).toBe(true);
      if (r > 40) expect(isMarked(placeAt(side, 18).x, placeAt(side, 18).y)).toBe(false);
    }
  }
});

test('a source on a spike is kept and suspect, one beside it is not suspect', () => {
  const flux = 30 * NOISE * Math.sqrt(4 * Math.PI) * SIGMA, on = placeAt(70, 0), beside = placeAt(70, 25);
  const planes = starWith(cross(12), [{ ...on, flux }, { ...beside, flux }], 4), { detections } = detected(planes);
  for (const [place, isSuspect] of [[on, true], [beside, false]] as const) {
    const found = detections.find(({ x, y }) => Math.hypot(x - place.x, y - place.y) < 2);
    expect(found).toBeDefined();
    expect(pixelFlags(planes, place.x, place.y, found!.footprint, false).pixelFlags_suspectCenter).toBe(isSuspect);
  }
});

test('noise, a halo, a jet to one side and light that stays with the core are no spikes', () => {
  const halo: Light = (_, r) => 200 * Math.exp(-r / 20), jet: Light = (angle, _, across) => (Math.cos(angle - ANGLE) > 0 ? 12 * across(ANGLE) : 0);
  const oblong: Light = (angle, r) => 300 * Math.exp(-r / 6) * Math.cos(2 * (angle - ANGLE)), nothing: Light = () => 0;
  for (const light of [halo, jet, oblong]) expect(detected(starWith(light, [], 5)).spikes).toHaveLength(0);
  // One star in 20,000 by the derivation of the threshold.
  for (let seed = 10; seed < 20; seed++) expect(detected(starWith(nothing, [], seed)).spikes).toHaveLength(0);
});

test('an image that is saturated all over is left alone', () => {
  const planes = pairImage(700, [], SIGMA, NOISE, 6);
  planes.mask.fill(maskBits('SAT'));
  const result = detectSources(asProduct('differenceImage', planes), pairPsf(700, SIGMA), new Float32Array(700 * 700), detectDefaults);
  expect(result.spikes).toHaveLength(0);
});
