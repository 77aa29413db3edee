/** A WCS from stars of one corner alone: known there, and at the other corners only if their places say so. */
import { expect, test } from 'vitest';
import { StageError } from '../../engine/errors.ts';
import type { ReferenceStar } from '../../engine/image/references.ts';
import { pixelToSky, separationArcsec, type Wcs } from '../../engine/image/wcs.ts';
import { fitWcs, type MeasuredStar } from '../../engine/stages/calibrate/astrometry.ts';
import { calibrateConfig } from '../../engine/stages/calibrate/config.ts';
import { skyRandom } from '../support/skyRandom.ts';

const SIDE = 4000, SCALE = 0.2 / 3600;
const nominal: Wcs = { crpix: [1999.5, 1999.5], crval: [150, -30], cd: [-SCALE, 0, 0, SCALE], sip: null };

/** Stars within a square, each axis in error by `errorPx`, and exact references of all of them. */
function patch(
  seed: number, count: number, side: number, errorPx: number,
): { stars: MeasuredStar[]; references: ReferenceStar[] } {
  const random = skyRandom(seed), places = Array.from({ length: count }, () => (
    { x: 300 + side * random.uniform(), y: 500 + side * random.uniform() }
  ));
  return {
    stars: places.map(({ x, y }, i) => ({
      x: x + errorPx * random.normal(), y: y + errorPx * random.normal(), xErr: errorPx, yErr: errorPx,
      flux: 1e6 / (i + 1), fluxErr: 10, isIsolated: true,
    })),
    references: places.map(({ x, y }, i) => ({
      ...pixelToSky(nominal, x, y), refId: `r${i}`, mag: 15 + 0.01 * i, magErr: 0.01, colourMag: null,
      raErrMas: 1, decErrMas: 1,
    })),
  };
}

function fit({ stars, references }: ReturnType<typeof patch>) {
  return fitWcs(stars, stars, references, nominal, SIDE, SIDE, calibrateConfig.astrometry);
}

test('stars of a patch of 160 px make a WCS when many and sharp, right to its error at the far corner', () => {
  const errors = [1, 2, 3, 4].map((seed) => {
    const { wcs, cornerErrorMas } = fit(patch(seed, 60, 160, 0.01)), here = pixelToSky(wcs, SIDE - 1, SIDE - 1);
    const there = pixelToSky(nominal, SIDE - 1, SIDE - 1);
    // Centroids of 0.0141 px with the floor, 2.8 mas; the corner is 3600 px away along both axes, of stars that
    // scatter by 46: × √(2 (3600 / 46)² / 60) = 14, or 40 mas.
    expect(cornerErrorMas).toBeGreaterThan(20);
    expect(cornerErrorMas).toBeLessThan(100);
    return (separationArcsec(here.raDeg, here.decDeg, there.raDeg, there.decDeg) * 1000) / cornerErrorMas;
  });
  // Errors of two axes: beyond 4 of one in 3 of 10,000.
  expect(Math.max(...errors)).toBeLessThan(4);
});

test('few stars so close together are refused by name, strewn over the detector they serve', () => {
  const code = (work: () => unknown): string => {
    try { work(); return 'none'; } catch (error) { return error instanceof StageError ? error.code : String(error); }
  };
  expect(code(() => fit(patch(5, 6, 160, 0.08)))).toBe('WCS_STARS_TOO_CLOSE');
  expect(code(() => fit(patch(5, 6, 3200, 0.08)))).toBe('none');
});
