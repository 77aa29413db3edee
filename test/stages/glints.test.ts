import { expect, test } from 'vitest';
import { measureDefaults } from '../../engine/stages/measure/config.ts';
import { findGlints, type Glintable } from '../../engine/stages/measure/glints.ts';
import { skyRandom } from '../support/skyRandom.ts';

const SIDE = 4096, POINT = { isNegative: false, centroid_flag: false, isDipole: false, trailLength: null };

function field(seed: number, count: number, side = SIDE): Glintable[] {
  const { uniform } = skyRandom(seed);
  return Array.from({ length: count }, () => ({ ...POINT, x: uniform() * side, y: uniform() * side }));
}

/** Flashes at even times along a line, with centroids that scatter. */
function flashes(seed: number, count: number, angle: number, spacing: number, scatter = 0.3): Glintable[] {
  const { normal } = skyRandom(seed);
  return Array.from({ length: count }, (_, k) => ({
    ...POINT, x: 2000 + k * spacing * Math.cos(angle) + scatter * normal(),
    y: 1500 + k * spacing * Math.sin(angle) + scatter * normal(),
  }));
}

const found = (sources: readonly Glintable[], side = SIDE) => findGlints(sources, side, side, measureDefaults);

test.each([0, 0.3, 1.1, Math.PI / 2, 2.6])('seven flashes at an angle of %f are found among 300 sources, and no other', (angle) => {
  const others = field(3, 300), trail = flashes(4, 7, angle, 80);
  const flags = found([...others.slice(0, 150), ...trail, ...others.slice(150)]);
  expect(flags.slice(150, 157)).toEqual(trail.map(() => true));
  expect(flags.filter((flag) => flag === true)).toHaveLength(7);
});

test('random fields, sparse and dense, have no glint trails', () => {
  let flagged = 0;
  for (let seed = 0; seed < 60; seed++) {
    flagged += found(field(100 + seed, 40 + 4 * seed)).filter((flag) => flag === true).length;
    flagged += found(field(500 + seed, 25, 1024), 1024).filter((flag) => flag === true).length;
  }
  // 120 fields of a chance of 1e-3 each: one is seen in one run of eight, and four points are a trail at the least.
  expect(flagged).toBeLessThanOrEqual(4);
});

test('sources that are crowded about a residual are not a line of flashes', () => {
  const { uniform } = skyRandom(9);
  const cluster = Array.from({ length: 12 }, () => ({ ...POINT, x: 2000 + 25 * uniform(), y: 2000 + 25 * uniform() }));
  expect(found([...field(10, 200), ...cluster]).filter((flag) => flag === true)).toHaveLength(0);
});

test('negative sources, dipoles and trails are no flashes', () => {
  const trail = flashes(5, 7, 0.7, 60);
  for (const other of [{ isNegative: true }, { isDipole: true }, { trailLength: 4 }, { centroid_flag: true }]) {
    const flags = found([...field(6, 100), ...trail.map((source) => ({ ...source, ...other }))]);
    expect(flags.filter((flag) => flag === true)).toHaveLength(0);
  }
});

test('more sources than are looked through are not judged', () => {
  expect(new Set(found(field(7, measureDefaults.glintSourcesMax + 1)))).toEqual(new Set([null]));
});
