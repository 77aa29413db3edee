import { Matrix, solve } from 'ml-matrix';
import { valueAt, type ReadPlane } from '../../kernels/scaled.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { selectInPlace } from '../../image/median.ts';

/** The sky under the fringes: a polynomial of x and y of this order, which no fringe of many periods resembles. */
const DEGREES = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]] as const;
/** Residuals beyond this many standard deviations are sources; the fit is repeated without them. */
const CLIP_SIGMA = 3, ROUNDS = 3;
/** Samples that tell the noise to half a per cent: fewer of more serve to find the sources. */
const SOME_SAMPLES = 16_000;

/** Pixels that are looked at: every `stepPx`th of these rows, which ascend. */
export type SampledPlaces = Readonly<{ rows: Int32Array; stepPx: number }>;

/** Places that are `stepPx` apart both ways. */
export function gridOf(height: number, stepPx: number): SampledPlaces {
  return { stepPx, rows: Int32Array.from({ length: Math.ceil((height - (stepPx >> 1)) / stepPx) },
    (_, k) => (stepPx >> 1) + k * stepPx) };
}

/** As many places as are wanted at least, of given rows, or all of theirs. */
export function placesOf(rows: Int32Array, width: number, wanted: number): SampledPlaces {
  return { rows, stepPx: Math.max(1, Math.floor((rows.length * width) / wanted)) };
}

/**
 * How much of the fringes of the night sky an image has: what of `fringe` fits it best beside a smooth sky, sources and
 * masked pixels left out.
 *
 * @param planes image (electrons, flat-fielded) and mask, of which every bit but `allowed` excludes. Read only.
 * @param fringe [height × width] relative to the sky. Read only.
 * @returns Electrons of sky that the fringes belong to; 0 when too few pixels tell.
 */
export function fringeScale(
  planes: MaskedImage, fringe: ReadPlane, places: SampledPlaces, allowed: number,
): number {
  return fitSky(planes, fringe, places, allowed)?.scale ?? 0;
}

/** A smooth sky: its level in the middle of the image, its values along a row, and the scale of the fringes on it. */
export type SmoothSky = Readonly<{ level: number; scale: number; fillRow(y: number, out: Float64Array): void }>;

/**
 * The smooth sky of an image, and the fringes on it where a pattern is given; arguments as of `fringeScale`.
 *
 * @returns Null when too few pixels tell.
 */
export function fitSky(
  planes: MaskedImage, fringe: ReadPlane | null, places: SampledPlaces, allowed: number,
): SmoothSky | null {
  const { width, height } = planes, solution = fitted(sampled(planes, fringe, places, allowed), fringe !== null);
  if (solution === null) return null;
  return {
    level: solution[0], scale: fringe === null ? 0 : solution[DEGREES.length], fillRow: (y, out) => {
      const v = (2 * y) / height - 1;
      for (let x = 0; x < width; x++) {
        const u = (2 * x) / width - 1;
        out[x] = DEGREES.reduce((sum, [a, b], k) => sum + solution[k] * u ** a * v ** b, 0);
      }
    },
  };
}

/** Pixels that tell, row after row: place along x (−1 … 1), light, and the pattern's value there (0 without one). */
type Samples = Readonly<{
  u: Float64Array; light: Float64Array; pattern: Float64Array;
  /** Of each row that is looked at: its place along y (−1 … 1), and where its samples end. */
  rows: readonly Readonly<{ v: number; end: number }>[];
}>;

function sampled(
  { width, height, image, mask }: MaskedImage, fringe: ReadPlane | null, { rows: places, stepPx }: SampledPlaces,
  allowed: number,
): Samples {
  const first = stepPx >> 1, most = Math.ceil(width / stepPx) * places.length, rows = [];
  const [u, light, pattern] = [0, 1, 2].map(() => new Float64Array(most));
  let count = 0;
  for (const y of places) {
    for (let x = first; x < width; x += stepPx) {
      const i = y * width + x, of = fringe === null ? 0 : valueAt(fringe, i);
      if ((mask[i] & ~allowed) !== 0 || !Number.isFinite(image[i]) || !Number.isFinite(of)) continue;
      u[count] = (2 * x) / width - 1;
      light[count] = image[i];
      pattern[count++] = of;
    }
    rows.push({ v: (2 * y) / height - 1, end: count });
  }
  return { u: u.subarray(0, count), light: light.subarray(0, count), pattern: pattern.subarray(0, count), rows };
}

/**
 * Coefficients of the sky's terms and then the fringes'; null when too few samples tell. What sources are is found from
 * some of the samples, in rounds; all of the others count once.
 */
