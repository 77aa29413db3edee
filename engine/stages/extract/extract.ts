/**
 * Sources of a single image of any kind: pixels well above the sky, joined, parted, measured. The method and its
 * defaults are source-extractor's (Bertin & Arnouts 1996, A&AS 117, 393).
 */
import type { Box } from '../../../schemas/camera.ts';
import { StageError } from '../../errors.ts';
import { measureBackground } from '../../image/background.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { median } from '../../image/median.ts';
import { createEllipseSummer, type EllipseSummer } from '../../kernels/ellipse.ts';
import { findFootprints, type FootprintTask } from '../../kernels/footprints.ts';
import { REGION_FIELDS } from '../../kernels/label.ts';
import { ownersOf } from './clean.ts';
import type { ExtractConfig } from './config.ts';
import { createDeblendWork, deblend } from './deblend.ts';
import { choosePixels, joinPixels, pixelsOf, type Pixels } from './footprints.ts';
import { kronFlux, type ExtractPlanes } from './kron.ts';
import { measureMoments, type Moments } from './moments.ts';

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
export type ExtractScratch = Readonly<{ light: Float32Array; labels: Int32Array }>;

/** Pixels that hold no measurement. */
const BAD_BITS = maskBits('BAD', 'NO_DATA');
/** The pyramid filter's 1 2 1. */
const PYRAMID = { middleTap: 0.5, sideTap: 0.25 };

/**
 * @param planes image: the background is taken off in place. mask: SAT is added where `saturation` says so.
 * @throws StageError (reject): BACKGROUND_UNKNOWN (hardly a usable pixel), IMAGE_CONSTANT.
 */
export function extractSources(
  planes: ExtractPlanes, knowledge: ExtractKnowledge, config: ExtractConfig, scratch: ExtractScratch,
): Extraction {
  const { width, height, image, mask } = planes;
  markSaturated(planes, knowledge.saturation);
  const rowStep = width * height > config.wholeSkyPixelsMax ? config.rowStep : 1;
  const background = measureBackground(image, mask, width, height, BAD_BITS, { ...config.background, rowStep });
  if (background === null) throw refuse('BACKGROUND_UNKNOWN', 'no part of the image shows the sky');
  const rms = median(background.sigma), level = median(background.level);
  if (!(rms > 0)) throw refuse('IMAGE_CONSTANT', 'the image is constant over most of its area');
  const threshold = config.thresholdSigma * rms, mesh = { ...background, cells: background.level };
  const { parts, footprintCount } = findParts(
    { image, mask, zeroBits: BAD_BITS, width, height, mesh, threshold, countMin: config.pixelCountMin, ...PYRAMID },
    config, scratch.light,
  );
  const found = withoutWings(parts, threshold, config.wingExponent, width);
  const owners = markOwners(found, scratch);
  const sumEllipse = createEllipseSummer({ ...planes, pixelVariance: rms * rms, badBits: BAD_BITS, ...owners });
  const sources = found.map((part, k) => measure(planes, knowledge.gain, sumEllipse, k + 1, part, rms, config));
  sources.sort((p, q) => p.y - q.y || p.x - q.x);
  return {
    sources, backgroundLevel: level, backgroundRms: rms, footprintCount, partCount: parts.length,
    wingCount: parts.length - found.length,
  };
}

/** Footprints, parted into their sources. */
function findParts(
  task: FootprintTask, config: ExtractConfig, scratch: Float32Array,
): { parts: Part[]; footprintCount: number } {
  const { width, threshold, countMin } = task, found = findFootprints(task, scratch), { boxes } = found.regions;
  const parts: Part[] = [], work = createDeblendWork(), footprints = pixelsOf(found, width, countMin);
  let n = 0;
  for (const pixels of footprints) {
    while (boxes[REGION_FIELDS * n + 4] < countMin) n++;
    // What has one top is connected at every level, and so parts at none.
    const shares = found.tops[n] < 2 ? null
      : deblend(pixels, width, boxOf(boxes, n), threshold, config.deblend, work);
    n++;
    if (shares === null) { parts.push(partOf(pixels, false, width, threshold, countMin)); continue; }
    for (const share of shares) {
      if (share.length < countMin) continue;
      parts.push(partOf(choosePixels(pixels, share), true, width, threshold, countMin));
    }
  }
  return { parts, footprintCount: footprints.length };
}

