/** Chooses the places where the matching kernel is fitted, and measures how wide the two PSFs are there. */
import { listBright } from '../../kernels/match.ts';
import { markBlank, markNear } from '../../kernels/near.ts';
import { smallestOf } from '../../kernels/sample.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { FWHM_PER_SIGMA } from '../../image/psf.ts';
import type { KernelStarConfig } from './config.ts';
import { medianOf, sampleOf } from './statistics.ts';

export type Stamp = Readonly<{ x: number; y: number }>;

export type StampChoice = Readonly<{
  stamps: readonly Stamp[];
  /** Those that the kernel is fitted to: the brightest of every cell, then the second of every cell, and so on. */
  fitted: readonly Stamp[];
  /** `stars`: isolated bright sources; `tiles`: the whole image, where there are too few of those. */
  kind: 'stars' | 'tiles';
  /** Sources bright enough, and how many were not used: touched a masked pixel, or too near another. */
  candidateCount: number; maskedCount: number; crowdedCount: number;
  /** Each of the sources that were not chosen, `surplus` where brighter ones of its cell suffice. */
  passedOver: readonly PassedOver[];
}>;

export type PassedOver = Stamp & Readonly<{ reason: 'masked' | 'crowded' | 'surplus' }>;

const NO_DATA = maskBits('NO_DATA');
/** Pixels that may not enter a fit, in either image. */
const UNUSABLE = maskBits('BAD', 'SAT', 'INTRP', 'CR', 'EDGE', 'SUSPECT', 'NO_DATA', 'SAT_TEMPLATE', 'STREAK', 'SPIKE');

/**
 * Marks pixels that may not enter the fit: those masked in either image, and all within `reachPx` of a masked pixel of
 * the template, which the kernel would spread over them.
 *
 * @param out [height × width], 0 or 1, overwritten.
 */
export function markUnusable(
  science: MaskedImage, template: MaskedImage, reachPx: number, out: Uint8Array,
): void {
  markNear(template.mask, UNUSABLE, science.width, science.height, reachPx, out);
  markBlank(science.mask, UNUSABLE, science.image, out);
}

/**
 * Bright isolated sources spread over the detector, or tiles of the whole image when there are too few.
 *
 * A source need not be a star: whatever the template shows, the kernel has to turn into what the visit shows.
 *
 * @param unusable [height × width], 1 where a pixel may not be fitted. Read only.
 * @param marginPx Distance that a stamp's centre keeps from the image's border.
 * @param scratch  [height × width], contents destroyed.
 */
export function chooseStamps(
  science: MaskedImage, template: MaskedImage, unusable: Uint8Array, marginPx: number, config: KernelStarConfig,
  scratch: Float32Array,
): StampChoice {
  const { width, height } = science, stamps: Stamp[] = [], ranks: Stamp[][] = [];
  const cellPx = Math.ceil(Math.sqrt((width * height * config.starsPerCell) / config.starCountMax));
  const indices = new Int32Array(scratch.buffer, scratch.byteOffset, scratch.length);
  const passedOver: PassedOver[] = [];
  let candidateCount = 0, maskedCount = 0, crowdedCount = 0;
  for (const candidates of brightPeaks(science, template, cellPx, marginPx, config, indices)) {
    candidateCount += candidates.length;
    const chosen: Stamp[] = [];
    for (const candidate of candidates) {
      const passOver = (reason: PassedOver['reason']): void => {
        passedOver.push({ x: candidate.x, y: candidate.y, reason });
      };
      if (chosen.length >= config.starsPerCell) { passOver('surplus'); continue; }
      if (usableFraction(unusable, width, candidate, config.stampHalfSizePx) < 1) {
        maskedCount++;
        passOver('masked');
        continue;
      }
      const isNear = (other: Stamp): boolean =>
        Math.max(Math.abs(other.x - candidate.x), Math.abs(other.y - candidate.y)) <= config.stampHalfSizePx;
      if (chosen.some(isNear)) {
        crowdedCount++;
        passOver('crowded');
        continue;
      }
      chosen.push({ x: candidate.x, y: candidate.y });
    }
    stamps.push(...chosen);
    chosen.forEach((stamp, rank) => (ranks[rank] ??= []).push(stamp));
  }
  if (stamps.length >= config.starCountForTiles) {
    const fitted: Stamp[] = [];
    for (const rank of ranks) fitted.push(...spread(rank, config.fitStarCount - fitted.length));
    return { stamps, fitted, kind: 'stars', candidateCount, maskedCount, crowdedCount, passedOver };
  }
  const tiles = tileStamps(unusable, width, height, marginPx, config.stampHalfSizePx);
  return { stamps: tiles, fitted: tiles, kind: 'tiles', candidateCount, maskedCount, crowdedCount, passedOver };
}

