import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import { extractDefaults } from '../../engine/stages/extract/config.ts';
import { extractSources, SOURCE_FLAGS, type Extraction } from '../../engine/stages/extract/extract.ts';
import { measureMoments } from '../../engine/stages/extract/moments.ts';
import { skyRandom } from '../support/skyRandom.ts';

type Blob = Readonly<{ x: number; y: number; flux: number; a: number; b?: number; thetaDeg?: number }>;
type Scene = Readonly<{ width: number; height: number; image: Float32Array; mask: Uint16Array }>;

const SKY = 1000, NOISE = 10;

/** Gaussians on a level sky with normal noise. */
function scene(seed: number, blobs: readonly Blob[], width = 200, height = 160, noise = NOISE): Scene {
  const random = skyRandom(seed), image = Float32Array.from({ length: width * height }, () => SKY + noise * random.normal());
  for (const { x, y, flux, a, b = a, thetaDeg = 0 } of blobs) {
    const cos = Math.cos((thetaDeg * Math.PI) / 180), sin = Math.sin((thetaDeg * Math.PI) / 180);
    for (let v = 0; v < height; v++) {
      for (let u = 0; u < width; u++) {
        const along = (cos * (u - x) + sin * (v - y)) / a, across = (cos * (v - y) - sin * (u - x)) / b;
        image[v * width + u] += (flux / (2 * Math.PI * a * b)) * Math.exp(-(along ** 2 + across ** 2) / 2);
      }
    }
  }
  return { width, height, image, mask: new Uint16Array(width * height) };
}

function extract(
  { width, height, image, mask }: Scene, saturation: number | null = null, thresholdSigma = 5,
): Extraction {
  const length = width * height;
  return extractSources(
    { width, height, image, mask, variance: null }, { gain: null, saturation }, { ...extractDefaults, thresholdSigma },
    { light: new Float32Array(length), labels: new Int32Array(length) },
  );
}

