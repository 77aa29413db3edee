import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { listPeaks, markAboveMesh, markBytes, meshRow, subtractMesh, type Mesh } from '../../engine/kernels/mesh.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, maskOf, planeRecipes, randomOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

function meshOf({ width, height, seed }: PlaneRecipe): { mesh: Mesh; level: Float32Array; sigma: Float32Array } {
  const random = randomOf(seed ^ 77), columns = 1 + Math.floor(random() * Math.min(5, width)),
    rows = 1 + Math.floor(random() * Math.min(4, height));
  const cells = (): Float32Array => Float32Array.from({ length: columns * rows }, () => 300 * random());
  return { mesh: { columns, rows, cellWidth: width / columns, cellHeight: height / rows }, level: cells(), sigma: cells() };
}

test('a compiled mesh comes off a plane as its twin\'s does, to the last bit', () => {
  fc.assert(fc.property(planeRecipes(1, 90), (recipe) => {
    arena.reset();
    const { width, height } = recipe, expected = imageOf(recipe), plane = arena.floats(expected, 1);
    const { mesh, level } = meshOf(recipe);
    subtractMesh(expected, width, height, mesh, level);
    subtractMesh(plane, width, height, mesh, level);
    expect(firstDifference(plane, expected)).toBe(-1);
  }), { numRuns: 300 });
});

test('compiled marks above a mesh, and by bytes, are the twins\'', () => {
  fc.assert(fc.property(planeRecipes(1, 70), fc.integer({ min: 0, max: 15 }), (recipe, bit) => {
    arena.reset();
    const { width, height } = recipe, image = imageOf(recipe), expected = maskOf(recipe), mask = arena.words(expected);
    const { mesh, sigma } = meshOf(recipe), plane = arena.floats(image);
    markAboveMesh(image, width, height, mesh, sigma, 1.3, expected, 1 << bit);
    markAboveMesh(plane, width, height, mesh, sigma, 1.3, mask, 1 << bit);
    expect(firstDifference(mask, expected)).toBe(-1);
    const bytes = Uint8Array.from(image, (value) => (value > 200 ? 255 : 0));
    markBytes(bytes, expected, 1 << (15 - bit));
    markBytes(arena.bytes(bytes), mask, 1 << (15 - bit));
    expect(firstDifference(mask, expected)).toBe(-1);
  }), { numRuns: 300 });
});

test('compiled peaks above a mesh are the twin\'s, also when the list is too short for them', () => {
  fc.assert(fc.property(planeRecipes(1, 90), fc.integer({ min: 1, max: 20 }), fc.constantFrom(4, 5000),
    (recipe, border, room) => {
      arena.reset();
      const { width, height } = recipe, image = imageOf(recipe), { mesh, level } = meshOf(recipe);
      const expected = new Int32Array(room), indices = arena.ints(new Int32Array(room));
      const count = listPeaks(image, width, height, border, mesh, level, expected);
      expect(listPeaks(arena.floats(image), width, height, border, mesh, level, indices)).toBe(count);
      expect(firstDifference(indices, expected)).toBe(-1);
    }), { numRuns: 400 });
});

test('of a plateau the first pixel in reading order is the peak, and a slope has none', () => {
  const width = 12, plane = new Float32Array(width * 9), indices = new Int32Array(9);
  for (let i = 0; i < plane.length; i++) plane[i] = (i % width) * 0.01;
  for (const j of [4 * width + 5, 4 * width + 6, 5 * width + 5]) plane[j] = 7;
  const mesh = { columns: 1, rows: 1, cellWidth: width, cellHeight: 9 };
  expect(listPeaks(plane, width, 9, 1, mesh, Float32Array.of(-4), indices)).toBe(1);
  expect(indices[0]).toBe(4 * width + 5);
  expect(listPeaks(plane, width, 9, 1, mesh, Float32Array.of(7), indices)).toBe(0);
});

test('a mesh of a plane gives the plane back between and beyond its centres', () => {
  const mesh = { columns: 4, rows: 3, cellWidth: 25, cellHeight: 20 }, out = new Float32Array(100);
  const at = (x: number, y: number): number => 3 * x - 2 * y + 50;
  const cells = Float32Array.from({ length: 12 }, (_, i) => at(25 * (i % 4) + 12, 20 * Math.floor(i / 4) + 9.5));
  for (const y of [0, 7, 31, 59]) {
    meshRow(mesh, cells, y, 100, out);
    // Numbers up to 350 in single precision, summed over a few operations.
    out.forEach((value, x) => { expect(Math.abs(value - at(x, y))).toBeLessThan(2e-4); });
  }
});
