import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  convolveByCell, convolveConstant, convolvePolynomial, type VaryingKernel,
} from '../../engine/kernels/convolve.ts';
import { testArena, type TestArena } from './memory.ts';
import { finiteImageOf, firstDifference, imageOf, maskOf, planeRecipes, randomOf, varianceOf, type PlaneRecipe } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(8 * 1024 ** 2); });

const DEGREES = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]] as const;
/** Sides below, at and above a tile's, and kernels of both tile sizes. */
const recipes = planeRecipes(1, 230);
const sizes = fc.constantFrom(1, 3, 21, 31, 35, 51, 53, 101);

function kernelOf(size: number, seed: number): Float32Array {
  const random = randomOf(seed);
  return Float32Array.from({ length: size * size }, () => random() - 0.3);
}

/** Three kernels with weights of either sign that change with the place. */
function varying(size: number): VaryingKernel {
  return {
    terms: [1, 2, 3].map((seed) => kernelOf(size, seed)),
    weightsAt: (x, y, out) => { out.set([1, Math.sin(x / 50), Math.sin(y / 70) - 0.3]); },
  };
}

describe('tile convolutions give the bits of their twins', () => {
  const check = (convolve: (plane: Float32Array, out: Float32Array) => void, recipe: PlaneRecipe): void => {
    arena.reset();
    const image = finiteImageOf(recipe), expected = new Float32Array(image.length).fill(-77);
    convolve(image, expected);
    const out = arena.floats(new Float32Array(image.length + 1).fill(-77));
    convolve(arena.floats(image), out.subarray(0, image.length));
    expect(firstDifference(out.subarray(0, image.length), expected)).toBe(-1);
    expect(out[image.length]).toBe(-77);
  };

  test('convolveByCell', () => {
    fc.assert(fc.property(recipes, sizes, (recipe, size) => {
      check((plane, out) => {
        convolveByCell(plane, recipe.width, recipe.height, size, varying(size), out);
      }, recipe);
    }), { numRuns: 40 });
  });

  test('convolveByCell of usable pixels, weighed or not', () => {
    fc.assert(fc.property(recipes, fc.constantFrom(3, 31), fc.nat(0xffff), fc.boolean(), (recipe, size, bits, isWeighed) => {
      arena.reset();
      const image = imageOf(recipe), variance = varianceOf(recipe), mask = maskOf(recipe);
      const convolved = (at: <T extends Float32Array | Uint16Array>(values: T) => T): Float32Array => {
        const out = at(new Float32Array(image.length));
        convolveByCell(at(image), recipe.width, recipe.height, size, varying(size), out,
          { mask: at(mask), bits, variance: isWeighed ? at(variance) : null });
        return out;
      };
      const shared = <T extends Float32Array | Uint16Array>(values: T): T => (
        // One of the two, as `values` is.
        values instanceof Float32Array ? arena.floats(values) : arena.words(values)) as T;
      expect(firstDifference(convolved(shared), convolved((values) => values))).toBe(-1);
    }), { numRuns: 40 });
  });

  test('convolvePolynomial', () => {
    fc.assert(fc.property(recipes, sizes, fc.constantFrom(1, 3, 6), (recipe, size, terms) => {
      const kernels = Array.from({ length: terms }, (_, s) => kernelOf(size, s));
      check((plane, out) => {
        convolvePolynomial(plane, recipe.width, recipe.height, size, kernels, DEGREES.slice(0, terms), out);
      }, recipe);
    }), { numRuns: 30 });
  });
});

/** Σ_d kernel(d) plane(x − d) in double precision. */
function directSum(
  plane: Float32Array, width: number, height: number, kernel: Float32Array, size: number, x: number, y: number,
): number {
  const half = (size - 1) / 2;
  let sum = 0;
  for (let v = -half; v <= half; v++) {
    for (let u = -half; u <= half; u++) {
      if (x - u < 0 || x - u >= width || y - v < 0 || y - v >= height) continue;
      sum += kernel[(v + half) * size + u + half] * plane[(y - v) * width + x - u];
    }
  }
  return sum;
}

