import { Matrix, solve } from 'ml-matrix';
import { addScaled } from '../../kernels/arithmetic.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';

/** The sky under the fringes: a polynomial of x and y of this order, which no fringe of many periods resembles. */
const DEGREES = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]] as const;
/** Residuals beyond this many standard deviations are sources; the fit is repeated without them. */
const CLIP_SIGMA = 3, ROUNDS = 4;

/**
 * Takes the fringes of the night sky off: `fringe` times what fits this image best beside a smooth sky, sources and
 * masked pixels left out.
 *
 * @param planes image (electrons, flat-fielded), changed in place; mask, of which every bit but `allowed` excludes.
 * @param fringe [height × width] relative to the sky. Read only.
 * @param stepPx Pixels from one sample to the next.
 * @returns Electrons of sky that the fringes belong to; 0 when too few pixels tell, and nothing is taken off.
 */
export function subtractFringe(planes: MaskedImage, fringe: Float32Array, stepPx: number, allowed: number): number {
  const scale = fitSky(planes, fringe, stepPx, allowed)?.scale ?? 0;
  if (scale !== 0) addScaled(planes.image, fringe, -scale);
  return scale;
}

/** A smooth sky: its level in the middle of the image, its values along a row, and the scale of the fringes on it. */
export type SmoothSky = Readonly<{ level: number; scale: number; fillRow(y: number, out: Float64Array): void }>;

/**
 * The smooth sky of an image, and the fringes on it where a pattern is given; arguments as of `subtractFringe`.
 *
 * @returns Null when too few pixels tell.
 */
export function fitSky(
  planes: MaskedImage, fringe: Float32Array | null, stepPx: number, allowed: number,
): SmoothSky | null {
  const { width, height, image, mask } = planes, samples: number[] = [];
  for (let y = stepPx >> 1; y < height; y += stepPx) {
    for (let i = y * width + (stepPx >> 1); i < (y + 1) * width; i += stepPx) {
      const isKnown = fringe === null || Number.isFinite(fringe[i]);
      if ((mask[i] & ~allowed) === 0 && Number.isFinite(image[i]) && isKnown) samples.push(i);
    }
  }
  const solution = fitted(planes, fringe, samples);
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

/** Coefficients of the sky's terms and then the fringes'; null when too few samples tell. */
function fitted(
  { width, height, image }: MaskedImage, fringe: Float32Array | null, samples: readonly number[],
): Float64Array | null {
  const terms = DEGREES.length + (fringe === null ? 0 : 1), row = new Float64Array(terms);
  const isUsed = new Uint8Array(samples.length).fill(1);
  let solution = new Float64Array(terms);
  const fill = (i: number): void => {
    const u = (2 * (i % width)) / width - 1, v = (2 * Math.floor(i / width)) / height - 1;
    DEGREES.forEach(([a, b], k) => { row[k] = u ** a * v ** b; });
    if (fringe !== null) row[terms - 1] = fringe[i];
  };
  const residual = (i: number): number => {
    fill(i);
    let value = image[i];
    for (let k = 0; k < terms; k++) value -= solution[k] * row[k];
    return value;
  };
  for (let round = 0; round < ROUNDS; round++) {
    const normal = new Float64Array(terms * terms), right = new Float64Array(terms);
    let used = 0;
    samples.forEach((i, n) => {
      if (isUsed[n] === 0) return;
      fill(i);
      used++;
      for (let k = 0; k < terms; k++) {
        right[k] += row[k] * image[i];
        for (let l = 0; l < terms; l++) normal[k * terms + l] += row[k] * row[l];
      }
    });
    if (used < 10 * terms || normal[terms * terms - 1] === 0) return null;
    const rows = Array.from({ length: terms }, (_, k) => [...normal.subarray(k * terms, (k + 1) * terms)]);
    solution = Float64Array.from(solve(new Matrix(rows), Matrix.columnVector([...right])).to1DArray());
    const offsets = samples.map(residual), { centre, sigma } = spreadOf(offsets, isUsed);
    offsets.forEach((offset, n) => { isUsed[n] = Math.abs(offset - centre) <= CLIP_SIGMA * sigma ? 1 : 0; });
  }
  return solution.every(Number.isFinite) ? solution : null;
}

/** Median and scatter below it, which sources do not reach. */
function spreadOf(values: readonly number[], isUsed: Uint8Array): { centre: number; sigma: number } {
  const used = Float64Array.from(values.filter((_, n) => isUsed[n] === 1)).sort();
  const centre = used[used.length >> 1];
  return { centre, sigma: centre - used[Math.floor(0.1587 * used.length)] };
}
