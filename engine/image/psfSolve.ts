/** The PSF's coefficients from stars' stamps, pixel by pixel. */
import { solveSymmetric } from './leastSquares.ts';
import { median } from './median.ts';
import { psfTermCount, psfTerms, type PsfModel } from './psf.ts';

/** A star's stamp: its place on the image, unit flux, [size × size], and the noise of a pixel in that unit. */
export type UnitStamp = Readonly<{ x: number; y: number; values: Float32Array; sigma: number }>;

/** Pixels of a star farther from the model than this, in their errors, are someone else's light. */
const PIXEL_CLIP_SIGMA = 4;
/** Relative error of the model that pixel rejection allows for, so that a bright star's core is not rejected. */
const MODEL_TOLERANCE = 0.05;
/** Floor of a star's error, in errors of the usual star: in the core, and in the wings beyond so many FWHM. */
const CORE_FLOOR = 1, WING_FLOOR = 0.03, CORE_RADIUS_FWHM = 1;
/**
 * What is believed before looking: a pixel differs from its ring by less than the ring's own light (a spot of
 * ellipticity 0.1 has ± 0.7 in the wings, where light falls as r⁻⁷), and varies by a quarter of it over the detector.
 */
const RING_SCATTER = 0.7, FIELD_SCATTER = 0.25;

/** Equations of all pixels that share the stars' weights. */
type Equations = Readonly<{
  termCount: number;
  /** [stars × terms]: weight × term, and the term itself. */
  weighted: Float64Array; terms: Float64Array;
  /** [terms × terms], of all stars. */
  normal: Float64Array;
}>;

/**
 * Least squares for the coefficients of every pixel. In the core a star weighs 1 / (noise² + floor²), for beyond some
 * brightness the model's form, not the noise, limits; in the wings the brightest stars, which show them best, weigh by
 * noise almost alone.
 *
 * From the second round on, pixels that deviate are left out, and the round before gives each pixel a prior: its value
 * is near that of its ring, and varies over the detector by a share of it. Where the stars say more, they decide;
 * where they say nothing, far out in the wings, noise does not become structure.
 *
 * @param before Model of the round before, and what it says at each star, [size × size]; null in the first.
 */
export function fitModel(
  stamps: readonly UnitStamp[], planes: Readonly<{ width: number; height: number }>, size: number, order: 0 | 1 | 2,
  fwhmPx: number, before: Readonly<{ psf: PsfModel; profiles: readonly Float32Array[] }> | null,
): PsfModel {
  const { width, height } = planes, termCount = psfTermCount(order), n = size * size, half = (size - 1) >> 1;
  const model: PsfModel = { size, width, height, order, coefficients: new Float32Array(termCount * n) };
  const [core, wings] = [CORE_FLOOR, WING_FLOOR].map((floor) => equationsOf(stamps, model, floor));
  const values = byPixel(stamps.map((stamp) => stamp.values), n);
  const expected = before === null ? null : byPixel(before.profiles, n);
  const sigmas = Float64Array.from(stamps, (stamp) => stamp.sigma), rings = before === null ? null : ringMeans(before.psf);
  const solution = new Float64Array(termCount), normal = new Float64Array(termCount * termCount);
  const isKept = new Uint8Array(stamps.length);
  for (let k = 0; k < n; k++) {
    const radius = Math.hypot((k % size) - half, Math.floor(k / size) - half);
    const equations = radius < CORE_RADIUS_FWHM * fwhmPx ? core : wings, start = k * stamps.length;
    isKept.fill(1);
    if (expected !== null) markKept(values, expected, start, sigmas, termCount, isKept);
    assemble(equations, values, start, isKept, normal, solution);
    if (rings !== null) addPrior(Math.max(rings[k], 1e-9), normal, solution);
    solveSymmetric(normal, solution);
    for (let t = 0; t < termCount; t++) model.coefficients[t * n + k] = solution[t];
  }
  return model;
}

/** [pixels × stars] of stars' stamps. */
function byPixel(stamps: readonly Float32Array[], n: number): Float32Array {
  const count = stamps.length, out = new Float32Array(n * count);
  stamps.forEach((stamp, s) => { for (let k = 0; k < n; k++) out[k * count + s] = stamp[k]; });
  return out;
}

