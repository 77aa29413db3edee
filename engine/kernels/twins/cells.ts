import type { CellBox, ClippedCell } from '../background.ts';
import type { CellRowTask } from '../cells.ts';
import { selectInPlace } from '../select.ts';
import { gather, SAMPLE_MIN, scatterAbout } from './background.ts';

const { fround } = Math;
/** Whole numbers that stand for a standard deviation of a cell's sample, and the farthest that may count. */
const UNIT = 128, FARTHEST = 640;
/** Stands for a pixel that is not usable; the farthest number of a usable one, which leaves room for limits. */
const UNUSABLE = -32768, MOST = 32766;
/** Density of a normal distribution at its middle. */
const MIDDLE_DENSITY = 0.3989422804014327;
const ROUNDS = 8;
/** Added to a number and taken off again in single precision, rounds it to the nearest whole one, the even of two. */
const ROUNDER = 12582912;

/** Twin of the compiled row of cells, for one of them. */
export function clippedCellTwin(task: CellRowTask, box: CellBox): ClippedCell & { usable: number } {
  const pixels = (box.x1 - box.x0) * (box.y1 - box.y0), sample = new Float32Array(pixels);
  const { centre, sigma } = startCell(task, box, sample);
  const isKnown = sigma > 0 && sigma < Infinity;
  const numbers = numbersOf(task, box, fround(centre), isKnown ? fround(UNIT / sigma) : 0);
  return clip(numbers, task.clipSigma, centre, isKnown ? sigma / UNIT : 0);
}

function startCell(task: CellRowTask, box: CellBox, sample: Float32Array): { centre: number; sigma: number } {
  const { rowStep } = task, { x0, x1, y0, y1 } = box;
  const columnStep = Math.max(1, (x1 - x0) >> 3);
  const sampleRowStep = rowStep * Math.max(1, Math.floor((y1 - y0) / (8 * rowStep)));
  let count = gather(task, box, columnStep, sampleRowStep, sample);
  if (count < SAMPLE_MIN) count = gather(task, box, 1, rowStep, sample);
  if (count === 0) return { centre: 0, sigma: 0 };
  const inOrder = sample.slice(0, count);
  // Of a zero's sign nothing is kept.
  const centre = selectInPlace(sample, 0, count, count >> 1) + 0;
  // The 15.87 % quantile lies one σ below the median; sources only add light, so the lower side is the clean one.
  const sigma = centre - selectInPlace(sample, 0, count, Math.floor(count * 0.1587));
  if (sigma > 0) return { centre, sigma };
  // Coarse counts can tie a sixth of a cell with its median.
  return { centre, sigma: scatterAbout(inOrder, count, centre) };
}

/** Distances of the pixels from the centre as whole numbers. */
function numbersOf(
  { image, mask, ignoredBits, width, rowStep }: CellRowTask, { x0, x1, y0, y1 }: CellBox, centre: number, scale: number,
): Int16Array {
  const numbers = new Int16Array((x1 - x0) * Math.ceil((y1 - y0) / rowStep));
  let k = 0;
  for (let y = y0; y < y1; y += rowStep) {
    for (let x = x0, j = y * width + x0; x < x1; x++, j++) {
      const value = image[j];
      if ((mask[j] & ignoredBits) !== 0 || value !== value) { numbers[k++] = UNUSABLE; continue; }
      const at = fround(fround(value - centre) * scale), kept = at < MOST ? (at > -MOST ? at : -MOST) : MOST;
      numbers[k++] = fround(kept + ROUNDER) - ROUNDER;
    }
  }
  return numbers;
}

/** Rounds of clipping about the median, which follows by Newton's steps; where it does not settle, it is searched for. */
function clip(
  numbers: Int16Array, clipSigma: number, start: number, unit: number,
): ClippedCell & { usable: number } {
  const usable = sumUp(numbers, -MOST, MOST, 0).count;
  let centre = 0, sigma = UNIT, mean = 0, isSettled = false, low = 0, high = 0, used = usable;
  for (let round = 0; round < ROUNDS; round++) {
    const before = sigma, limit = clipSigma * sigma;
    low = Math.max(-FARTHEST, Math.ceil(centre - limit));
    high = Math.min(FARTHEST, Math.floor(centre + limit));
    const middle = Math.floor(centre), sums = sumUp(numbers, low, high, middle);
    used = sums.count;
    if (!(used > 0)) break;
    mean = sums.first / used;
    const spread = sums.second / used - mean * mean;
    sigma = Math.sqrt(spread < 0 ? 0 : spread);
    if (!(sigma > 0)) { sigma = unit > 0 ? before : 0; break; }
    const next = middle - 0.5 + ((used / 2 - sums.below) * sigma) / (used * MIDDLE_DENSITY);
    const step = Math.abs(next - centre);
    centre = Math.max(low, Math.min(high, next));
    if (step < 2 && Math.abs(sigma - before) < 0.002 * before) { isSettled = true; break; }
  }
  if (!isSettled && used > 0) centre = medianOf(numbers, low, high, used / 2);
  return { usable, median: start + unit * centre, mean: start + unit * mean, sigma: unit * sigma };
}

/** The number that so many lie below, of those from `low` to `high`: those of one value lie evenly within it. */
function medianOf(numbers: Int16Array, low: number, high: number, half: number): number {
  let first = low, last = high;
  while (first < last) {
    const between = (first + last) >> 1;
    if (sumUp(numbers, low, between, 0).count < half) first = between + 1; else last = between;
  }
  const { count, below } = sumUp(numbers, low, first, first);
  return first - 0.5 + (half - below) / (count - below);
}

function sumUp(
  numbers: Int16Array, low: number, high: number, middle: number,
): { count: number; first: number; second: number; below: number } {
  let count = 0, first = 0, second = 0, below = 0;
  for (let k = 0; k < numbers.length; k++) {
    const value = numbers[k];
    if (value < low || value > high) continue;
    count++;
    first += value;
    second += value * value;
    if (value < middle) below++;
  }
  return { count, first, second, below };
}
