/**
 * Sources of a single image of any kind: pixels well above the sky, joined, parted, measured. The method and its
 * defaults are source-extractor's (Bertin & Arnouts 1996, A&AS 117, 393).
 */
import { StageError } from '../../errors.ts';
import { measureBackground, subtractBackground } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { median } from '../../image/median.ts';
import { createEllipseSummer, type EllipseSummer } from '../../kernels/ellipse.ts';
import { labelRegions, listRegions, REGION_FIELDS } from '../../kernels/label.ts';
import { smoothSeparable } from '../../kernels/smooth.ts';
import { ownersOf } from './clean.ts';
import type { ExtractConfig } from './config.ts';
import { createDeblendWork, deblend } from './deblend.ts';
import { kronFlux, type ExtractPlanes } from './kron.ts';
import { measureMoments, type Moments, type Pixels } from './moments.ts';

/** Bits of a source's `flags`; values are source-extractor's. */
export const SOURCE_FLAGS = {
  /** Neighbours or bad pixels hold more than a tenth of the aperture. */
  crowded: 1,
  /** Was parted from another source. */
  blended: 2,
  /** Has a saturated pixel. */
  saturated: 4,
  /** Its outline touches the border. */
  truncated: 8,
  /** Its aperture reaches over the border. */
  incomplete: 16,
} as const;

export type Source = Readonly<{
  /** Barycentre of the filtered light within the outline; 0-based pixels. */
  x: number; y: number;
  /** In a Kron aperture, the image's unit. */
  flux: number; fluxErr: number;
  snr: number;
  /** Standard deviations of the light along the axes, px; angle of the first from +x towards +y, degrees. */
  a: number; b: number; thetaDeg: number;
  /** `SOURCE_FLAGS`. */
  flags: number;
  /** Sum of the pixels within the outline, the image's unit. */
  isophotalFlux: number; isophotalFluxErr: number;
  pixelCount: number;
  /** Semi-major axis of the aperture, px. */
  kronRadiusPx: number;
}>;

export type Extraction = Readonly<{
  /** Sorted by (y, x). */
  sources: readonly Source[];
  /** Median level and rms of the background, the image's unit. */
  backgroundLevel: number; backgroundRms: number;
  /** Connected regions of enough pixels; sources that they were parted into; sources that were a neighbour's wings. */
  footprintCount: number; partCount: number; wingCount: number;
}>;

/** What is known of the image beside its pixels. */
export type ExtractKnowledge = Readonly<{
  /** Electrons per unit of the image; null when unknown: source noise is then left out of errors. */
  gain: number | null;
  /** Value from which a pixel of the image as given is saturated; null when only the mask tells. */
  saturation: number | null;
}>;

/** Planes of the image's size; contents destroyed. */
export type ExtractScratch = Readonly<{ filtered: Float32Array; labels: Int32Array }>;

/** Pixels that hold no measurement. */
const BAD_BITS = maskBits('BAD', 'NO_DATA');
/** One side of the pyramid filter, 1 2 1. */
const PYRAMID = Float64Array.of(0.25, 0.5, 0.25);

/**
 * @param planes image: the background is taken off in place. mask: SAT is added where `saturation` says so.
 * @throws StageError (reject): BACKGROUND_UNKNOWN (hardly a usable pixel), IMAGE_CONSTANT.
 */
export function extractSources(
  planes: ExtractPlanes, knowledge: ExtractKnowledge, config: ExtractConfig, scratch: ExtractScratch,
): Extraction {
  const { width, height, image, mask } = planes, { filtered, labels } = scratch;
  markSaturated(planes, knowledge.saturation);
  const rowStep = width * height > config.wholeSkyPixelsMax ? 2 : 1;
  const background = measureBackground(image, mask, width, height, BAD_BITS, { ...config.background, rowStep });
  if (background === null) throw refuse('BACKGROUND_UNKNOWN', 'no part of the image shows the sky');
  const rms = median(background.sigma), level = median(background.level);
  if (!(rms > 0)) throw refuse('IMAGE_CONSTANT', 'the image is constant over most of its area');
  subtractBackground(image, background);
  smoothSeparable(image, mask, BAD_BITS, width, height, PYRAMID, filtered);
  const threshold = config.thresholdSigma * rms;
  const regions = labelRegions(filtered, width, height, 1, threshold, labels);
  const parts: Part[] = [], work = createDeblendWork();
  const { indices, tops } = listRegions(labels, filtered, width, height, regions, config.pixelCountMin);
  let footprintCount = 0, used = 0;
  for (let n = 0; n < regions.count; n++) {
    const at = n * REGION_FIELDS, { boxes } = regions, pixelCount = boxes[at + 4];
    if (pixelCount < config.pixelCountMin) continue;
    footprintCount++;
    const box = { x0: boxes[at], y0: boxes[at + 1], x1: boxes[at + 2], y1: boxes[at + 3] };
    const pixels = indices.subarray(used, used += pixelCount);
    // What has one top is connected at every level, and so parts at none.
    const shares = tops[n] < 2 ? [pixels] : deblend(filtered, width, pixels, box, threshold, config.deblend, work);
    for (const share of shares) {
      if (share.length < config.pixelCountMin) { unlabel(labels, share); continue; }
      parts.push({ ...partOf(filtered, width, share, threshold, config), isBlended: shares.length > 1 });
    }
  }
  const found = withoutWings(parts, threshold, config.wingExponent, filtered, width);
  // All other labels are 0.
  found.forEach(({ pixels }, k) => { for (let i = 0; i < pixels.length; i++) labels[pixels[i]] = k + 1; });
  const sumEllipse = createEllipseSummer({ ...planes, pixelVariance: rms * rms, badBits: BAD_BITS, labels });
  const sources = found.map((part, k) => measure(planes, knowledge.gain, sumEllipse, k + 1, part, rms, config));
  sources.sort((p, q) => p.y - q.y || p.x - q.x);
  return {
    sources, backgroundLevel: level, backgroundRms: rms, footprintCount, partCount: parts.length,
    wingCount: parts.length - found.length,
  };
}