function boxOf(boxes: Int32Array, n: number): Box {
  const [x0, y0, x1, y1] = boxes.subarray(REGION_FIELDS * n, REGION_FIELDS * n + 4);
  return { x0, y0, x1, y1 };
}

/**
 * Whose each pixel is: a bit for every one that is somebody's, and there the number of the part, from 1 on. Labels of
 * other pixels mean nothing: to clear a bit of each costs a thirtieth of clearing them.
 */
function markOwners(
  parts: readonly Part[], { light, labels }: ExtractScratch,
): { marks: Uint32Array; labels: Int32Array } {
  const marks = marksOf(light);
  marks.fill(0);
  parts.forEach(({ pixels: { indices } }, k) => {
    for (let i = 0; i < indices.length; i++) {
      const index = indices[i];
      labels[index] = k + 1;
      marks[index >> 5] |= 1 << (index & 31);
    }
  });
  return { marks, labels };
}

/** The light's plane, which nobody needs any more, as bits of as many pixels. */
function marksOf(light: Float32Array): Uint32Array {
  return new Uint32Array(light.buffer, light.byteOffset, Math.ceil(light.length / 32));
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

function partOf(pixels: Pixels, isBlended: boolean, width: number, threshold: number, countMin: number): Part {
  // The n highest, in falling order: few, and found in one go.
  const highest = new Array<number>(countMin).fill(-Infinity), last = highest.length - 1, { light } = pixels;
  for (let k = 0; k < light.length; k++) {
    const value = light[k];
    if (!(value > highest[last])) continue;
    let at = last;
    for (; at > 0 && highest[at - 1] < value; at--) highest[at] = highest[at - 1];
    highest[at] = value;
  }
  return { pixels, shape: measureMoments(pixels, width), margin: highest[last] - threshold, isBlended };
}

/** Parts that are a neighbour's wings go to that neighbour. */
function withoutWings(parts: readonly Part[], threshold: number, exponent: number, width: number): Part[] {
  const owners = ownersOf(parts, threshold, exponent), joined = parts.map((): Pixels[] => []);
  owners.forEach((owner, i) => { joined[owner].push(parts[i].pixels); });
  return parts.flatMap((part, i) => {
    if (owners[i] !== i) return [];
    if (joined[i].length === 1) return [part];
    const pixels = joinPixels(joined[i]);
    return [{ ...part, pixels, shape: measureMoments(pixels, width) }];
  });
}

function measure(
  planes: ExtractPlanes, gain: number | null, sumEllipse: EllipseSummer, label: number, part: Part, rms: number,
  config: ExtractConfig,
): Source {
  const { shape, pixels } = part;
  const kron = kronFlux(sumEllipse, planes, label, shape, config.kron);
  const outline = sumOutline(planes, pixels.indices, rms * rms);
  // A variance plane holds the source's own noise already.
  const sourceVariance = (flux: number): number => (
    gain === null || planes.variance !== null ? 0 : Math.max(flux, 0) / gain
  );
  const fluxErr = Math.sqrt(kron.variance + sourceVariance(kron.flux));
  return {
    x: shape.x, y: shape.y, flux: kron.flux, fluxErr, snr: kron.flux / fluxErr, a: shape.a, b: shape.b,
    thetaDeg: shape.thetaDeg, isophotalFlux: outline.flux,
    isophotalFluxErr: Math.sqrt(outline.variance + sourceVariance(outline.flux)),
    pixelCount: pixels.indices.length, kronRadiusPx: kron.radius * shape.a,
    flags: (kron.isCrowded ? SOURCE_FLAGS.crowded : 0) | (part.isBlended ? SOURCE_FLAGS.blended : 0)
      | (outline.isSaturated ? SOURCE_FLAGS.saturated : 0) | (outline.isAtBorder ? SOURCE_FLAGS.truncated : 0)
      | (kron.isIncomplete ? SOURCE_FLAGS.incomplete : 0),
  };
}

/** Sums over the pixels of a source; bad ones count nothing. */
function sumOutline(
  { width, height, image, variance, mask }: ExtractPlanes, pixels: Int32Array, pixelVariance: number,
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
