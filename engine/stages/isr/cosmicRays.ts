/**
 * Cosmic rays by the Laplacian of the image (van Dokkum 2001, PASP 113, 1420), at the image's own sampling.
 *
 * A ray's edge is sharper than the PSF lets any star be: its pixel stands above the mean of its neighbours by more than
 * the noise, and by far more than the fine structure that a star of that brightness would have.
 */
import { listSharp } from '../../kernels/list.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { medianInPlace } from '../../image/median.ts';

export type CosmicRayLimits = Readonly<{ sigma: number; growthFraction: number; contrast: number; rounds: number }>;

/**
 * Marks cosmic rays (CR): pixels that are sharp by themselves, then those beside a marked one that are sharp to a lower
 * limit once it is left out, `rounds` pixels far in each direction at most.
 *
 * @param planes image and variance, any matching unit, read only; mask, changed in place. Saturated, bad and missing
 * pixels neither begin a ray nor serve as neighbours.
 * @param indices [height × width], contents destroyed.
 * @param sharp   The pixels of `listSharp`, when somebody has looked for them already; those beside what is unusable may
 *                be left out.
 * @returns The pixels marked, in no order.
 */
export function markCosmicRays(
  planes: MaskedImage, limits: CosmicRayLimits, indices: Int32Array, sharp: Int32Array | null = null,
): number[] {
  const { width, height, image, variance, mask } = planes, { sigma, growthFraction, contrast, rounds } = limits;
  const rayBit = maskBits('CR');
  let found = sharp?.length ?? listSharp(image, variance, width, height, sigma, indices);
  if (sharp !== null) indices.set(sharp);
  const all: number[] = [];
  // The pixels found are as many as the sharp ones at first, then the neighbours of those that were marked.
  for (let round = 0; found > 0; round++) {
    const isFirst = round === 0, limit = isFirst ? sigma : growthFraction * sigma;
    const marked: number[] = [];
    for (let k = 0; k < found; k++) {
      const i = indices[k], x = i % width, y = (i - x) / width;
      if (x < 3 || y < 3 || x >= width - 3 || y >= height - 3 || (mask[i] & rayBit) !== 0) continue;
      const significance = sharpnessOf(planes, i);
      if (significance <= limit || !isSharp(planes, i, significance, contrast)) continue;
      marked.push(i);
    }
    for (const i of marked) { mask[i] |= rayBit; all.push(i); }
    found = round < rounds ? listAround(marked, width, mask, rayBit, indices) : 0;
  }
  return all;
}

/** Neighbours, diagonal ones too, of pixels; each once, but for the order. @returns How many. */
function listAround(pixels: readonly number[], width: number, mask: Uint16Array, bit: number, out: Int32Array): number {
  const near = new Set<number>();
  for (const i of pixels) {
    for (let j = i - width; j <= i + width; j += width) {
      for (let k = j - 1; k <= j + 1; k++) if ((mask[k] & bit) === 0) near.add(k);
    }
  }
  let count = 0;
  for (const i of near) if (count < out.length) out[count++] = i;
  return count;
}

/** Bits of a pixel that is never a ray, nor is any beside it: with light missing on one side a slope looks like one. */
export const RAYLESS = maskBits('SAT', 'BAD', 'NO_DATA', 'SUSPECT');
const RAY = maskBits('CR');

/** Height over the mean of those of the four neighbours that are no rays, in its noise; 0 beside an unusable pixel. */
function sharpnessOf({ width, image, variance, mask }: MaskedImage, i: number): number {
  for (let j = i - width; j <= i + width; j += width) {
    if (((mask[j - 1] | mask[j] | mask[j + 1]) & RAYLESS) !== 0) return 0;
  }
  let sum = 0, count = 0;
  if ((mask[i - 1] & RAY) === 0) { sum += image[i - 1]; count++; }
  if ((mask[i + 1] & RAY) === 0) { sum += image[i + 1]; count++; }
  if ((mask[i - width] & RAY) === 0) { sum += image[i - width]; count++; }
  if ((mask[i + width] & RAY) === 0) { sum += image[i + width]; count++; }
  const significance = count === 0 ? 0 : (image[i] - sum / count) / Math.sqrt(variance[i] * (1 + 1 / count));
  return Number.isNaN(significance) ? 0 : significance;
}

/** Side of the ring around a pixel, and its values. */
const RING_SIDE = 7, ring = new Float64Array(4 * (RING_SIDE - 1));

/**
 * Fine structure: what remains of the light around the pixel on a scale of 3 px once the broad light is off (median of
 * the ring 3 px away, of which another star may hold one side). A star fills its neighbours too; a ray does not.
 */
function isSharp(planes: MaskedImage, i: number, significance: number, contrast: number): boolean {
  const { width, image, variance, mask } = planes;
  let near = 0, nearCount = 0;
  for (let row = i - width; row <= i + width; row += width) {
    for (let j = row - 1; j <= row + 1; j++) {
      if (j === i || (mask[j] & (RAYLESS | RAY)) !== 0) continue;
      near += image[j];
      nearCount++;
    }
  }
  const farCount = gatherRing(planes, i);
  if (nearCount === 0 || farCount === 0) return false;
  let lowest = ring[0], highest = ring[0];
  for (let k = 1; k < farCount; k++) {
    if (ring[k] < lowest) lowest = ring[k]; else if (ring[k] > highest) highest = ring[k];
  }
  const light = near / nearCount, noise = Math.sqrt(variance[i]);
  const isOver = (level: number): boolean => significance > contrast * Math.max((light - level) / noise, 0);
  // The median need not be found where all values of the ring say the same.
  const isSharpest = isOver(lowest);
  return noise > 0 && isSharpest === isOver(highest) ? isSharpest : isOver(medianInPlace(ring, farCount));
}

/** The usable pixels that are 3 px away along either axis. @returns How many. */
function gatherRing({ width, image, mask }: MaskedImage, i: number): number {
  const reach = RING_SIDE >> 1;
  let count = 0;
  for (let dy = -reach; dy <= reach; dy++) {
    const row = i + dy * width, step = dy === -reach || dy === reach ? 1 : 2 * reach;
    for (let j = row - reach; j <= row + reach; j += step) {
      if ((mask[j] & (RAYLESS | RAY)) === 0) ring[count++] = image[j];
    }
  }
  return count;
}
