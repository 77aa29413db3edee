import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { meshRow, subtractMesh, type MeshCells } from '../../engine/kernels/mesh.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, imageOf, planeRecipes, randomOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

function meshOf({ width, height, seed }: PlaneRecipe): MeshCells {
  const random = randomOf(seed ^ 77), columns = 1 + Math.floor(random() * Math.min(5, width)),
    rows = 1 + Math.floor(random() * Math.min(4, height));
  return {
    columns, rows, cellWidth: width / columns, cellHeight: height / rows,
    cells: Float32Array.from({ length: columns * rows }, () => 300 * random()),
  };
}

test('a compiled mesh comes off rows of a plane as its twin\'s does, to the last bit, in place or not', () => {
  fc.assert(fc.property(planeRecipes(1, 90), fc.boolean(), (recipe, isInPlace) => {
    arena.reset();
    const { width, height } = recipe, expected = imageOf(recipe), plane = arena.floats(expected, 1);
    const random = randomOf(recipe.seed), y0 = Math.floor(random() * height);
    const y1 = y0 + Math.floor(random() * (height - y0 + 1)), mesh = meshOf(recipe);
    const to = isInPlace ? plane : arena.floats(expected);
    subtractMesh(expected, width, y0, y1, mesh);
    subtractMesh(plane, width, y0, y1, mesh, to);
    expect(firstDifference(to, expected)).toBe(-1);
  }), { numRuns: 300 });
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
