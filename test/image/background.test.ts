import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  interpolateRow, measureBackground, medianFiltered, subtractBackground, type Background, type BackgroundConfig,
} from '../../engine/image/background.ts';
import { medianInPlace, robustSigma, selectInPlace, weightedMedian } from '../../engine/image/median.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { renderField, strewnStars } from '../support/skyField.ts';
import { skyRandom } from '../support/skyRandom.ts';

const config = { cellPx: 64, clipSigma: 3, usableFractionMin: 0.2 };

function blank(seed: number, gradient: number, stars = strewnStars(1, 0, 256, 256, 1, 1)) {
  return renderField({ seed, width: 256, height: 256, fwhmPx: 4, sky: 600, readNoise: 6, stars, gradient });
}

function meanOf(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('median', () => {
  test('selectInPlace gives the k-th smallest and medianInPlace the mean of the middle two, as sorting does', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 60 }), fc.nat(59),
      (values, k) => {
      const sorted = [...values].sort((a, b) => a - b), rank = k % values.length, n = values.length;
      expect(selectInPlace(Float32Array.from(values), 0, n, rank)).toBe(sorted[rank]);
      expect(medianInPlace(Float32Array.from(values), n)).toBe((sorted[(n - 1) >> 1] + sorted[n >> 1]) / 2);
    }));
  });
  test('robustSigma passes over one wild value, weightedMedian over a light one', () => {
    expect(robustSigma([1, 2, 3, 4, 5, 6, 7, 8, 1e9])).toBeLessThan(4);
    expect(weightedMedian([1, 2, 1000], [1, 1, 0.5])).toBe(2);
  });
});

describe('background', () => {
  test('medianFiltered gives each cell the middle one of those that lie opposite each other about it, as sorting does', () => {
    const grids = fc.record({ columns: fc.integer({ min: 1, max: 7 }), rows: fc.integer({ min: 1, max: 7 }) });
    fc.assert(fc.property(grids, fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 49, maxLength: 49 }),
      ({ columns, rows }, values) => {
        const cells = Float32Array.from(values.slice(0, columns * rows)), filtered = medianFiltered(cells, columns, rows);
        for (let y = 0; y < rows; y++) {
          for (let x = 0; x < columns; x++) {
            const across = x > 0 && x + 1 < columns ? 1 : 0, along = y > 0 && y + 1 < rows ? 1 : 0, near: number[] = [];
            for (let v = y - along; v <= y + along; v++) {
              for (let u = x - across; u <= x + across; u++) near.push(cells[v * columns + u]);
            }
            expect(filtered[y * columns + x]).toBe(near.sort((a, b) => a - b)[near.length >> 1]);
          }
        }
      }));
  });

  test('a sky with a gradient is followed to its edges, to the noise of the cells', () => {
    const { image, mask, expected } = blank(11, 50);
    const background = measureBackground(image, mask, 256, 256, 0, config);
    expect(background).not.toBeNull();
    if (!background) return;
    const row = new Float32Array(256);
    // A mode 2.5 median − 1.5 mean of 4096 pixels of 25.2 e scatters by √(2.5² π/2 + 1.5² − 2 × 3.75) σ/64 = 0.84 e.
    // Extending by half a cell beyond the last centre takes 1.5 of one cell and −0.5 of the next: × 1.6 on each axis.
    const toleranceElectrons = 5 * 0.84 * 1.6 * 1.6;
    for (const y of [0, 128, 255]) {
      interpolateRow(background, background.level, y, row);
      for (const x of [0, 64, 128, 200, 255]) expect(Math.abs(row[x] - expected[y * 256
        + x])).toBeLessThan(toleranceElectrons);
    }
    expect(background.sigma[5]).toBeCloseTo(Math.sqrt(625 + 36), -1);
  });

  test('bright stars do not raise the sky: the mean error stays below 1 % of its noise a pixel times ten', () => {
    const stars = strewnStars(5, 40, 256, 256, 2e3, 5e5);
    const { image, mask } = blank(12, 0, stars);
    const background = measureBackground(image, mask, 256, 256, 0, config);
    // Wings beneath the clip remain: 40 stars' light under 3 σ, at most a few tenths of σ; the plain mean is 100 e too
    // high.
    expect(Math.abs(meanOf(background?.level ?? new Float32Array()) - 600)).toBeLessThan(0.3 * 25.2);
    expect(meanOf(image) - 600).toBeGreaterThan(50);
  });

  test('masked pixels and NaN do not count', () => {
    const { image, mask } = blank(13, 0);
    const clean = measureBackground(image, mask, 256, 256, maskBits('BAD'), config);
    for (let i = 0; i < image.length; i += 3) { image[i] = i % 2 === 0 ? NaN : 60000; mask[i] = maskBits('BAD'); }
    const spoilt = measureBackground(image, mask, 256, 256, maskBits('BAD'), config);
    expect(Math.abs(meanOf(spoilt?.level ?? new Float32Array()) - meanOf(clean?.level ?? new Float32Array()))).toBeLessThan(1.5);
  });

  test('a cell without sky takes its neighbours\' level, and an image without sky gives null', () => {
    const { image, mask } = blank(14, 0);
    for (let y = 0; y < 64; y++) for (let x = 0; x < 64; x++) image[y * 256 + x] = NaN;
    const background = measureBackground(image, mask, 256, 256, 0, config);
    expect(Math.abs((background?.level[0] ?? 0) - 600)).toBeLessThan(5);
    expect(measureBackground(image.fill(NaN), mask, 256, 256, 0, config)).toBeNull();
  });

  test('a constant image has its value as level and no noise, and subtracting leaves zero', () => {
    const image = new Float32Array(100 * 70).fill(42), mask = new Uint16Array(image.length);
    const background = measureBackground(image, mask, 100, 70, 0, config);
    expect(background?.sigma.every((value) => value === 0)).toBe(true);
    if (background) subtractBackground(image, background);
    expect(image.every((value) => Math.abs(value) < 1e-4)).toBe(true);
  });

  test('counts so coarse that most are equal still have a noise', () => {
    const image = Float32Array.from({ length: 128 * 128 }, (_, i) => (i % 10 === 0 ? 101 : 100)),
      mask = new Uint16Array(image.length);
    const background = measureBackground(image, mask, 128, 128, 0, config);
    expect(background?.sigma[0]).toBeGreaterThan(0);
  });
});

