import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createEllipseSummer, type Ellipse } from '../../engine/kernels/ellipse.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

function ellipseOf(x: number, y: number, a: number, b: number, angle: number): Ellipse {
  const c = Math.cos(angle), s = Math.sin(angle);
  const xx = a * a * c * c + b * b * s * s, yy = a * a * s * s + b * b * c * c, xy = (a * a - b * b) * c * s;
  const determinant = xx * yy - xy * xy;
  return { x, y, xx, yy, cxx: yy / determinant, cyy: xx / determinant, cxy: (-2 * xy) / determinant };
}

/** A bit for each pixel that somebody holds. */
function marksOf(held: Int32Array): Uint32Array {
  const marks = new Uint32Array(Math.ceil(held.length / 32));
  held.forEach((label, i) => { if (label !== 0) marks[i >> 5] |= 1 << (i & 31); });
  return marks;
}

test('compiled sums over ellipses are the twin\'s, over edges, neighbours and bad pixels', () => {
  fc.assert(fc.property(planeRecipes(1, 60), fc.boolean(), fc.nat(0xffff), (recipe, hasVariance, badBits) => {
    arena.reset();
    const { width, height, seed } = recipe, random = randomOf(seed), image = imageOf(recipe), mask = maskOf(recipe);
    const variance = hasVariance ? image.map((value) => value * value) : null;
    const labels = Int32Array.from({ length: image.length }, () => 1 + Math.floor(4 * random()));
    const share = random(), marks = marksOf(labels.map(() => (random() < share ? 1 : 0)));
    const task = { width, height, image, variance, pixelVariance: 3, mask, badBits, marks, labels };
    const twin = createEllipseSummer(task), compiled = createEllipseSummer({
      ...task, image: arena.floats(image), variance: variance && arena.floats(variance), mask: arena.words(mask),
      marks: arena.longs(marks), labels: arena.ints(labels),
    });
    for (let k = 0; k < 5; k++) {
      const ellipse = ellipseOf(random() * width, random() * height, 1 + 3 * random(), 0.4 + random(), 6 * random());
      const radius = 0.5 + 5 * random(), label = 1 + (k % 3);
      expect(compiled(label, ellipse, radius)).toEqual(twin(label, ellipse, radius));
    }
  }), { numRuns: 200 });
});

test('an ellipse of ones has its area, and a neighbour\'s pixel is replaced by the one opposite', () => {
  const width = 41, image = new Float32Array(width * width).fill(1), labels = new Int32Array(image.length);
  const task = {
    width, height: width, image, variance: null, pixelVariance: 2, mask: new Uint16Array(image.length), badBits: 1,
    marks: marksOf(labels), labels,
  };
  const ellipse = ellipseOf(20, 20, 4, 2, 0.3), sums = createEllipseSummer(task)(1, ellipse, 3);
  // The lattice points of an ellipse of area 72 π scatter about it by a fraction of the root of its circumference.
  expect(Math.abs(sums.flux - 72 * Math.PI)).toBeLessThan(8);
  expect(sums).toMatchObject({ inside: sums.flux, replaced: 0, variance: 2 * sums.flux });
  labels[20 * width + 22] = 2;
  image[20 * width + 22] = 500;
  image[20 * width + 18] = 3;
  expect(createEllipseSummer({ ...task, marks: marksOf(labels) })(1, ellipse, 3))
    .toMatchObject({ flux: sums.flux + 4, replaced: 1 });
});
