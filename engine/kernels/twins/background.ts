import type { CellBox, CellsTask, ClippedCell, ClippedCells } from '../background.ts';
import { selectInPlace } from '../select.ts';

const { fround } = Math;
/** Bins of the histogram, its half width in standard deviations of the sample, and places beside the bins. */
const BIN_COUNT = 320, HALF_WIDTH = 5, ABOVE = BIN_COUNT + 1;
const ROUNDS = 8, MAGIC = 8388608;
/** Sampled pixels below which all are taken. */
export const SAMPLE_MIN = 24;

/** Twin of the compiled cells. */
export function createClippedCellsTwin(task: CellsTask): ClippedCells {
  const sample = new Float32Array(task.pixelsMax), bins = new Int32Array(BIN_COUNT + 2);
  return (box, countMin) => {
    const { rowStep } = task, { x0, x1, y0, y1 } = box;
    const columnStep = x1 - x0 >= 64 ? 8 : x1 - x0 >= 32 ? 4 : 1;
    let count = gather(task, box, columnStep, rowStep * (y1 - y0 >= 32 * rowStep ? 8 : 1), sample);
    if (count < SAMPLE_MIN) count = gather(task, box, 1, rowStep, sample);
    if (count === 0) return { median: NaN, mean: NaN, sigma: NaN };
    const centre = selectInPlace(sample, 0, count, count >> 1);
    // The 15.87 % quantile lies one σ below the median; sources only add light, so the lower side is the clean one.
    let sigma = centre - selectInPlace(sample, 0, count, Math.floor(count * 0.1587));
    // Coarse counts can tie a sixth of a cell with its median.
    if (!(sigma > 0)) sigma = scatterAbout(sample, count, centre);
    const usable = countBins(task, box, fround(centre - HALF_WIDTH * sigma),
      fround(BIN_COUNT / (2 * HALF_WIDTH * sigma)), bins);
    if (usable < Math.max(1, countMin)) return { median: NaN, mean: NaN, sigma: NaN };
    return clip(bins, task.clipSigma, centre, sigma);
  };
}

/** Pixels that are not NaN and not masked, in order. */
export function gather(
  { image, mask, ignoredBits, width }: Pick<CellsTask, 'image' | 'mask' | 'ignoredBits' | 'width'>,
  { x0, x1, y0, y1 }: CellBox, columnStep: number, rowStep: number, out: Float32Array,
): number {
  let count = 0;
  for (let y = y0; y < y1; y += rowStep) {
    for (let x = x0; x < x1; x += columnStep) {
      const j = y * width + x;
      if ((mask[j] & ignoredBits) === 0 && image[j] === image[j]) out[count++] = image[j];
    }
  }
  return count;
}

export function scatterAbout(values: Float32Array, count: number, centre: number): number {
  let squares = 0;
  for (let i = 0; i < count; i++) { const d = values[i] - centre; squares += d * d; }
  return Math.sqrt(squares / count);
}

/** Place 0 is below the bins, the last above them. Returns the usable pixels. */
function countBins(
  { image, mask, ignoredBits, width, rowStep }: CellsTask, { x0, x1, y0, y1 }: CellBox, least: number, perUnit: number,
  bins: Int32Array,
): number {
  let usable = 0;
  bins.fill(0);
  for (let y = y0; y < y1; y += rowStep) {
    for (let x = x0, j = y * width + x0; x < x1; x++, j++) {
      const value = image[j];
      if ((mask[j] & ignoredBits) !== 0 || value !== value) continue;
      usable++;
      const at = fround(fround(fround(value - least) * perUnit) + 0.5);
      // A NaN, which infinite scales make, counts as above. Single precision has no fractions from 2²³ on.
      const place = at < ABOVE ? (at > 0 ? at : 0) : ABOVE;
      bins[fround(place + MAGIC) - MAGIC]++;
    }
  }
  return usable;
}

/** Rounds of clipping about the median, on running sums over the bins. Whole bins count. */
function clip(bins: Int32Array, clipSigma: number, start: number, startSigma: number): ClippedCell {
  const unit = 2 * HALF_WIDTH * startSigma / BIN_COUNT, origin = start - HALF_WIDTH * startSigma - 0.5 * unit;
  const counts = new Float64Array(BIN_COUNT + 1), firsts = counts.slice(), squares = counts.slice();
  for (let b = 1; b <= BIN_COUNT; b++) {
    counts[b] = counts[b - 1] + bins[b];
    firsts[b] = firsts[b - 1] + bins[b] * b;
    squares[b] = squares[b - 1] + bins[b] * b * b;
  }
  let centre = start, sigma = startSigma, mean = start;
  for (let round = 0; round < ROUNDS && sigma > 0; round++) {
    const before = sigma, limit = clipSigma * sigma;
    const low = Math.max(1, Math.min(BIN_COUNT, Math.ceil((centre - limit - origin) / unit)));
    const high = Math.max(low, Math.min(BIN_COUNT, Math.floor((centre + limit - origin) / unit)));
    const under = counts[low - 1], used = counts[high] - under;
    if (!(used > 0)) break;
    const middle = (firsts[high] - firsts[low - 1]) / used;
    const spread = (squares[high] - squares[low - 1]) / used - middle * middle;
    mean = origin + unit * middle;
    sigma = unit * Math.sqrt(spread < 0 ? 0 : spread);
    let bin = low;
    while (bin < high && counts[bin] < under + used / 2) bin++;
    centre = origin + unit * (bin - 0.5 + (under + used / 2 - counts[bin - 1]) / (counts[bin] - counts[bin - 1]));
    if (!(sigma > 0)) { sigma = before; break; }
    if (Math.abs(sigma - before) < 0.002 * before) break;
  }
  return { median: centre, mean, sigma: sigma > 0 ? sigma : 0 };
}