describe('extractSources', () => {
  test('places a bright source to its noise and holds 94 to 100 % of its light', () => {
    const star = { x: 90.3, y: 70.8, flux: 1e5, a: 2 };
    const { sources } = extract(scene(1, [star]));
    expect(sources).toHaveLength(1);
    // σ of a barycentre over about 90 pixels at rms 10: √(Σ r²) 10 / 1e5 = √(90 × 15) × 1e-4 = 0.004 px; 5 σ.
    expect(Math.hypot(sources[0].x - star.x, sources[0].y - star.y)).toBeLessThan(0.02);
    // Kron (1980): 2.5 first moments hold more than 94 % of a Gaussian. Noise of 200 pixels: 10 √200 = 0.14 %.
    expect(sources[0].flux / star.flux).toBeGreaterThan(0.94 - 5 * 0.0014);
    expect(sources[0].flux / star.flux).toBeLessThan(1 + 5 * 0.0014);
    expect(sources[0].flags).toBe(0);
  });

  test('the error of a flux is what the flux scatters by', () => {
    const errors: number[] = [], fluxes: number[] = [];
    for (let seed = 0; seed < 60; seed++) {
      const { sources: [source] } = extract(scene(seed, [{ x: 60, y: 60, flux: 2e4, a: 2 }], 128, 128));
      fluxes.push(source.flux);
      errors.push(source.fluxErr);
    }
    const mean = fluxes.reduce((sum, flux) => sum + flux, 0) / fluxes.length;
    const scatter = Math.sqrt(fluxes.reduce((sum, flux) => sum + (flux - mean) ** 2, 0) / (fluxes.length - 1));
    const usual = errors.sort((p, q) => p - q)[30];
    // A standard deviation of 60 values is good to 1/√118 = 9 %. The background and the aperture's size scatter too.
    expect(scatter / usual).toBeGreaterThan(1 - 4 * 0.092);
    expect(scatter / usual).toBeLessThan(1.2 * (1 + 4 * 0.092));
  });

  test('tells axes and angle of an ellipse, the angle from +x towards +y', () => {
    const { sources: [source] } = extract(scene(2, [{ x: 100, y: 80, flux: 4e5, a: 5, b: 2.5, thetaDeg: 30 }]));
    // Outlines cut the wings off, more along b: within 25 %; the filter adds half a pixel squared to each axis.
    expect(source.a).toBeGreaterThan(0.75 * 5);
    expect(source.a).toBeLessThan(5.1);
    expect(source.a / source.b).toBeGreaterThan(1.6);
    expect(source.thetaDeg).toBeCloseTo(30, 0);
  });

  test('parts two stars 3 FWHM-sigmas apart, marks them, and gives each its own light', () => {
    const pair = [{ x: 90, y: 80, flux: 1e5, a: 1.5 }, { x: 97, y: 81, flux: 5e4, a: 1.5 }];
    const { sources, footprintCount } = extract(scene(3, pair));
    expect(footprintCount).toBe(1);
    expect(sources).toHaveLength(2);
    for (const [i, source] of [...sources].sort((p, q) => p.x - q.x).entries()) {
      expect(Math.hypot(source.x - pair[i].x, source.y - pair[i].y)).toBeLessThan(0.25);
      expect(source.flags & SOURCE_FLAGS.blended).toBe(SOURCE_FLAGS.blended);
      // The pixels between them are the brighter one's or the other's as a whole.
      expect(Math.abs(source.flux / pair[i].flux - 1)).toBeLessThan(0.15);
    }
  });

  test('noise alone gives no source at 5 rms, and pixels without a value give none at all', () => {
    const empty = scene(4, [], 257, 131);
    for (let i = 0; i < empty.image.length; i += 7) {
      if (i % 2) empty.image[i] = NaN;
      else { empty.image[i] = 1e6; empty.mask[i] = maskBits('BAD'); }
    }
    const { sources, backgroundRms } = extract(empty);
    expect(sources).toHaveLength(0);
    // A scatter over 25,000 pixels is good to 0.5 %, clipping at 3 σ takes 1.3 % off.
    expect(backgroundRms / NOISE).toBeGreaterThan(0.96);
    expect(backgroundRms / NOISE).toBeLessThan(1.02);
  });

  test('a pixel of 30 rms is no source, one of 60 rms is: the filter then lifts its four neighbours over 5 rms', () => {
    // Filtered: a quarter of it in its place, an eighth on its sides, with a noise of 0.375: 3.75 and 7.5 against 5.
    for (const [height, expected] of [[30, []], [60, [5]]] as const) {
      const hot = scene(5, []);
      hot.image[80 * hot.width + 100] = SKY + height * NOISE;
      expect(extract(hot).sources.map(({ pixelCount }) => pixelCount)).toEqual(expected);
    }
  });

  test('flags saturation, an outline at the border, and an aperture beyond it', () => {
    const { sources } = extract(scene(6, [{ x: 0, y: 80, flux: 1e5, a: 2 }, { x: 150, y: 80, flux: 1e5, a: 2 }]), SKY + 2500);
    expect(sources.find(({ x }) => x < 10)?.flags)
      .toBe(SOURCE_FLAGS.saturated | SOURCE_FLAGS.truncated | SOURCE_FLAGS.incomplete);
    expect(sources.find(({ x }) => x > 100)?.flags).toBe(SOURCE_FLAGS.saturated);
  });

  test('a shifted image gives the same sources, shifted', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 }), (dx, dy) => {
      const blob = { x: 60.4, y: 60.7, flux: 1e5, a: 2 };
      const at = extract(scene(7, [blob], 130, 130, 1)).sources[0];
      const moved = extract(scene(7, [{ ...blob, x: blob.x + dx, y: blob.y + dy }], 130, 130, 1)).sources[0];
      // Noise 1 on 1e5: barycentres to 0.0005 px. The threshold lies in the noise of the mesh.
      expect(Math.abs(moved.x - at.x - dx) + Math.abs(moved.y - at.y - dy)).toBeLessThan(0.01);
      expect(moved.flux / at.flux).toBeCloseTo(1, 2);
    }), { numRuns: 10 });
  });

  test.each([
    ['a constant image', () => 7, 'IMAGE_CONSTANT'], ['an image of NaN', () => NaN, 'BACKGROUND_UNKNOWN'],
  ])('%s is refused', (_what, value, code) => {
    const image = Float32Array.from({ length: 64 * 64 }, value);
    expect(() => extract({ width: 64, height: 64, image, mask: new Uint16Array(64 * 64) }))
      .toThrow(expect.objectContaining({ code }));
  });
});

test('moments do not depend on the order of pixels, nor on where the image begins', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 6, maxLength: 25 }), (values) => {
    const place = (width: number, x0: number, y0: number) => {
      const indices = values.map((_, k) => (y0 + Math.floor(k / 5)) * width + x0 + (k % 5));
      return { width, indices, values: [...values] };
    };
    const near = place(5, 0, 0), far = place(4000, 3990, 50);
    const momentsOf = ({ width, indices, values: light }: typeof near) => (
      measureMoments({ indices: Int32Array.from(indices), light: Float32Array.from(light) }, width)
    );
    const a = momentsOf(near);
    const b = momentsOf({ ...far, indices: far.indices.reverse(), values: far.values.reverse() });
    // Sums of 25 doubles in another order.
    expect(b.x - 3990).toBeCloseTo(a.x, 9);
    expect(b.y - 50).toBeCloseTo(a.y, 9);
    expect(b.a).toBeCloseTo(a.a, 8);
    expect(b.b).toBeCloseTo(a.b, 6);
  }));
});
