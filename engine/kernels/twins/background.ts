import type { CellBox, CellsTask, ClippedCell, ClippedCells } from '../background.ts';
import { selectInPlace } from '../select.ts';

const BIN_COUNT = 128, ROUNDS = 6;

/** Twin of the compiled cells. */
export function createClippedCellsTwin(task: CellsTask): ClippedCells {
  const values = new Float32Array(task.pixelsMax), sample = new Float32Array((task.pixelsMax >> 3) + 1),
    bins = new Int32Array(BIN_COUNT + 1);
  return (box, countMin) => {
    const count = gather(task, box, values);
    if (count < Math.max(1, countMin)) return { median: NaN, mean: NaN, sigma: NaN };
    let sampleCount = 0;
    for (let i = 0; i < count; i += 8) sample[sampleCount++] = values[i];
    const centre = selectInPlace(sample, 0, sampleCount, sampleCount >> 1);
    // The 15.87 % quantile lies one σ below the median; sources only add light, so the lower side is the clean one.
    let sigma = centre - selectInPlace(sample, 0, sampleCount, Math.floor(sampleCount * 0.1587));
    // Coarse counts can tie a sixth of a cell with its median.
    if (!(sigma > 0)) sigma = scatterAbout(sample, sampleCount, centre);
    return clip(values, count, task.clipSigma, centre, sigma, bins);
  };
}

function gather(
  { image, mask, ignoredBits, width }: CellsTask, { x0, x1, y0, y1 }: CellBox, out: Float32Array,
): number {
  let count = 0;
  for (let y = y0; y < y1; y++) {
    for (let x = x0, j = y * width + x0; x < x1; x++, j++) {
      if ((mask[j] & ignoredBits) === 0 && image[j] === image[j]) out[count++] = image[j];
    }
  }
  return count;
}

function scatterAbout(values: Float32Array, count: number, centre: number): number {
  let squares = 0;
  for (let i = 0; i < count; i++) { const d = values[i] - centre; squares += d * d; }
  return Math.sqrt(squares / count);
}

/** Rounds of clipping about the median, which a histogram tells; sums of even and odd places by themselves. */
function clip(
  values: Float32Array, count: number, clipSigma: number, start: number, startSigma: number, bins: Int32Array,
): ClippedCell {
  let centre = start, sigma = startSigma, mean = start;
  for (let round = 0; round < ROUNDS && sigma > 0; round++) {
    const limit = clipSigma * sigma, perUnit = BIN_COUNT / (2 * limit), before = sigma, sums = [0, 0], squares = [0, 0];
    let n = 0;
    bins.fill(0);
    for (let i = 0; i < count; i++) {
      const d = values[i] - centre;
      if (!(d < limit && d >= -limit)) continue;
      n++;
      sums[i & 1] += d;
      squares[i & 1] += d * d;
      bins[((d + limit) * perUnit) | 0]++;
    }
    const offset = (sums[0] + sums[1]) / n, spread = (squares[0] + squares[1]) / n - offset * offset;
    mean = centre + offset;
    sigma = Math.sqrt(spread < 0 ? 0 : spread);
    centre += medianOfBins(bins, n) / perUnit - limit;
    if (!(sigma > 0)) { sigma = before; break; } // Counts so coarse that all but the usual one were clipped.
    if (Math.abs(sigma - before) < 0.005 * before) break;
  }
  return { median: centre, mean, sigma: sigma > 0 ? sigma : 0 };
}

/** Place of the median of `count` values in bins, interpolated within its bin; in bins. */
function medianOfBins(bins: Int32Array, count: number): number {
  let below = 0, bin = 0;
  while (bin < BIN_COUNT && below + bins[bin] < count / 2) below += bins[bin++];
  return bin + (count / 2 - below) / bins[bin];
}
