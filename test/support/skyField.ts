/**
 * A small sky for tests: Moffat stars whose width may vary over the image, on a level with a gradient, with noise.
 * Written for the tests alone, so that an error of the engine cannot cancel here.
 */
import { skyRandom } from './skyRandom.ts';

export type FieldStar = Readonly<{ x: number; y: number; flux: number }>;

export type SkyField = Readonly<{
  width: number; height: number; stars: readonly FieldStar[];
  /** Electrons expected, and with noise. */
  expected: Float32Array; image: Float32Array; variance: Float32Array; mask: Uint16Array;
}>;

export type SkyFieldOptions = Readonly<{
  seed: number; width: number; height: number; fwhmPx: number; sky: number; readNoise: number;
  stars: readonly FieldStar[];
  /** Growth of the FWHM from the left edge to the right one, relative. */
  fwhmGrowth?: number;
  /** Sky's rise from the left edge to the right one, electrons. */
  gradient?: number;
}>;

/** Moffat of β = 3.5 and unit flux at a distance. */
export function moffat(fwhmPx: number, r2: number): number {
  const beta = 3.5, alpha2 = (fwhmPx / (2 * Math.sqrt(2 ** (1 / beta) - 1))) ** 2;
  return ((beta - 1) / (Math.PI * alpha2)) * (1 + r2 / alpha2) ** -beta;
}

export function renderField(options: SkyFieldOptions): SkyField {
  const { seed, width, height, fwhmPx, sky, readNoise, stars } = options;
  const random = skyRandom(seed), expected = new Float32Array(width * height);
  for (let i = 0; i < expected.length; i++) expected[i] = sky + ((options.gradient ?? 0) * (i % width)) / width;
  for (const star of stars) {
    const fwhm = fwhmPx * (1 + (options.fwhmGrowth ?? 0) * (star.x / width));
    const reach = Math.ceil(Math.min(60, 12 + 4 * fwhm));
    for (let y = Math.max(0, Math.ceil(star.y - reach)); y <= Math.min(height - 1, star.y + reach); y++) {
      for (let x = Math.max(0, Math.ceil(star.x - reach)); x <= Math.min(width - 1, star.x + reach); x++) {
        expected[y * width + x] += star.flux * moffat(fwhm, (x - star.x) ** 2 + (y - star.y) ** 2);
      }
    }
  }
  const image = expected.map((value) => random.poissonLike(value) + readNoise * random.normal());
  return {
    width, height, stars, expected, image, variance: expected.map((value) => value + readNoise ** 2),
    mask: new Uint16Array(width * height),
  };
}

/**
 * Stars strewn evenly, brightest first, fluxes by a power law between the limits (dN/dlogF constant), `apartPx` from
 * each other.
 */
export function strewnStars(
  seed: number, count: number, width: number, height: number, fluxMin: number, fluxMax: number, apartPx = 0,
    marginPx = 0,
): FieldStar[] {
  const random = skyRandom(seed), stars: FieldStar[] = [];
  for (let tries = 0; stars.length < count && tries < 100 * count; tries++) {
    const x = marginPx + random.uniform() * (width - 2 * marginPx), y = marginPx
      + random.uniform() * (height - 2 * marginPx);
    const flux = fluxMin * (fluxMax / fluxMin) ** random.uniform();
    if (stars.every((other) => Math.hypot(other.x - x, other.y - y) >= apartPx)) stars.push({ x, y, flux });
  }
  return stars.sort((a, b) => b.flux - a.flux);
}
