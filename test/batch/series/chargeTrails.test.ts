import { expect, test } from 'vitest';
import { markChargeTrails } from '../../../engine/batch/series/chargeTrails.ts';
import { maskBits } from '../../../engine/image/maskPlanes.ts';
import { pairImage, pairStars } from '../../support/pairScene.ts';

const SIDE = 300, SIGMA = 1.9, NOISE = 15, SAT = maskBits('SAT'), STAR = { x: 150, y: 120 };

/** A crowded field with a saturated star, and its charge along its row from 8 px right of it on. */
function frame(trailLengthPx: number, levelSigma: number) {
  const planes = pairImage(SIDE, [...pairStars(7, SIDE, 60, 2000, 20_000), { ...STAR, flux: 2e6 }], SIGMA, NOISE, 5);
  for (let n = 0; n < trailLengthPx; n++) {
    for (const [row, share] of [[-1, 0.6], [0, 1], [1, 0.6]] as const) {
      planes.image[(STAR.y + row) * SIDE + STAR.x + 8 + n] += share * levelSigma * NOISE;
    }
  }
  for (let v = -4; v <= 4; v++) for (let u = -4; u <= 4; u++) planes.mask[(STAR.y + v) * SIDE + STAR.x + u] |= SAT;
  const rows = markChargeTrails(planes);
  const masked = (from: number, to: number): number => {
    let count = 0;
    for (let x = from; x < to; x++) if ((planes.mask[STAR.y * SIDE + x] & SAT) !== 0) count++;
    return count / (to - from);
  };
  return { rows, masked, all: planes.mask.filter((bits) => (bits & SAT) !== 0).length };
}

test('the row that a saturated star trails along is masked as far as it trails, on that side alone', () => {
  const { rows, masked, all } = frame(80, 3);
  expect(rows).toBeGreaterThan(0);
  // The trail's last window is bright in part.
  expect(masked(STAR.x + 5, STAR.x + 80)).toBe(1);
  // A window is 16 px, and one more may pass where a neighbour lies.
  expect(masked(STAR.x + 130, SIDE)).toBe(0);
  expect(masked(0, STAR.x - 5)).toBe(0);
  // The star's 81 pixels and seven rows of 112 at most.
  expect(all).toBeLessThan(81 + 9 * 112);
});

test('a star that does not trail, among many neighbours, masks nothing more', () => {
  expect(frame(0, 0)).toMatchObject({ rows: 0, all: 81 });
});
