/** Planes to try kernels on: seeded noise with the things that break loops. */
import fc from 'fast-check';
import { isScaled, type ReadPlane, type ScaledPlane } from '../../engine/kernels/scaled.ts';
import type { TestArena } from './memory.ts';

/** mulberry32: uniform in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** What a plane is made of: everything else follows from the seed. */
export type PlaneRecipe = Readonly<{
  width: number; height: number; seed: number;
  kind: 'noise' | 'zeros' | 'allNaN' | 'someNaN' | 'spikes' | 'signedZeros';
  masks: 'none' | 'some' | 'all';
}>;

/** Odd and even sizes around the vector lengths, and every kind of content. */
export function planeRecipes(widthMin: number, sideMax: number): fc.Arbitrary<PlaneRecipe> {
  return fc.record({
    width: fc.integer({ min: widthMin, max: sideMax }), height: fc.integer({ min: 1, max: sideMax }),
      seed: fc.integer(),
    kind: fc.constantFrom('noise', 'zeros', 'allNaN', 'someNaN', 'spikes', 'signedZeros'),
    masks: fc.constantFrom('none', 'some', 'all'),
  });
}

export function imageOf({ width, height, seed, kind }: PlaneRecipe): Float32Array {
  const random = randomOf(seed), image = new Float32Array(width * height);
  for (let i = 0; i < image.length; i++) {
    const value = 1000 * (random() + random() + random() - 1.5), chance = random();
    if (kind === 'noise') image[i] = value;
    else if (kind === 'allNaN') image[i] = NaN;
    else if (kind === 'someNaN') image[i] = chance < 0.1 ? NaN : value;
    else if (kind === 'spikes') image[i] = chance < 0.02 ? 1e7 * value : value;
    else if (kind === 'signedZeros') image[i] = chance < 0.5 ? -0 : chance < 0.9 ? 0 : value;
  }
  return image;
}

/** As `imageOf` without NaN, for kernels that ask for finite pixels. */
export function finiteImageOf(recipe: PlaneRecipe): Float32Array {
  return imageOf(recipe).map((value) => (Number.isNaN(value) ? 0 : value));
}

/** Positive, with a few zeros, infinities and NaN where the image is nasty. */
export function varianceOf({ width, height, seed, kind }: PlaneRecipe): Float32Array {
  const random = randomOf(seed ^ 0x5bd1e995), isNasty = kind !== 'noise';
  return Float32Array.from({ length: width * height }, () => {
    const chance = random(), value = 100 + 900 * random();
    return !isNasty || chance > 0.03 ? value : chance < 0.01 ? NaN : chance < 0.02 ? 0 : Infinity;
  });
}

/** Bits of all 16 planes: none, on a tenth of the pixels, or all on all. */
export function maskOf({ width, height, seed, masks }: PlaneRecipe): Uint16Array {
  const random = randomOf(seed ^ 0x2c1b3c6d);
  return Uint16Array.from({ length: width * height }, () => {
    const chance = random(), bit = Math.floor(16 * random());
    return masks === 'all' ? 0xffff : masks === 'some' && chance < 0.1 ? 1 << bit : 0;
  });
}

/** A round PSF of positive pixels, exp(−r² / `width2`), that varies a little over the image with its further terms. */
export function varyingPsf(
  size: number, terms: number, { width, height }: Readonly<{ width: number; height: number }>, width2: number,
  random: () => number,
) {
  const middle = (size - 1) / 2, n = size * size, coefficients = new Float32Array(terms * n);
  for (let j = 0; j < n; j++) {
    const r2 = ((j % size) - middle) ** 2 + (Math.floor(j / size) - middle) ** 2, light = Math.exp(-r2 / width2);
    for (let k = 0; k < terms; k++) coefficients[k * n + j] = light * (k === 0 ? 1 : 0.1 * (random() - 0.5));
  }
  return { size, width, height, coefficients };
}

/** Index of the first value that differs (bit for bit, but for the payload of NaN), or −1. */
export function firstDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return 0;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return i;
  return -1;
}

/** A plane in 16 bits, whatever is lost: what lies beyond them or is NaN is no number. */
export function scaledOf(values: Float32Array, scale: number, zero: number): ScaledPlane {
  const stored = Uint16Array.from(values, (value) => {
    const steps = Math.round((value - zero) / scale);
    return steps > 0 && steps < 65536 ? steps : 0;
  });
  return { stored, scale, zero };
}

export function inArena(arena: TestArena, plane: ReadPlane): ReadPlane {
  return isScaled(plane) ? { ...plane, stored: arena.words(plane.stored) } : arena.floats(plane);
}
