/** Chooses the places where the matching kernel is fitted, and measures how wide the two PSFs are there. */
import { markBlank, markNear } from '../../kernels/near.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { KernelStarConfig } from './config.ts';
import { medianOf, sampleOf } from './statistics.ts';

export type Stamp = Readonly<{ x: number; y: number }>;

export type StampChoice = Readonly<{
  stamps: readonly Stamp[];
  /** `stars`: isolated bright sources; `tiles`: the whole image, where there are too few of those. */
  kind: 'stars' | 'tiles';
  /** Sources bright enough, and how many were not used: touched a masked pixel, or too near another. */
  candidateCount: number; maskedCount: number; crowdedCount: number;
}>;

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
 */
export function chooseStamps(
  science: MaskedImage, template: MaskedImage, unusable: Uint8Array, marginPx: number, config: KernelStarConfig,
): StampChoice {
  const { width, height } = science, stamps: Stamp[] = [];
  const cellPx = Math.ceil(Math.sqrt((width * height * config.starsPerCell) / config.starCountMax));
  const light = brightPixels(template, marginPx, config);
  let candidateCount = 0, maskedCount = 0, crowdedCount = 0;
  for (let y0 = 0; y0 < height; y0 += cellPx) {
    for (let x0 = 0; x0 < width; x0 += cellPx) {
      const candidates = brightPeaks(science, template, light, x0, y0, cellPx, marginPx, config);
      candidateCount += candidates.length;
      const chosen: Stamp[] = [];
      for (const candidate of candidates) {
        if (chosen.length >= config.starsPerCell) break;
        if (usableFraction(unusable, width, candidate, config.stampHalfSizePx) < 1) { maskedCount++; continue; }
        const isNear = (other: Stamp): boolean =>
          Math.max(Math.abs(other.x - candidate.x), Math.abs(other.y - candidate.y)) <= config.stampHalfSizePx;
        if (chosen.some(isNear)) { crowdedCount++; continue; }
        chosen.push({ x: candidate.x, y: candidate.y });
      }
      stamps.push(...chosen);
    }
  }
  if (stamps.length >= config.starCountForTiles) {
    return { stamps, kind: 'stars', candidateCount, maskedCount, crowdedCount };
  }
  const tiles = tileStamps(unusable, width, height, marginPx, config.stampHalfSizePx);
  return { stamps: tiles, kind: 'tiles', candidateCount, maskedCount, crowdedCount };
}

type Peak = Readonly<{ x: number; y: number; sum: number }>;

/** Indices of pixels row by row: those of row y are from starts[y] to starts[y + 1]. */
type PixelList = Readonly<{ starts: Int32Array; indices: Int32Array }>;

/** Share of the noise by which a threshold stays below what the faintest variance of the image would make it. */
const FAINTEST = 0.9;

/**
 * The pixels of the template that can be the peak of a bright source: a mean of 3 × 3 pixels of SNR s has a pixel of
 * s/3 standard deviations at least.
 */
function brightPixels(
  { image, variance, width, height }: MaskedImage, marginPx: number, config: KernelStarConfig,
): PixelList {
  const sample = sampleOf(variance, (j) => variance[j] > 0).sort(), starts = new Int32Array(height + 1);
  const sigma = sample.length === 0 ? 0 : Math.sqrt(sample[Math.floor(sample.length / 20)]);
  const threshold = FAINTEST * (config.snrMin / 3) * sigma;
  let indices = new Int32Array(4096), count = 0;
  for (let y = 0; y < height; y++) {
    starts[y] = count;
    if (y < marginPx || y >= height - marginPx) continue;
    for (let j = y * width + marginPx, end = (y + 1) * width - marginPx; j < end; j++) {
      if (!(image[j] > threshold)) continue;
      if (count === indices.length) indices = Int32Array.from({ length: 2 * count }, (_, k) => indices[k] ?? 0);
      indices[count++] = j;
    }
  }
  starts[height] = count;
  return { starts, indices: indices.subarray(0, count) };
}

/** Peaks of the template in a cell that are bright in both images, the brightest first. */
function brightPeaks(
  science: MaskedImage, template: MaskedImage, { starts, indices }: PixelList, x0: number, y0: number, cellPx: number,
  marginPx: number, config: KernelStarConfig,
): Peak[] {
  const { width, height } = science, peaks: Peak[] = [];
  const xEnd = Math.min(x0 + cellPx, width - marginPx), yEnd = Math.min(y0 + cellPx, height - marginPx);
  for (let y = Math.max(y0, marginPx); y < yEnd; y++) {
    for (let k = firstFrom(indices, starts[y], starts[y + 1], y * width + x0); k < starts[y + 1]; k++) {
      const j = indices[k], x = j - y * width, value = template.image[j];
      if (x >= xEnd) break;
      if (!(value * value > template.variance[j]) || !isPeak(template.image, width, j, value)) continue;
      const s = boxSnr(science, j), t = boxSnr(template, j);
      if (s.snr >= config.snrMin && t.snr >= config.snrMin) peaks.push({ x, y, sum: s.sum });
    }
  }
  return peaks.sort((a, b) => b.sum - a.sum || a.y - b.y || a.x - b.x);
}

/** First place of a sorted list between `from` and `end` that holds `least` or more. */
function firstFrom(sorted: Int32Array, from: number, end: number, least: number): number {
  while (from < end) {
    const middle = (from + end) >> 1;
    if (sorted[middle] < least) from = middle + 1; else end = middle;
  }
  return from;
}

/** Whether no pixel of the 5 × 5 around is higher; of equal ones the last counts. */
function isPeak(image: Float32Array, width: number, j: number, value: number): boolean {
  for (let v = -2; v <= 2; v++) {
    for (let u = -2; u <= 2; u++) {
      const other = image[j + v * width + u];
      if (other > value || (other === value && (v > 0 || (v === 0 && u > 0)))) return false;
    }
  }
  return true;
}

function boxSnr({ image, variance, width }: MaskedImage, j: number): { sum: number; snr: number } {
  let sum = 0, noise = 0;
  for (let v = -1; v <= 1; v++) {
    for (let u = -1; u <= 1; u++) {
      sum += image[j + v * width + u];
      noise += variance[j + v * width + u];
    }
  }
  return { sum, snr: noise > 0 ? sum / Math.sqrt(noise) : 0 };
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

/** Pixels around a star that its width is measured on. */
const WIDTH_HALF_SIZE_PX = 8;

/**
 * Full width at half maximum of a Gaussian of the effective area (Σf)²/Σf² of the sources at the stamps, pixels: the
 * lower quartile, since galaxies and neighbours only widen. The variance is taken off Σf², which it would raise.
 */
export function stampFwhmPx(planes: MaskedImage, stamps: readonly Stamp[], backgroundLevel: number): number {
  const widths: number[] = [];
  for (const { x, y } of stamps) {
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
    if (sum > 0 && squares > 0) widths.push(2.3548 * Math.sqrt((sum * sum) / squares / (4 * Math.PI)));
  }
  widths.sort((a, b) => a - b);
  return medianOf(Float64Array.from(widths.slice(0, Math.max(1, widths.length >> 1))));
}
