import type { VarianceLists, VariancePass, VarianceTask } from '../variance.ts';

const { fround } = Math;

type Found = { sharp: number; marked: number };

/** Twin of `prepareVariance`, in single precision. */
export function variancePassTwin(task: VarianceTask): VariancePass {
  const found: Found = { sharp: 0, marked: 0 };
  return { found: () => found, run: (first, end) => { varianceRows(task, first, end, found); } };
}

/** Side of the blocks in which the sky has one level, pixels. */
export const BLOCK_PX = 8;

function varianceRows(task: VarianceTask, first: number, end: number, found: Found): void {
  for (let y = first; y < end; y++) {
    fillRow(task, y, found);
    if (task.lists !== null) listMarked(task.lists, y * task.width, task.width, found);
  }
}

function listMarked({ mask, markedBits, marked }: VarianceLists, start: number, width: number, found: Found): void {
  for (let i = start; i < start + width; i++) {
    const bits = mask[i] & markedBits, at = 2 * found.marked;
    if (bits === 0) continue;
    found.marked++;
    if (at + 1 < marked.length) marked.set([i, bits], at);
  }
}

/** Of one block: its sky, and the limits of what is more: 16 times the smoothed light, light, light that may be sharp. */
type Block = Readonly<{ light: number; source: number; bright: number; sharp: number }>;

function blockOf(task: VarianceTask, x0: number, y0: number): Block {
  const { columns, rows, cellWidth, cellHeight, level: cells } = task.sky;
  const { bright, source, sharp } = significances(task);
  const u = columns === 1 ? 0 : (x0 + 4) / cellWidth - 0.5, v = rows === 1 ? 0 : (y0 + 4) / cellHeight - 0.5;
  const column = Math.min(Math.max(Math.floor(u), 0), Math.max(columns - 2, 0));
  const row = Math.min(Math.max(Math.floor(v), 0), Math.max(rows - 2, 0)), share = u - column, part = v - row;
  const low = row * columns, high = Math.min(row + 1, rows - 1) * columns, next = Math.min(column + 1, columns - 1);
  const left = cells[low + column] * (1 - part) + cells[high + column] * part;
  const right = cells[low + next] * (1 - part) + cells[high + next] * part;
  const level = fround(left * (1 - share) + right * share), light = level > 0 ? level : 0;
  return { light, ...limitsOf(level, fround(Math.sqrt(fround(light + readRow(task, y0)[x0]))), bright, source, sharp) };
}

function limitsOf(level: number, sigma: number, bright: number, source: number, sharp: number): Omit<Block, 'light'> {
  return {
    source: fround(fround(level * 16) + fround(source * sigma)), bright: fround(level + fround(bright * sigma)),
    sharp: fround(level + fround(sharp * sigma)),
  };
}

function fillRow(task: VarianceTask, y: number, found: Found): void {
  const { image, variance, isInverse, width, lists } = task, [below, above] = boundsOf(task, y);
  const { sharp2 } = significances(task), read = readRow(task, y);
  const verticalOf = (x: number): number => fround(image[below * width + x] + image[above * width + x]);
  const columnOf = (x: number): number => fround(verticalOf(x) + fround(image[y * width + x] + image[y * width + x]));
  for (let x0 = 0; x0 < width; x0 += BLOCK_PX) {
    const block = blockOf(task, x0, y - (y % BLOCK_PX));
    for (let x = x0; x < Math.min(x0 + BLOCK_PX, width); x++) {
      const i = y * width + x, value = image[i], inverse = isInverse ? variance[i] : 1, own = columnOf(x);
      const left = Math.max(x - 1, 0), right = Math.min(x + 1, width - 1);
      const four = fround(verticalOf(x) + fround(image[y * width + left] + image[y * width + right]));
      const sum = fround(fround(columnOf(left) + columnOf(right)) + fround(own + own)), rise = fround(4 * value - four);
      let { light } = block;
      if (sum > block.source) light = value > block.bright ? value : sum > 0 ? fround(sum * 0.0625) : 0;
      variance[i] = Number.isNaN(value) ? NaN : fround(light + fround(read[x] * inverse)) * inverse;
      if (!(value > block.sharp && rise > 0 && fround(rise * rise) > fround(variance[i] * sharp2))) continue;
      if (lists !== null && isFree(task, lists, x, y)) lists.sharp[found.sharp++] = i;
    }
  }
}

/** Whether a pixel, not of the outermost, and those beside it have none of the blocking bits. */
function isFree(
  { width, height }: VarianceTask, { mask, blockingBits }: VarianceLists, x: number, y: number,
): boolean {
  if (x < 1 || y < 1 || x + 1 >= width || y + 1 >= height) return false;
  const row = (i: number) => mask[i - 1] | mask[i] | mask[i + 1], i = y * width + x;
  return ((row(i - width) | row(i) | row(i + width)) & blockingBits) === 0;
}

/**
 * Float32, in noise of the sky: of a pixel's own light, of 16 times the smoothed, of light that may be sharp; and of
 * the square of four times a rise over the mean of four in the pixel's variance.
 */
export function significances(
  { brightSigma, smoothSigma, lists }: VarianceTask,
): Readonly<{ bright: number; source: number; sharp: number; sharp2: number }> {
  const sharp2 = lists === null ? Infinity : fround(20 * lists.sharpSigma * lists.sharpSigma);
  return {
    bright: fround(brightSigma), source: fround(16 * smoothSigma), sharp: fround(Math.sqrt(sharp2) / 8), sharp2,
  };
}

/** The read noise's variance along a row. */
export function readRow({ readNoise, width }: VarianceTask, y: number): Float32Array {
  const row = new Float32Array(width);
  for (const box of readNoise) if (y >= box.y0 && y < box.y1) row.fill(box.variance, box.x0, box.x1);
  return row;
}

/** Rows below and above one; those of the image go on beyond its edges. */
export function boundsOf({ height }: VarianceTask, y: number): readonly [number, number] {
  return [Math.max(y - 1, 0), Math.min(y + 1, height - 1)];
}