describe('a mesh that passes over bumps', () => {
  const side = 960, bumps = { ...config, bumpSigma: 5 };
  const skyAt = (x: number, y: number): number => 1000 + 0.05 * x - 0.03 * y;

  /** A sky with a gradient and noise of 10, and what is added; its light above half the noise is masked. */
  function scene(seed: number, light: (x: number, y: number) => number): { image: Float32Array; mask: Uint16Array } {
    const random = skyRandom(seed), image = new Float32Array(side * side), mask = new Uint16Array(image.length);
    for (let y = 0, i = 0; y < side; y++) {
      for (let x = 0; x < side; x++, i++) {
        const added = light(x, y);
        image[i] = skyAt(x, y) + added + 10 * random.normal();
        if (added > 5) mask[i] = 1;
      }
    }
    return { image, mask };
  }

  /** Sum of the mesh over the sky in a circle. */
  function eaten(background: Background, cx: number, cy: number, radius: number): number {
    const row = new Float32Array(side);
    let sum = 0;
    for (let y = Math.max(0, Math.ceil(cy - radius)); y <= Math.min(side - 1, cy + radius); y++) {
      interpolateRow(background, background.level, y, row);
      for (let x = 0; x < side; x++) {
        if ((x - cx) ** 2 + (y - cy) ** 2 <= radius * radius) sum += row[x] - skyAt(x, y);
      }
    }
    return sum;
  }

  function mesh({ image, mask }: ReturnType<typeof scene>, settings: BackgroundConfig): Background {
    const background = measureBackground(image, mask, side, side, 1, settings);
    if (background === null) throw new Error('no sky');
    return background;
  }

  test('leaves a large galaxy its light, of which the plain mesh eats twice as much', () => {
    // Exponential, scale length 25 px, 50 times the noise in the middle: 2π 25² 500 in all, masked to 115 px.
    const made = scene(5, (x, y) => 500 * Math.exp(-Math.hypot(x - 500, y - 470) / 25)), total = 2 * Math.PI * 25 ** 2 * 500;
    const plain = eaten(mesh(made, config), 500, 470, 150) / total, kept = eaten(mesh(made, bumps), 500, 470, 150) / total;
    expect(plain).toBeGreaterThan(2 * Math.abs(kept));
    // What is left is below the scatter of the cells, 0.6: on the circle's 70,700 px 2.2 %, and as much again for chance.
    expect(Math.abs(kept)).toBeLessThan(0.044);
  });

  test('is not lifted by faint light in a corner, and follows a gradient as the plain mesh does', () => {
    const cluster = (x: number, y: number): number => (x < 64 && y < 64 ? 4.9 : 0);
    const cornered = scene(6, cluster), empty = scene(7, () => 0);
    const corner = (background: Background): number => background.level[0] - skyAt(31.5, 31.5);
    // A mode of 4,096 pixels scatters by 0.33, a mean of three of them by 0.2.
    expect(corner(mesh(cornered, config))).toBeGreaterThan(4.9 - 4 * 0.33);
    expect(Math.abs(corner(mesh(cornered, bumps)))).toBeLessThan(1.5);
    const plain = mesh(empty, config).level, level = mesh(empty, bumps).level;
    // Hardly one of 225 cells stands five scatters high, and a cell that is taken for a bump changes nine.
    expect(level.filter((value, i) => value !== plain[i]).length).toBeLessThan(20);
  });
});
