import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { adaptiveMoments, measureShapes, type ShapePlace, type ShapesTask } from '../../engine/kernels/shapes.ts';
import { exponentialTwin } from '../../engine/kernels/twins/exponential.ts';
import { testArena, type TestArena } from './memory.ts';
import { imageOf, maskOf, planeRecipes, randomOf, varianceOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

const LIMITS = { momentIterationCountMax: 50, momentMaxPx2: 100, momentConvergence: 5e-4 };

function psfOf(size: number, width: number, height: number, sigma2: number) {
  const middle = (size - 1) / 2, n = size * size, coefficients = new Float32Array(3 * n);
  for (let j = 0; j < n; j++) {
    const r2 = ((j % size) - middle) ** 2 + (Math.floor(j / size) - middle) ** 2;
    coefficients[j] = Math.exp(-r2 / (2 * sigma2));
    coefficients[n + j] = 0.05 * Math.exp(-r2 / (3 * sigma2));
  }
  return { size, width, height, coefficients };
}

test('compiled shapes are the twin\'s, at borders, on masked pixels and beside NaN', () => {
  fc.assert(fc.property(planeRecipes(1, 50), fc.integer({ min: 2, max: 9 }), (recipe, halfSizePx) => {
    arena.reset();
    const { width, height, seed } = recipe, random = randomOf(seed + 2);
    const image = imageOf(recipe), mask = maskOf(recipe), variance = varianceOf(recipe);
    const task: ShapesTask = {
      width, height, image, variance, mask, noData: 0x100, detected: 0x20, detectedNegative: 0x40,
      psf: psfOf(13, width, height, 1 + 5 * random()), halfSizePx, radius: 2 + 6 * random(), limits: LIMITS,
      startPx2: 4, cellPx: 16, sideMin: 2, sideMax: 20,
    };
    const sources = Array.from({ length: 6 }, (): ShapePlace => {
      const x = (1.2 * random() - 0.1) * width, y = (1.2 * random() - 0.1) * height;
      const x0 = Math.floor(random() * width), y0 = Math.floor(random() * height);
      // Light for some to have a shape.
      for (let v = -4; v <= 4; v++) {
        for (let u = -4; u <= 4; u++) {
          const px = Math.round(x) + u, py = Math.round(y) + v;
          if (px < 0 || py < 0 || px >= width || py >= height) continue;
          image[py * width + px] += 3e4 * Math.exp(-((px - x) ** 2 + (py - y) ** 2) / 6);
        }
      }
      const footprint = {
        x0, y0, x1: Math.min(width, x0 + Math.ceil(25 * random())), y1: Math.min(height, y0 + Math.ceil(25 * random())),
      };
      return { x, y, sign: random() < 0.3 ? -1 : 1, footprint };
    });
    const compiled = { ...task, image: arena.floats(image), variance: arena.floats(variance), mask: arena.words(mask) };
    expect(measureShapes(compiled, sources)).toEqual(measureShapes(task, sources));
  }), { numRuns: 150 });
});

test('of an elliptical Gaussian the moments are its own, and the PSF\'s those of the PSF', () => {
  const width = 80, n = width * width, xx = 5, yy = 8, xy = 1.5, image = new Float32Array(n), determinant = xx * yy - xy * xy;
  for (let j = 0; j < n; j++) {
    const dx = (j % width) - 40.3, dy = Math.floor(j / width) - 38.8;
    image[j] = 1000 * Math.exp(-0.5 * (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / determinant);
  }
  const [{ own, ofPsf, aperture, light }] = measureShapes({
    width, height: width, image, variance: new Float32Array(n).fill(1), mask: new Uint16Array(n).fill(0x20), noData: 0x100,
    detected: 0x20, detectedNegative: 0x40, psf: psfOf(31, width, width, 4), halfSizePx: 15, radius: 15, limits: LIMITS,
    startPx2: 4, cellPx: 256, sideMin: 1, sideMax: 80,
  }, [{ x: 40.3, y: 38.8, sign: 1, footprint: { x0: 0, y0: 0, x1: width, y1: width } }]);
  // A step halves what is left, and the last was below the convergence limit: as much of the trace is left.
  const tolerance = LIMITS.momentConvergence * (xx + yy);
  expect(Math.abs(own!.xx - xx) + Math.abs(own!.yy - yy) + Math.abs(own!.xy - xy)).toBeLessThan(tolerance);
  // At the middle of the cell the second stamp adds light of 6 px², 0.05 × 1.5 × u of it, u = 2.24 there.
  expect(ofPsf!.xx).toBeGreaterThan(4);
  expect(Math.abs(aperture!.flux / (2000 * Math.PI * Math.sqrt(determinant)) - 1)).toBeLessThan(1e-3);
  expect(light.xx / light.sum - (light.x / light.sum) ** 2).toBeCloseTo(xx, 3);
});

test('without light of the source\'s sign there is no shape', () => {
  const image = new Float32Array(400).fill(-1);
  expect(adaptiveMoments(image, 20, 20, 10, 10, 1, 5, 4, LIMITS)).toBeNull();
  expect(adaptiveMoments(new Float32Array(400).fill(NaN), 20, 20, 10, 10, 1, 5, 4, LIMITS)).toBeNull();
});

test('the exponential is that of the library, to three parts in 10¹⁶', () => {
  fc.assert(fc.property(fc.double({ min: -708, max: 709, noNaN: true }), (x) => {
    // The library's is within one unit of the last place, 2.2e-16.
    expect(Math.abs(exponentialTwin(x) / Math.exp(x) - 1)).toBeLessThan(2 * 2.3e-16 + 3e-16);
  }), { numRuns: 500 });
  expect(exponentialTwin(0)).toBe(1);
  expect(exponentialTwin(-800)).toBe(0);
  expect(exponentialTwin(710)).toBe(Infinity);
  expect(exponentialTwin(NaN)).toBeNaN();
});
