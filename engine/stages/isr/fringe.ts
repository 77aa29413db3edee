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
  const { width, height, image, mask } = planes, samples: number[] = [];
  for (let y = stepPx >> 1; y < height; y += stepPx) {
    for (let i = y * width + (stepPx >> 1); i < (y + 1) * width; i += stepPx) {
      if ((mask[i] & ~allowed) === 0 && Number.isFinite(image[i]) && Number.isFinite(fringe[i])) samples.push(i);
    }
  }
  const scale = fitted(planes, fringe, samples);
  if (scale !== 0) addScaled(image, fringe, -scale);
  return scale;
}

function fitted({ width, height, image }: MaskedImage, fringe: Float32Array, samples: readonly number[]): number {
  const terms = DEGREES.length + 1, row = new Float64Array(terms), isUsed = new Uint8Array(samples.length).fill(1);
  let solution = new Float64Array(terms);
  const fill = (i: number): void => {
    const u = (2 * (i % width)) / width - 1, v = (2 * Math.floor(i / width)) / height - 1;
    DEGREES.forEach(([a, b], k) => { row[k] = u ** a * v ** b; });
    row[terms - 1] = fringe[i];
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
    if (used < 10 * terms || normal[terms * terms - 1] === 0) return 0;
    const rows = Array.from({ length: terms }, (_, k) => [...normal.subarray(k * terms, (k + 1) * terms)]);
    solution = Float64Array.from(solve(new Matrix(rows), Matrix.columnVector([...right])).to1DArray());
    const offsets = samples.map(residual), { centre, sigma } = spreadOf(offsets, isUsed);
    offsets.forEach((offset, n) => { isUsed[n] = Math.abs(offset - centre) <= CLIP_SIGMA * sigma ? 1 : 0; });
  }
  return Number.isFinite(solution[terms - 1]) ? solution[terms - 1] : 0;
}

/** Median and scatter below it, which sources do not reach. */
function spreadOf(values: readonly number[], isUsed: Uint8Array): { centre: number; sigma: number } {
  const used = Float64Array.from(values.filter((_, n) => isUsed[n] === 1)).sort();
  const centre = used[used.length >> 1];
  return { centre, sigma: centre - used[Math.floor(0.1587 * used.length)] };
}