/**
 * Rounding of a radix-4 transform of n² points grows with the number of passes; 14 passes there and back at 2^-24 each,
 * times the norms of kernel and tile, bound the error of a pixel generously.
 */
function tolerance(plane: Float32Array, kernel: Float32Array): number {
  const norm = (values: Float32Array) => Math.hypot(...values);
  return 3 * 14 * 2 ** -24 * norm(kernel) * norm(plane);
}

test.each([[7, 150, 131], [31, 300, 250], [61, 260, 100]])(
  'a kernel of side %i convolves as the direct sum, up to the rounding of single precision, borders and seams included',
  (size, width, height) => {
    const recipe: PlaneRecipe = { width, height, seed: 5, kind: 'noise', masks: 'none' };
    const plane = finiteImageOf(recipe), kernel = kernelOf(size, 9), out = new Float32Array(plane.length);
    convolveConstant(plane, width, height, size, kernel, out);
    const limit = tolerance(plane, kernel);
    for (let y = 0; y < height; y += 13) {
      for (let x = 0; x < width; x += 11) {
        expect(Math.abs(out[y * width + x] - directSum(plane, width, height, kernel, size, x, y))).toBeLessThan(limit);
      }
    }
  });

test('a kernel that does not vary gives the same bits by cell and everywhere', () => {
  const recipe: PlaneRecipe = { width: 200, height: 220, seed: 6, kind: 'noise', masks: 'none' }, size = 21;
  const { width, height } = recipe, plane = finiteImageOf(recipe), kernel = kernelOf(size, 7);
  const byCell = new Float32Array(plane.length), constant = new Float32Array(plane.length);
  convolveByCell(plane, width, height, size, { terms: [kernel], weightsAt: (_x, _y, out) => { out[0] = 1; } }, byCell);
  convolveConstant(plane, width, height, size, kernel, constant);
  expect(firstDifference(byCell, constant)).toBe(-1);
});

test('convolvePolynomial weighs each kernel with its term at the pixel written', () => {
  const recipe: PlaneRecipe = { width: 60, height: 130, seed: 8, kind: 'noise', masks: 'none' };
  const { width, height } = recipe, plane = finiteImageOf(recipe), size = 9, out = new Float32Array(plane.length);
  const kernels = DEGREES.map((_, s) => kernelOf(size, 100 + s));
  convolvePolynomial(plane, width, height, size, kernels, DEGREES, out);
  const limit = kernels.reduce((sum, kernel) => sum + tolerance(plane, kernel), 0);
  for (let y = 0; y < height; y += 3) {
    for (let x = 0; x < width; x += 3) {
      const u = (2 * x) / (width - 1) - 1, v = (2 * y) / (height - 1) - 1;
      const sum = kernels.reduce((total, kernel, s) => total
        + u ** DEGREES[s][0] * v ** DEGREES[s][1] * directSum(plane, width, height, kernel, size, x, y), 0);
      expect(Math.abs(out[y * width + x] - sum)).toBeLessThan(limit);
    }
  }
});

test('a single bright pixel becomes the kernel, right way round', () => {
  const width = 40, height = 30, plane = new Float32Array(width * height), out = new Float32Array(width * height);
  plane[12 * width + 20] = 1;
  const kernel = kernelOf(5, 3);
  convolveConstant(plane, width, height, 5, kernel, out);
  for (let v = 0; v < 5; v++) {
    for (let u = 0; u < 5; u++) expect(out[(10 + v) * width + 18 + u]).toBeCloseTo(kernel[v * 5 + u], 6);
  }
});

test('even and too large kernels are refused', () => {
  const plane = new Float32Array(4), out = new Float32Array(4);
  expect(() => { convolveConstant(plane, 2, 2, 4, new Float32Array(16), out); }).toThrow('kernel size 4');
  expect(() => { convolveConstant(plane, 2, 2, 103, new Float32Array(103 ** 2), out); }).toThrow('kernel size 103');
});