/** So many of the stamps at most, from all over the list. */
function spread(stamps: readonly Stamp[], most: number): Stamp[] {
  const count = Math.min(stamps.length, Math.max(0, most));
  return Array.from({ length: count }, (_, i) => stamps[Math.floor((i * stamps.length) / count)]);
}

type Peak = Readonly<{ x: number; y: number; sum: number }>;

/** Share of the noise by which a threshold stays below what the faintest variance of the image would make it. */
const FAINTEST = 0.9;

/**
 * Peaks of the template that are bright in both images, by square cells row by row, the brightest of each first.
 *
 * @param indices Work: what it has room for is how many peaks there can be.
 */
function brightPeaks(
  science: MaskedImage, template: MaskedImage, cellPx: number, marginPx: number, config: KernelStarConfig,
  indices: Int32Array,
): readonly (readonly Peak[])[] {
  const { width, height, image } = science, columns = Math.ceil(width / cellPx), rows = Math.ceil(height / cellPx);
  const cells = Array.from({ length: columns * rows }, (): Peak[] => []);
  const sample = sampleOf(template.variance, template.mask, NO_DATA), { length } = sample;
  const sigma = length === 0 ? 0 : Math.sqrt(smallestOf(sample, Math.floor(length / 20), image));
  // A mean of 3 × 3 pixels of SNR s has a pixel of s / 3 standard deviations at least.
  const threshold = FAINTEST * (config.snrMin / 3) * sigma;
  const found = listBright(science, template, marginPx, threshold, config.snrMin, indices);
  for (const j of indices.subarray(0, found)) {
    const x = j % width, y = (j - x) / width;
    let sum = 0;
    for (let k = j - width; k <= j + width; k += width) sum += image[k - 1] + image[k] + image[k + 1];
    cells[Math.floor(y / cellPx) * columns + Math.floor(x / cellPx)].push({ x, y, sum });
  }
  for (const cell of cells) cell.sort((a, b) => b.sum - a.sum || a.y - b.y || a.x - b.x);
  return cells;
}

function usableFraction(unusable: Uint8Array, width: number, { x, y }: Stamp, half: number): number {
  let count = 0;
  for (let v = y - half; v <= y + half; v++) {
    for (let u = x - half; u <= x + half; u++) count += unusable[v * width + u];
  }
  return 1 - count / (2 * half + 1) ** 2;
}

/** Stamps side by side over the whole image, where half of the pixels can be used. */
function tileStamps(unusable: Uint8Array, width: number, height: number, marginPx: number, half: number): Stamp[] {
  const stamps: Stamp[] = [], step = 2 * half + 1;
  for (let y = marginPx; y < height - marginPx; y += step) {
    for (let x = marginPx; x < width - marginPx; x += step) {
      if (usableFraction(unusable, width, { x, y }, half) >= 0.5) stamps.push({ x, y });
    }
  }
  return stamps;
}

/** Sources that tell the width, from all over the image: of the 100 narrower ones the median is good to 1 %. */
const WIDTH_COUNT_MAX = 200;
/** Pixels around a star that its width is measured on. */
const WIDTH_HALF_SIZE_PX = 8;

/**
 * Full width at half maximum of a Gaussian of the effective area (Σf)²/Σf² of the sources at the stamps, pixels: the
 * lower quartile, since galaxies and neighbours only widen. The variance is taken off Σf², which it would raise.
 */
export function stampFwhmPx(planes: MaskedImage, stamps: readonly Stamp[], backgroundLevel: number): number {
  const widths: number[] = [], step = Math.max(1, stamps.length / WIDTH_COUNT_MAX);
  for (let i = 0; i < stamps.length; i += step) {
    const { x, y } = stamps[Math.floor(i)];
    const half = Math.min(WIDTH_HALF_SIZE_PX, x, y, planes.width - 1 - x, planes.height - 1 - y);
    let sum = 0, squares = 0;
    for (let v = y - half; v <= y + half; v++) {
      for (let u = x - half; u <= x + half; u++) {
        const j = v * planes.width + u, value = planes.image[j] - backgroundLevel;
        if (!Number.isFinite(value)) continue;
        sum += value;
        squares += value * value - planes.variance[j];
      }
    }
    if (sum > 0 && squares > 0) widths.push(FWHM_PER_SIGMA * Math.sqrt((sum * sum) / squares / (4 * Math.PI)));
  }
  widths.sort((a, b) => a - b);
  return medianOf(Float64Array.from(widths.slice(0, Math.max(1, widths.length >> 1))));
}
