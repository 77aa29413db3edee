import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createStampEquations, type StampBasis } from '../../engine/kernels/stamps.ts';
import { testArena, type TestArena } from './memory.ts';
import { finiteImageOf, firstDifference, randomOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(4 * 1024 ** 2); });

/** Gaussians times powers, as the difference stage makes them. */
function basisOf(halfSize: number, sigmas: readonly number[], degree: number): StampBasis {
  const profiles: Float64Array[] = [], functions: { x: number; y: number; scale: number; isEven: boolean }[] = [];
  for (const sigma of sigmas) {
    const first = profiles.length;
    for (let i = 0; i <= degree; i++) {
      profiles.push(Float64Array.from(
        { length: 2 * halfSize + 1 }, (_, k) => ((k - halfSize) / sigma) ** i * Math.exp(
        -0.5 * ((k - halfSize) / sigma) ** 2)));
      for (let j = 0; i + j <= degree; j++) functions.push(
        { x: first + i, y: first + j, scale: 0.3, isEven: (i | j) % 2 === 0 });
    }
  }
  return { halfSize, profiles, functions };
}

type Scene = Readonly<{
  recipe: PlaneRecipe; halfSize: number; stampHalf: number; sigmas: readonly number[]; degree: number; seed: number;
}>;

const scenes: fc.Arbitrary<Scene> = fc.record({
  recipe: fc.record({
    width: fc.integer({ min: 75, max: 90 }), height: fc.integer({ min: 75, max: 90 }), seed: fc.integer(),
    kind: fc.constantFrom('noise', 'zeros', 'spikes', 'signedZeros'), masks: fc.constant('none' as const),
  }),
  halfSize: fc.integer({ min: 0, max: 17 }), stampHalf: fc.integer({ min: 0, max: 18 }),
  sigmas: fc.array(fc.double({ min: 0.5, max: 6, noNaN: true }), { minLength: 1, maxLength: 3 }),
  degree: fc.integer({ min: 0, max: 3 }),
  seed: fc.integer(),
});

function solvedBy(scene: Scene, image: Float32Array): { matrix: Float64Array; right: Float64Array; squares: number } {
  const { recipe, halfSize, stampHalf, sigmas, degree, seed } = scene, random = randomOf(seed);
  const basis = basisOf(halfSize, sigmas, degree), n = basis.functions.length + 1, area = (2 * stampHalf + 1) ** 2;
  const weights = Float64Array.from({ length: area }, () => (random() < 0.1 ? 0 : random())),
    data = weights.map(() => 1000 * (random() - 0.5));
  const matrix = new Float64Array(n * n), right = new Float64Array(n), margin = halfSize + stampHalf;
  // A corner: the patch ends with the plane.
  const x = random() < 0.5 ? margin : recipe.width - 1 - margin,
    y = random() < 0.5 ? margin : recipe.height - 1 - margin;
  const squares = createStampEquations({ basis, image, width: recipe.width, stampHalf })(
    x, y, weights, data, matrix, right);
  return { matrix, right, squares };
}

test('the compiled stamp equations give the bits of their twin', () => {
  fc.assert(fc.property(scenes, (scene) => {
    arena.reset();
    const image = finiteImageOf(scene.recipe), expected = solvedBy(scene, image),
      solved = solvedBy(scene, arena.floats(image));
    expect(firstDifference(solved.matrix, expected.matrix)).toBe(-1);
    expect(firstDifference(solved.right, expected.right)).toBe(-1);
    expect(solved.squares).toBe(expected.squares);
  }), { numRuns: 60 });
});

test('what lies beside the patch does not enter, NaN included', () => {
  arena.reset();
  const scene: Scene = {
    recipe: { width: 80, height: 80, seed: 1, kind: 'noise', masks: 'none' }, halfSize: 3, stampHalf: 4, sigmas: [1],
      degree: 1, seed: 2,
  };
  const image = finiteImageOf(scene.recipe), basis = basisOf(3, [1], 1), spoiled = image.slice();
  for (let j = 0; j < spoiled.length; j++) if (
    Math.abs((j % 80) - 40) > 7 || Math.abs(Math.floor(j / 80) - 40) > 7) spoiled[j] = NaN;
  const weights = new Float64Array(81).fill(1), data = new Float64Array(81).fill(2), n = basis.functions.length + 1;
  const [a, b] = [image, spoiled].map((plane) => {
    const matrix = new Float64Array(n * n);
    createStampEquations({ basis, image: arena.floats(plane), width: 80, stampHalf: 4 })(
      40, 40, weights, data, matrix, new Float64Array(n));
    return matrix;
  });
  expect(firstDifference(a, b)).toBe(-1);
});

test('the equations are those of the image convolved with each function', () => {
  const basis = basisOf(2, [1], 1), width = 20, random = randomOf(3),
    image = Float32Array.from({ length: 400 }, () => random());
  const stampHalf = 2, n = basis.functions.length + 1, weights = new Float64Array(25), data = new Float64Array(25);
  weights.fill(2);
  weights[7] = 0;
  data.fill(0.5);
  const matrix = new Float64Array(n * n), right = new Float64Array(n);
  const squares = createStampEquations({ basis, image, width, stampHalf })(9, 11, weights, data, matrix, right);
  // Function 0 is Gaussian × Gaussian; no other is even.
  const vectors = [...basis.functions.map(({ x, y, scale }) => Array.from({ length: 25 }, (_, j) => {
    let sum = 0;
    for (let v = -2; v <= 2; v++) {
      for (let u = -2; u <= 2; u++) {
        sum += basis.profiles[x][u + 2] * basis.profiles[y][v + 2] * scale * image[
          (11 - 2 + Math.floor(j / 5) - v) * width + 9 - 2 + (j % 5) - u];
      }
    }
    return sum;
  })), new Array<number>(25).fill(1)];
  for (let a = 0; a < n; a++) {
    // A vector's pixel sums 25 products of at most 1 in single precision; 24 pixels of weight 2 enter.
    const tolerance = 24 * 2 * 28 * 2 ** -23;
    expect(Math.abs(right[a] - vectors[a].reduce(
      (sum, value, j) => sum + weights[j] * value * data[j], 0))).toBeLessThan(tolerance);
    for (let b = 0; b < n; b++) {
      const product = vectors[a].reduce((sum, value, j) => sum + weights[j] * value * vectors[b][j], 0);
      expect(Math.abs(matrix[a * n + b] - product)).toBeLessThan(tolerance);
    }
  }
  expect(squares).toBeCloseTo(24 * 2 * 0.25, 12);
});