function equationsOf(stamps: readonly UnitStamp[], model: PsfModel, floor: number): Equations {
  const termCount = psfTermCount(model.order), usualSigma = median(stamps.map((stamp) => stamp.sigma));
  const weighted = new Float64Array(stamps.length * termCount), terms = weighted.slice();
  const normal = new Float64Array(termCount * termCount);
  stamps.forEach((stamp, s) => {
    const weight = 1 / (stamp.sigma ** 2 + (floor * usualSigma) ** 2), own = psfTerms(model, stamp.x, stamp.y);
    for (let p = 0; p < termCount; p++) {
      terms[s * termCount + p] = own[p];
      weighted[s * termCount + p] = weight * own[p];
      for (let q = 0; q < termCount; q++) normal[p * termCount + q] += weight * own[p] * own[q];
    }
  });
  return { termCount, weighted, terms, normal };
}

/**
 * For each pixel of the stamp, the mean of the model's constant term over the pixels at the same distance, to half a
 * pixel.
 */
function ringMeans(psf: PsfModel): Float64Array {
  const { size, coefficients } = psf, half = (size - 1) >> 1, n = size * size;
  const ring = (k: number) => Math.round(Math.hypot((k % size) - half, Math.floor(k / size) - half));
  const sums = new Float64Array(size), counts = new Float64Array(size);
  for (let k = 0; k < n; k++) { sums[ring(k)] += coefficients[k]; counts[ring(k)]++; }
  return Float64Array.from({ length: n }, (_, k) => sums[ring(k)] / counts[ring(k)]);
}

/** Which stars count for a pixel; all, when too many deviate for that to be the stars' fault. */
function markKept(
  values: Float32Array, expected: Float32Array, start: number, sigmas: Float64Array, termCount: number,
  isKept: Uint8Array,
): void {
  let keptCount = 0;
  for (let s = 0; s < sigmas.length; s++) {
    const light = MODEL_TOLERANCE * expected[start + s], residual = values[start + s] - expected[start + s];
    const limit2 = PIXEL_CLIP_SIGMA * PIXEL_CLIP_SIGMA * (sigmas[s] * sigmas[s] + light * light);
    isKept[s] = residual * residual <= limit2 ? 1 : 0;
    keptCount += isKept[s];
  }
  if (keptCount < Math.max(3 * termCount, sigmas.length / 3)) isKept.fill(1);
}

/** Normal equations of one pixel: those of all stars, less what the rejected ones gave. */
function assemble(
  { termCount, weighted, terms, normal: whole }: Equations, values: Float32Array, start: number, isKept: Uint8Array,
  normal: Float64Array, right: Float64Array,
): void {
  normal.set(whole);
  let isWhole = true;
  if (termCount === 6) isWhole = rightOfSix(weighted, values, start, isKept, right);
  else {
    right.fill(0);
    for (let s = 0; s < isKept.length; s++) {
      if (isKept[s] === 0) { isWhole = false; continue; }
      for (let p = 0; p < termCount; p++) right[p] += weighted[s * termCount + p] * values[start + s];
    }
  }
  if (isWhole) return;
  for (let s = 0; s < isKept.length; s++) {
    const at = s * termCount;
    if (isKept[s] === 1) continue;
    for (let p = 0; p < termCount; p++) {
      for (let q = 0; q < termCount; q++) normal[p * termCount + q] -= weighted[at + p] * terms[at + q];
    }
  }
}

/** The sums of a quadratic model, written out: most of the time goes here. False when a star was left out. */
function rightOfSix(
  weighted: Float64Array, values: Float32Array, start: number, isKept: Uint8Array, right: Float64Array,
): boolean {
  let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, isWhole = true;
  for (let s = 0, at = 0; s < isKept.length; s++, at += 6) {
    if (isKept[s] === 0) { isWhole = false; continue; }
    const value = values[start + s];
    a += weighted[at] * value; b += weighted[at + 1] * value; c += weighted[at + 2] * value;
    d += weighted[at + 3] * value; e += weighted[at + 4] * value; f += weighted[at + 5] * value;
  }
  right[0] = a; right[1] = b; right[2] = c; right[3] = d; right[4] = e; right[5] = f;
  return isWhole;
}

/** @param ring Usual value of the pixel's ring, which bounds the coefficients. */
function addPrior(ring: number, normal: Float64Array, right: Float64Array): void {
  for (let p = 0; p < right.length; p++) {
    normal[p * (right.length + 1)] += 1 / ((p === 0 ? RING_SCATTER : FIELD_SCATTER) * ring) ** 2;
  }
  right[0] += ring / (RING_SCATTER * ring) ** 2;
}
