import type { SubtractTask } from '../match.ts';

const { fround } = Math;

type Planes = Readonly<{ image: Float32Array; variance: Float32Array }>;

/** Twin of `listBright`. */
export function listBrightTwin(
  science: Planes, template: Planes, width: number, height: number, margin: number, threshold: number, snrMin: number,
  indices: Int32Array,
): number {
  const { image, variance } = template, least = fround(threshold);
  let found = 0;
  for (let y = margin; y < height - margin; y++) {
    for (let j = y * width + margin, end = y * width + width - margin; j < end; j++) {
      const value = image[j];
      if (!(value > least) || !isPeak(image, width, j) || !(value * value > variance[j])) continue;
      if (boxSnr(science, width, j) < snrMin || boxSnr(template, width, j) < snrMin) continue;
      if (found < indices.length) indices[found] = j;
      found++;
    }
  }
  return found;
}

/** Twin of `listPeaksOver`. */
export function listPeaksOverTwin(
  image: Float32Array, variance: Float32Array, width: number, height: number, margin: number, factor: number,
  indices: Int32Array,
): number {
  let found = 0;
  for (let y = margin; y < height - margin; y++) {
    for (let j = y * width + margin, end = y * width + width - margin; j < end; j++) {
      const value = image[j];
      if (!(value > 0) || !(fround(value * value) > fround(factor * variance[j])) || !isPeak(image, width, j)) continue;
      if (found < indices.length) indices[found] = j;
      found++;
    }
  }
  return found;
}

/** Twin of `addSlopes`. */
export function addSlopesTwin(
  plane: Float32Array, width: number, height: number, factorX: number, factorY: number, variance: Float32Array,
): void {
  for (let y = 1; y < height - 1; y++) {
    for (let j = y * width + 1, end = (y + 1) * width - 1; j < end; j++) {
      const dx = fround(plane[j + 1] - plane[j - 1]), dy = fround(plane[j + width] - plane[j - width]);
      const added = fround(fround(factorX * fround(dx * dx)) + fround(factorY * fround(dy * dy)));
      if (added === added) variance[j] += added;
    }
  }
}

function isPeak(image: Float32Array, width: number, j: number): boolean {
  const value = image[j];
  for (let v = -2; v <= 2; v++) {
    for (let u = -2; u <= 2; u++) {
      const other = image[j + v * width + u];
      if (other > value || (other === value && (v > 0 || (v === 0 && u > 0)))) return false;
    }
  }
  return true;
}

function boxSnr({ image, variance }: Planes, width: number, j: number): number {
  let sum = 0, noise = 0;
  for (let v = -1; v <= 1; v++) {
    for (let u = -1; u <= 1; u++) {
      sum += image[j + v * width + u];
      noise += variance[j + v * width + u];
    }
  }
  const snr = noise > 0 ? sum / Math.sqrt(noise) : 0;
  return Number.isNaN(snr) ? 0 : snr;
}

/** Twin of `subtractMatched`; `columns` is u of each column, `terms` [height × 3] the polynomial of each row. */
export function subtractMatchedTwin(task: SubtractTask, columns: Float32Array, terms: Float32Array): void {
  const { width, height, visit, matchedMask, a, b, kept, blank, noData, out } = task, factor = fround(task.factor);
  for (let j = 0; j < width * height; j++) {
    const x = j % width, row = 3 * ((j - x) / width), u = columns[x], value = visit.image[j];
    const mask = (visit.mask[j] & kept) | matchedMask[j] | (value - value === 0 ? 0 : noData);
    const polynomial = fround(terms[row] + fround(u * fround(terms[row + 1] + fround(u * terms[row + 2]))));
    const d = fround(fround(factor * fround(a[j] - b[j])) - polynomial);
    out.mask[j] = mask;
    out.image[j] = (mask & blank) === 0 && d - d === 0 ? d : 0;
  }
}

/** Twin of `blankMasked`. */
export function blankMaskedTwin(image: Float32Array, variance: Float32Array, mask: Uint16Array, bits: number): void {
  for (let j = 0; j < mask.length; j++) {
    if ((mask[j] & bits) === 0) continue;
    image[j] = NaN;
    variance[j] = 0;
  }
}

/** Twin of `keepBits`. */
export function keepBitsTwin(mask: Uint16Array, kept: number): void {
  for (let j = 0; j < mask.length; j++) mask[j] &= kept;
}

/** Twin of `flagAbove`. */
export function flagAboveTwin(plane: Float32Array, limit: number, mask: Uint16Array, bit: number): void {
  const least = fround(limit);
  for (let j = 0; j < plane.length; j++) if (plane[j] > least) mask[j] |= bit;
}

/** Twin of `flagNaN`. */
export function flagNaNTwin(plane: Float32Array, mask: Uint16Array, bit: number): void {
  for (let j = 0; j < plane.length; j++) if (Number.isNaN(plane[j])) mask[j] |= bit;
}

/** Twin of `slopeRow`, of the row that begins at `start`. */
export function slopeRowTwin(
  { image, variance, mask }: Planes & Readonly<{ mask: Uint16Array }>, blank: number, start: number, count: number,
  most: number, highest: number, sums: Float64Array,
): void {
  for (let first = 0; first + 4 < count; first += 4) {
    for (let k = 0; k < 4; k++) {
      const j = start + first + k, d = fround(image[j + 1] - image[j]), dv = fround(variance[j + 1] - variance[j]);
      const isUsed = ((mask[j] | mask[j + 1]) & blank) === 0 && fround(d * d) < most && variance[j] <= highest
        && dv - dv === 0;
      sums[k] += isUsed ? d * dv : 0;
      sums[4 + k] += isUsed ? d * d : 0;
    }
  }
}

/** Twin of `translateMask`. */
export function translateMaskTwin(mask: Uint16Array, moves: readonly (readonly [number, number])[]): void {
  for (let j = 0; j < mask.length; j++) {
    if (mask[j] === 0) continue;
    const stored = ((mask[j] << 8) & 0xff00) | (mask[j] >> 8);
    mask[j] = moves.reduce((bits, [from, to]) => bits | ((stored & from) === 0 ? 0 : to), 0);
  }
}
