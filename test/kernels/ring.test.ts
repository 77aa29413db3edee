import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { ringNoise } from '../../engine/kernels/ring.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiled sums over a ring are the twin\'s', () => {
  fc.assert(fc.property(planeRecipes(1, 70), fc.nat(0xffff), (recipe, ignoredBits) => {
    arena.reset();
    const { width, height, seed } = recipe, random = randomOf(seed + 1);
    const image = imageOf(recipe), mask = maskOf(recipe), variance = image.map((value) => 100 * value - 50);
    const task = { width, height, image, variance, mask, ignoredBits, scale: 0.5 + random(), limit: 4 };
    const compiled = {
      ...task, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask),
    };
    for (let k = 0; k < 5; k++) {
      const inner = 1 + 8 * random(), ring = { x: random() * width, y: random() * height, inner, outer: 2 * inner };
      expect(ringNoise(compiled, ring)).toEqual(ringNoise(task, ring));
    }
  }), { numRuns: 150 });
});

test('in white noise of its variance a ring scatters by 1, without correlation', () => {
  const width = 101, random = randomOf(7), image = new Float32Array(width * width);
  // Six uniform values of variance 1/12 each make a variance of 1/2.
  for (let j = 0; j < image.length; j++) for (let k = 0; k < 6; k++) image[j] += random() - 0.5;
  const task = {
    width, height: width, image, variance: new Float32Array(image.length).fill(0.5),
    mask: new Uint16Array(image.length), ignoredBits: 1, scale: 1, limit: 4,
  };
  const { square, count, product, pairs } = ringNoise(task, { x: 50, y: 50, inner: 20, outer: 40 });
  // Of n values the mean square scatters by √(2 / n), the mean of n products by √(1 / n).
  expect(count).toBeGreaterThan(3500);
  expect(Math.abs(square / count - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
  expect(Math.abs(product / pairs)).toBeLessThan(5 * Math.sqrt(1 / pairs));
});
