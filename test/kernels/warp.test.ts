import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { createWarp, type WarpBits, type WarpPlanes } from '../../engine/kernels/warp.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf, varianceOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(4 * 1024 ** 2); });

const BITS: WarpBits = { noData: 0x0100, carried: 0x4001, moved: [[0x0002, 0x0200], [0x1000, 0x2000]] };
const PHASES = 64;

function planesOf(recipe: PlaneRecipe): WarpPlanes {
  return { width: recipe.width, height: recipe.height, image: imageOf(recipe), variance: varianceOf(recipe),
    mask: maskOf(recipe) };
}

function emptyPlanes(width: number, height: number): WarpPlanes {
  const n = width * height;
  return { width, height, image: new Float32Array(n).fill(-77), variance: new Float32Array(n).fill(-77),
    mask: new Uint16Array(n).fill(77) };
}

function shared({ width, height, image, variance, mask }: WarpPlanes): WarpPlanes {
  return { width, height, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask) };
}

/** Near the identity, turned upside down, strongly magnified, and not finite. */
const affines = fc.oneof(
  fc.record({
    tx: fc.double({ min: -9, max: 60, noNaN: true }), ty: fc.double({ min: -9, max: 60, noNaN: true }),
    xx: fc.double({ min: -2, max: 2, noNaN: true }), xy: fc.double({ min: -0.5, max: 0.5, noNaN: true }),
    yx: fc.double({ min: -0.5, max: 0.5, noNaN: true }), yy: fc.double({ min: -2, max: 2, noNaN: true }),
  }),
  fc.record({ tx: fc.integer({ min: -4, max: 9 }), ty: fc.constant(3), xx: fc.constant(1), xy: fc.constant(0),
  yx: fc.constant(0), yy: fc.constant(1) }),
  // Shifted alone, by parts of a pixel too.
  fc.record({ tx: fc.double({ min: -9, max: 60, noNaN: true }), ty: fc.double({ min: -9, max: 60, noNaN: true }),
    xx: fc.constant(1), xy: fc.constant(0), yx: fc.constant(0), yy: fc.constant(1) }),
  fc.constantFrom(NaN, Infinity, -1e300).map((tx) => ({ tx, ty: 5, xx: 1, xy: 0, yx: 0, yy: 1 })),
);

describe('the compiled warp gives the bits of its twin', () => {
  test.each([3, 4, 5])('half width %i', (halfWidth) => {
    const random = randomOf(halfWidth), taps = Float64Array.from(
      { length: (PHASES + 1) * 2 * halfWidth }, () => random() - 0.3);
    fc.assert(fc.property(planeRecipes(1, 70), affines, affines, fc.nat(20), (recipe, left, right, y0) => {
      arena.reset();
      const from = planesOf(recipe), expected = emptyPlanes(50, 40), out = shared(expected),
        task = { taps, halfWidth, phases: PHASES, bits: BITS };
      // The second cell is narrower than the first, and not a multiple of a vector.
      const covered = createWarp({ ...task, from, out: expected })([left, right], 27, y0, 40);
      expect(createWarp({ ...task, from: shared(from), out })([left, right], 27, y0, 40)).toBe(covered);
      expect(firstDifference(out.image, expected.image)).toBe(-1);
      expect(firstDifference(out.variance, expected.variance)).toBe(-1);
      expect(firstDifference(out.mask, expected.mask)).toBe(-1);
    }), { numRuns: 100 });
  });
});

/** A source so large that cells lie well within it, as whole images have most of theirs. */
const largeRecipes = planeRecipes(70, 70).map(
  (recipe) => ({ ...recipe, width: recipe.width + 50, height: recipe.height + 40 }));

test.each([3, 4])('cells that are turned a little give the bits of the twin, half width %i', (halfWidth) => {
  const random = randomOf(halfWidth), taps = Float64Array.from(
    { length: (PHASES + 1) * 2 * halfWidth }, () => random() - 0.3);
  // Not doubles, most of which are next to nothing.
  const angles = fc.integer({ min: -200, max: 200 }).map((n) => n / 1000);
  const scales = fc.constantFrom(1, 1.0001, 0.9997, 1.002);
  const places = fc.integer({ min: 6000, max: 24_000 }).map((n) => n / 1000);
  fc.assert(fc.property(largeRecipes, angles, scales, places, places, fc.nat(12), (recipe, angle, scale, tx, ty, y0) => {
    arena.reset();
    const from = planesOf(recipe), expected = emptyPlanes(56, 44), out = shared(expected);
    const c = scale * Math.cos(angle), s = scale * Math.sin(angle), task = { taps, halfWidth, phases: PHASES, bits: BITS };
    const cells = [0, 32].map(
      (x) => ({ tx: tx + 20 * Math.abs(s) + c * x, ty: ty + 12 + s * x, xx: c, xy: -s, yx: s, yy: c }));
    const covered = createWarp({ ...task, from, out: expected })(cells, 32, y0, 44);
    expect(createWarp({ ...task, from: shared(from), out })(cells, 32, y0, 44)).toBe(covered);
    expect(firstDifference(out.image, expected.image)).toBe(-1);
    expect(firstDifference(out.variance, expected.variance)).toBe(-1);
    expect(firstDifference(out.mask, expected.mask)).toBe(-1);
  }), { numRuns: 150 });
});

/** Linear interpolation as taps: exact for any plane that is linear. */
function linearTaps(): Float64Array {
  return Float64Array.from({ length: (PHASES + 1) * 8 }, (_, i) => {
    const phase = Math.floor(i / 8) / PHASES;
    return i % 8 === 3 ? 1 - phase : i % 8 === 4 ? phase : 0;
  });
}

test('a plane that is linear is found again at the mapped position, times the area ratio', () => {
  arena.reset();
  const width = 60, height = 50, valueAt = (x: number, y: number) => 3 + 2 * x - y, from = emptyPlanes(width, height);
  for (let j = 0; j < from.image.length; j++) from.image[j] = valueAt(j % width, Math.floor(j / width));
  from.variance.fill(2);
  from.mask.fill(0);
  from.mask[20 * width + 20] = 0x0002 | 0x0400;
  // Steps of 1/64 px fall on phases exactly.
  const affine = { tx: 10.25, ty: 9.5, xx: 0.5, xy: 0.25, yx: -0.25, yy: 0.5 }, area = 0.5 * 0.5 + 0.25 * 0.25;
  const out = shared(emptyPlanes(30, 30));
  const covered = createWarp({ from: shared(from), out, taps: linearTaps(), halfWidth: 4, phases: PHASES, bits: BITS })(
    [affine], 30, 0, 30);
  let flagged = 0;
  for (let j = 0; j < out.image.length; j++) {
    const x = 10.25 + 0.5 * (j % 30) + 0.25 * Math.floor(j / 30), y = 9.5 - 0.25 * (j % 30) + 0.5 * Math.floor(j / 30);
    if (!(Math.floor(y) >= 3 && Math.floor(y) + 4 < height)) { expect(out.mask[j]).toBe(0x0100); continue; }
    expect(out.image[j]).toBeCloseTo(valueAt(x, y) * area, 4);
    expect(out.variance[j]).toBeCloseTo(2 * area, 6);
    const isBeside = Math.abs(Math.floor(x) + 0.5 - 20) < 1 && Math.abs(Math.floor(y) + 0.5 - 20) < 1;
    expect(out.mask[j]).toBe(isBeside ? 0x0200 : 0);
    if (isBeside) flagged++;
  }
  expect(flagged).toBeGreaterThan(0);
  expect(covered).toBe(out.mask.filter((bits) => bits !== 0x0100).length);
});