function fitted(samples: Samples, hasFringe: boolean): Float64Array | null {
  const some = everyNth(samples, Math.max(1, Math.floor(samples.u.length / SOME_SAMPLES)));
  const count = some.u.length, isUsed = new Uint8Array(count).fill(1);
  const residuals = new Float64Array(count), work = new Float64Array(count);
  let solution: Float64Array | null = null, usual = { centre: 0, sigma: Infinity };
  for (let round = 0; round < ROUNDS; round++) {
    solution = solved(some, isUsed, hasFringe);
    if (solution === null) return null;
    fillResiduals(some, solution, residuals);
    usual = spreadOf(residuals, isUsed, work);
    markUsed(residuals, usual, isUsed);
  }
  if (solution === null) return null;
  const all = new Float64Array(samples.u.length), isCounted = new Uint8Array(all.length);
  fillResiduals(samples, solution, all);
  markUsed(all, usual, isCounted);
  return solved(samples, isCounted, hasFringe);
}

/** The n-th, 2n-th … of the samples. */
function everyNth({ u, light, pattern, rows }: Samples, n: number): Samples {
  const count = Math.floor(u.length / n), of = (values: Float64Array) =>
    Float64Array.from({ length: count }, (_, k) => values[(k + 1) * n - 1]);
  return {
    u: of(u), light: of(light), pattern: of(pattern), rows: rows.map(({ v, end }) => ({ v, end: Math.floor(end / n) })),
  };
}

function solved(samples: Samples, isUsed: Uint8Array, hasFringe: boolean): Float64Array | null {
  const terms = DEGREES.length + (hasFringe ? 1 : 0), { normal, right, used } = equationsOf(samples, isUsed, terms);
  if (used < 10 * terms || normal[terms - 1][terms - 1] === 0) return null;
  const solution = Float64Array.from(solve(new Matrix(normal), Matrix.columnVector(right)).to1DArray());
  return solution.every(Number.isFinite) ? solution : null;
}

/** Marks residuals within so many standard deviations of the usual. */
function markUsed(
  residuals: Float64Array, { centre, sigma }: Readonly<{ centre: number; sigma: number }>, isUsed: Uint8Array,
): void {
  const low = centre - CLIP_SIGMA * sigma, high = centre + CLIP_SIGMA * sigma;
  for (let n = 0; n < residuals.length; n++) isUsed[n] = residuals[n] >= low && residuals[n] <= high ? 1 : 0;
}

/** Normal equations: sums along each row, of powers of x alone, then those of the rows with powers of y. */
function equationsOf(
  { u, light, pattern, rows }: Samples, isUsed: Uint8Array, terms: number,
): { normal: number[][]; right: number[]; used: number } {
  const normal = Array.from({ length: terms }, () => new Array<number>(terms).fill(0));
  const right = new Array<number>(terms).fill(0), last = DEGREES.length;
  let used = 0, n = 0;
  for (const { v, end } of rows) {
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, l0 = 0, l1 = 0, l2 = 0, p0 = 0, p1 = 0, p2 = 0, square = 0, product = 0;
    for (; n < end; n++) {
      if (isUsed[n] === 0) continue;
      const x = u[n], xx = x * x, l = light[n], p = pattern[n];
      s0++; s1 += x; s2 += xx; s3 += xx * x; s4 += xx * xx;
      l0 += l; l1 += l * x; l2 += l * xx;
      p0 += p; p1 += p * x; p2 += p * xx;
      square += p * p; product += p * l;
    }
    const powers = [s0, s1, s2, s3, s4], lights = [l0, l1, l2], patterns = [p0, p1, p2];
    used += s0;
    DEGREES.forEach(([a, b], k) => {
      DEGREES.forEach(([c, d], m) => { normal[k][m] += powers[a + c] * v ** (b + d); });
      right[k] += lights[a] * v ** b;
      if (terms === last) return;
      normal[k][last] += patterns[a] * v ** b;
      normal[last][k] = normal[k][last];
    });
    if (terms === last) continue;
    normal[last][last] += square;
    right[last] += product;
  }
  return { normal, right, used };
}

/** Light less what the fit has of it. */
function fillResiduals({ u, light, pattern, rows }: Samples, solution: Float64Array, out: Float64Array): void {
  const scale = solution.length > DEGREES.length ? solution[DEGREES.length] : 0;
  let n = 0;
  for (const { v, end } of rows) {
    const along = [0, 0, 0];
    DEGREES.forEach(([a, b], k) => { along[a] += solution[k] * v ** b; });
    const [c0, c1, c2] = along;
    for (; n < end; n++) out[n] = light[n] - (c0 + u[n] * (c1 + u[n] * c2)) - scale * pattern[n];
  }
}

/** Median and scatter below it, which sources do not reach. @param work As long as the values, contents destroyed. */
function spreadOf(values: Float64Array, isUsed: Uint8Array, work: Float64Array): { centre: number; sigma: number } {
  let used = 0;
  for (let n = 0; n < values.length; n++) if (isUsed[n] === 1) work[used++] = values[n];
  const centre = selectInPlace(work, 0, used, used >> 1);
  // Whatever is below the median lies before it now.
  return { centre, sigma: centre - selectInPlace(work, 0, used >> 1, Math.floor(0.1587 * used)) };
}
