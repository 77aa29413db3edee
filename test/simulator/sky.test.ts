import { expect, test } from 'vitest';
import { BANDS } from '../../schemas/units.ts';
import { variableFlux, type Variable } from '../../simulator/lightCurves.ts';
import { angleBetween, unitVector } from '../../simulator/projection.ts';
import { cellsOfCone, relativeFlux, skyCell, transientFlux, transientsOf } from '../../simulator/sky.ts';

const R = BANDS.indexOf('r');
const RADIANS = Math.PI / 180;

/** Everything within 0.15° of the default field. */
const CELLS = cellsOfCone(unitVector(9.45, -44.02), 0.15 * RADIANS);
const cells = CELLS.map((index) => skyCell(1, index));
const stars = cells.flatMap((cell) => cell.stars), galaxies = cells.flatMap((cell) => cell.galaxies);

/**
 * Area of one minicam detector over that of the cells: HEALPix of side 2048 has 41253 / (12 · 2048²) square degrees a
 * cell.
 */
const DETECTORS = (CELLS.length * (41252.96 / (12 * 2048 ** 2))) / (204.8 / 3600) ** 2;

/** Whether a count is what a Poisson law of that mean gives, to five standard deviations. */
function isCountOf(count: number, mean: number): boolean {
  return Math.abs(count - mean) < 5 * Math.sqrt(mean);
}

test('a detector holds about 450 stars and 200 galaxies to magnitude 25, and over 40 stars to fit a PSF on', () => {
  expect(
    isCountOf(stars.filter((star) => star.mags[R] > 16.5 && star.mags[R] < 25).length, 450 * DETECTORS),
  ).toBe(true);
  expect(isCountOf(galaxies.length, 200 * DETECTORS)).toBe(true);
  // Part of 16.5 … 21 with slope 0.2: (10^−0.8 − 10^−1.7)/(1 − 10^−1.7) = 0.1414, of 450: 64.
  expect(
    isCountOf(stars.filter((star) => star.mags[R] > 16.5 && star.mags[R] < 21).length, 63.6 * DETECTORS),
  ).toBe(true);
  expect(stars.filter((star) => star.mags[R] < 16).length / DETECTORS).toBeLessThan(3);
});

test('a cell is the same however it was reached, and another for another seed', () => {
  const other = cellsOfCone(unitVector(9.5, -44.05), 0.02 * RADIANS).filter((index) => CELLS.includes(index));
  expect(other.length).toBeGreaterThan(0);
  expect(skyCell(1, other[0])).toEqual(cells[CELLS.indexOf(other[0])]);
  expect(skyCell(2, other[0]).stars[0].place).not.toEqual(skyCell(1, other[0]).stars[0].place);
});

test('no two sources share an id, and none lies outside its cell\'s neighbourhood', () => {
  const ids = [...stars, ...galaxies].map((source) => source.id);
  expect(new Set(ids).size).toBe(ids.length);
  const far = [...stars, ...galaxies].filter(
    (source) => angleBetween(source.place, unitVector(9.45, -44.02)) > 0.22 * RADIANS,
  );
  expect(far).toEqual([]); // 0.15° and a cell's diagonal, 0.04°, on either side.
});

test('stars cover their cells evenly', () => {
  // A cone well inside: counts in it against its area.
  const inside = stars.filter((star) => angleBetween(star.place, unitVector(9.45, -44.02)) < 0.1 * RADIANS);
  const squareDegrees = Math.PI * 0.1 ** 2;
  const perSquareDegree = stars.length / (DETECTORS * (204.8 / 3600) ** 2);
  expect(isCountOf(inside.length, perSquareDegree * squareDegrees)).toBe(true);
});

test.each(['sinusoid', 'rrLyrae'] as const)('a %s has its mean flux as its mean, in every band', (shape) => {
  const variable: Variable = { shape, periodDays: 0.6, phase: 0.3, amplitude: 0.5 };
  for (const band of BANDS) {
    const count = 100_000;
    let sum = 0, low = Infinity;
    for (let i = 0; i < count; i++) {
      const flux = variableFlux(variable, band, 61_000 + ((i + 0.5) / count) * 0.6);
      sum += flux;
      low = Math.min(low, flux);
    }
    // Midpoint rule: a jump of slope costs at most 1/count² · slope.
    expect(Math.abs(sum / count - 1)).toBeLessThan(1e-4);
    expect(low).toBeGreaterThan(0);
  }
});

test('some variables are above their mean and some below', () => {
  const changes = stars.filter((star) => star.variable).map((star) => relativeFlux(star, 'r', 61_299) - 1);
  expect(changes.filter((change) => change > 0.05).length).toBeGreaterThan(5);
  expect(changes.filter((change) => change < -0.05).length).toBeGreaterThan(5);
});

test('a transient that shines tonight shines tomorrow under the same id, fainter or brighter', () => {
  const supernovae = (mjd: number): Map<bigint, number> => new Map(cells.flatMap((cell) => transientsOf(1, cell, mjd)
    .filter((t) => t.kind === 'supernova').map((t): [bigint, number] => [t.id, transientFlux(t, 'r', mjd)])));
  const tonight = supernovae(61_299), tomorrow = supernovae(61_300);
  const kept = [...tonight].filter(([id]) => tomorrow.has(id));
  expect(kept.length / tonight.size).toBeGreaterThan(0.95); // One day of 108 ends.
  // The steepest light curve, u in decline, loses 1/10 in a day; r rises by 2 · (1/18) · 18/… ≤ 0.09 of the peak.
  expect(kept.every(([id, flux]) => Math.abs((tomorrow.get(id) ?? 0) - flux) < 0.1)).toBe(true);
});

test('about half of the supernovae lie on a galaxy', () => {
  const found = cells.flatMap((cell) => transientsOf(1, cell, 61_299).filter((t) => t.kind === 'supernova'));
  const onGalaxy = found.filter(
    (t) => galaxies.some((galaxy) => angleBetween(galaxy.place, t.place) < 2.5 / 3600 * RADIANS),
  );
  // 17 galaxies a square arcminute cover 9 % of the sky by 2.5″ discs: 0.5 + 0.5 · 0.09, less hosts' outskirts (2 %).
  const expected = 0.535, sigma = Math.sqrt(expected * (1 - expected) / found.length);
  expect(Math.abs(onGalaxy.length / found.length - expected)).toBeLessThan(5 * sigma);
});