function unlabel(labels: Int32Array, pixels: Pixels): void {
  for (let i = 0; i < pixels.length; i++) labels[pixels[i]] = 0;
}

function refuse(code: string, message: string): StageError {
  return new StageError({ code, message, stage: 'detect', disposition: 'reject' });
}

function markSaturated({ image, mask }: ExtractPlanes, saturation: number | null): void {
  if (saturation === null) return;
  const bit = maskBits('SAT');
  for (let i = 0; i < image.length; i++) if (image[i] >= saturation) mask[i] |= bit;
}

type Part = Readonly<{ pixels: Pixels; shape: Moments; margin: number; isBlended: boolean }>;

function partOf(
  filtered: Float32Array, width: number, pixels: Pixels, threshold: number, config: ExtractConfig,
): Omit<Part, 'isBlended'> {
  // The n highest, in falling order: few, and found in one go.
  const highest = new Array<number>(config.pixelCountMin).fill(-Infinity), last = highest.length - 1;
  for (let k = 0; k < pixels.length; k++) {
    const value = filtered[pixels[k]];
    if (!(value > highest[last])) continue;
    let at = last;
    for (; at > 0 && highest[at - 1] < value; at--) highest[at] = highest[at - 1];
    highest[at] = value;
  }
  return { pixels, shape: measureMoments(filtered, width, pixels), margin: highest[last] - threshold };
}

/** Parts that are a neighbour's wings go to that neighbour; its shape stays as it was. */
function withoutWings(
  parts: readonly Part[], threshold: number, exponent: number, filtered: Float32Array, width: number,
): Part[] {
  const owners = ownersOf(parts, threshold, exponent), joined = new Map<number, Pixels[]>();
  owners.forEach((owner, i) => { joined.set(owner, [...(joined.get(owner) ?? []), parts[i].pixels]); });
  return parts.flatMap((part, i) => {
    if (owners[i] !== i) return [];
    const all = joined.get(i) ?? [];
    if (all.length === 1) return [part];
    const pixels = Int32Array.from(all.flatMap((list) => Array.from(list)));
    return [{ ...part, pixels, shape: measureMoments(filtered, width, pixels) }];
  });
}

function measure(
  planes: ExtractPlanes, gain: number | null, sumEllipse: EllipseSummer, label: number, part: Part, rms: number,
  config: ExtractConfig,
): Source {
  const { shape, pixels } = part;
  const kron = kronFlux(sumEllipse, planes, label, shape, config.kron);
  const outline = sumOutline(planes, pixels, rms * rms);
  // A variance plane holds the source's own noise already.
  const sourceVariance = (flux: number): number => (
    gain === null || planes.variance !== null ? 0 : Math.max(flux, 0) / gain
  );
  const fluxErr = Math.sqrt(kron.variance + sourceVariance(kron.flux));
  return {
    x: shape.x, y: shape.y, flux: kron.flux, fluxErr, snr: kron.flux / fluxErr, a: shape.a, b: shape.b,
    thetaDeg: shape.thetaDeg, isophotalFlux: outline.flux,
    isophotalFluxErr: Math.sqrt(outline.variance + sourceVariance(outline.flux)),
    pixelCount: pixels.length, kronRadiusPx: kron.radius * shape.a,
    flags: (kron.isCrowded ? SOURCE_FLAGS.crowded : 0) | (part.isBlended ? SOURCE_FLAGS.blended : 0)
      | (outline.isSaturated ? SOURCE_FLAGS.saturated : 0) | (outline.isAtBorder ? SOURCE_FLAGS.truncated : 0)
      | (kron.isIncomplete ? SOURCE_FLAGS.incomplete : 0),
  };
}

/** Sums over the pixels of a source; bad ones count nothing. */
function sumOutline(
  { width, height, image, variance, mask }: ExtractPlanes, pixels: Pixels, pixelVariance: number,
): { flux: number; variance: number; isSaturated: boolean; isAtBorder: boolean } {
  const saturatedBit = maskBits('SAT');
  let flux = 0, sum = 0, isSaturated = false, isAtBorder = false;
  let y = Math.floor(pixels[0] / width), start = y * width;
  for (let k = 0; k < pixels.length; k++) {
    const i = pixels[k];
    while (i >= start + width) { start += width; y++; }
    while (i < start) { start -= width; y--; }
    if (i === start || y === 0 || i === start + width - 1 || y === height - 1) isAtBorder = true;
    if ((mask[i] & saturatedBit) !== 0) isSaturated = true;
    if ((mask[i] & BAD_BITS) !== 0 || image[i] !== image[i]) continue;
    flux += image[i];
    sum += variance === null ? pixelVariance : variance[i];
  }
  return { flux, variance: sum, isSaturated, isAtBorder };
}
