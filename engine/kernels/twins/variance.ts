import type { VarianceTask } from '../variance.ts';

const { fround } = Math;

/** Twin of `prepareVariance`, in single precision. */
export function varianceRowsTwin(task: VarianceTask, first: number, end: number): void {
  const { width, sky: { columns, rows, cellWidth, cellHeight, level: cells } } = task;
  const [bright, source] = significances(task), pieces = Math.max(columns - 1, 1);
  for (let y = first; y < end; y++) {
    const v = rows === 1 ? 0 : (y + 0.5) / cellHeight - 0.5;
    const row = Math.min(Math.max(Math.floor(v), 0), Math.max(rows - 2, 0)), part = rows === 1 ? 0 : v - row;
    const low = row * columns, high = Math.min(row + 1, rows - 1) * columns, read = readRow(task, y);
    let x0 = 0;
    for (let c = 0; c < pieces; c++) {
      const next = Math.min(c + 1, columns - 1), centre = (c + 0.5) * cellWidth - 0.5;
      const left = cells[low + c] * (1 - part) + cells[high + c] * part;
      const right = cells[low + next] * (1 - part) + cells[high + next] * part;
      const slope = columns === 1 ? 0 : (right - left) / cellWidth;
      const x1 = c + 1 === pieces ? width : Math.min(Math.ceil(centre + cellWidth) & ~7, width);
      if (x1 <= x0) continue;
      const middle = (x0 + x1) >> 1, level = fround(left + slope * (middle - centre));
      const sigma = fround(Math.sqrt(fround(Math.max(level, 0) + read[middle])));
      fillPiece(task, y, x0, x1, read, {
        base: fround(left + slope * (x0 - centre)), slope: fround(slope), source: fround(source * sigma),
        bright: fround(bright * sigma),
      });
      x0 = x1;
    }
  }
}

type Piece = Readonly<{ base: number; slope: number; source: number; bright: number }>;

function fillPiece(
  task: VarianceTask, y: number, x0: number, x1: number, read: Float32Array, { base, slope, source, bright }: Piece,
): void {
  const { image, variance, isInverse, width } = task, [below, above] = boundsOf(task, y);
  const columnOf = (x: number): number => {
    const middle = image[y * width + x];
    return fround(fround(image[below * width + x] + middle) + fround(middle + image[above * width + x]));
  };
  const levels = Array.from({ length: 8 }, (_, k) => fround(base + fround(slope * k)));
  for (let x = x0; x < x1; x++) {
    const k = (x - x0) & 7, level = levels[k], i = y * width + x, value = image[i], middle = columnOf(x);
    levels[k] = fround(level + fround(slope * 8));
    const left = fround(columnOf(Math.max(x - 1, 0)) + middle);
    const right = fround(middle + columnOf(Math.min(x + 1, width - 1))), sum = fround(left + right);
    const inverse = isInverse ? variance[i] : 1;
    let light = level > 0 ? level : 0;
    if (value > fround(level + bright)) light = value;
    else if (sum > fround(fround(level * 16) + source)) light = sum > 0 ? fround(sum * 0.0625) : 0;
    variance[i] = Number.isNaN(value) ? NaN : fround(light + fround(read[x] * inverse)) * inverse;
  }
}

/** Of a pixel's own light, and of 16 times the smoothed; float32. */
export function significances({ brightSigma, smoothSigma }: VarianceTask): readonly [number, number] {
  return [Math.fround(brightSigma), Math.fround(16 * smoothSigma)];
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
