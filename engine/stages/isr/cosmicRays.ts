/**
 * Cosmic rays by the Laplacian of the image (van Dokkum 2001, PASP 113, 1420), at the image's own sampling.
 *
 * A ray's edge is sharper than the PSF lets any star be: its pixel stands above the median of its neighbours by more
 * than the noise, and by far more than the fine structure that a star of that brightness would have.
 */
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';

export type CosmicRayLimits = Readonly<{ sigma: number; growthFraction: number; contrast: number; rounds: number }>;

/**
 * Marks cosmic rays (CR).
 *
 * @param planes image and variance, any matching unit, read only; mask, changed in place. Saturated, bad and missing
 * pixels neither begin a ray nor serve as neighbours.
 * @param scratch [height × width], contents destroyed.
 * @returns Number of pixels marked.
 */
export function markCosmicRays(planes: MaskedImage, limits: CosmicRayLimits, scratch: Float32Array): number {
  const { width, height } = planes;
  const rayBit = maskBits('CR'), unusableBits = maskBits('SAT', 'BAD', 'NO_DATA', 'SUSPECT');
  let total = 0;
  for (let round = 0; round < limits.rounds; round++) {
    const significance = scratch;
    fillSharpness(planes, unusableBits, rayBit, significance);
    let found = 0;
    for (let y = 3; y < height - 3; y++) {
      for (let x = 3; x < width - 3; x++) {
        const i = y * width + x;
        if ((planes.mask[i] & rayBit) !== 0) continue;
        const isNext = touches(planes.mask, width, i, rayBit);
        const limit = isNext ? limits.growthFraction * limits.sigma : limits.sigma;
        if (significance[i] <= limit) continue;
        const contrast = isNext ? limits.contrast / 2 : limits.contrast;
        if (!isSharp(planes, i, significance[i], contrast, unusableBits | rayBit)) continue;
        planes.mask[i] |= rayBit;
        found++;
      }
    }
    total += found;
    if (found === 0) break;
  }
  return total;
}

/**
 * Height of each pixel over the mean of its four neighbours, in standard deviations of the difference.
 *
 * A pixel beside an unusable one (a saturated core, a dead column) is never a ray: with neighbours missing on one side, a
 * star's slope or ridge would look like one. A neighbour that is already a ray's is replaced by the one opposite.
 */
function fillSharpness(planes: MaskedImage, unusableBits: number, rayBit: number, out: Float32Array): void {
  const { width, height, image, variance, mask } = planes;
  out.fill(0);
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * width + 1, end = (y + 1) * width - 1; i < end; i++) {
      if ((mask[i] & unusableBits) !== 0 || touches(mask, width, i, unusableBits)) continue;
      let sum = 0, count = 0;
      if ((mask[i - 1] & rayBit) === 0) { sum += image[i - 1]; count++; }
      if ((mask[i + 1] & rayBit) === 0) { sum += image[i + 1]; count++; }
      if ((mask[i - width] & rayBit) === 0) { sum += image[i - width]; count++; }
      if ((mask[i + width] & rayBit) === 0) { sum += image[i + width]; count++; }
      if (count === 0) continue;
      // A pixel minus the mean of n neighbours scatters by √(1 + 1/n).
      const value = (image[i] - sum / count) / Math.sqrt(variance[i] * (1 + 1 / count));
      out[i] = value === value ? value : 0;
    }
  }
}

/**
 * Fine structure: what remains of the light around the pixel on a scale of 3 px once the broad light (7 × 7 ring) is
 * off. A star fills its neighbours too; a ray's pixel does not.
 */
function isSharp(planes: MaskedImage, i: number, significance: number, contrast: number, skip: number): boolean {
  const { width, image, variance, mask } = planes;
  let near = 0, nearCount = 0, far = 0, farCount = 0;
  for (let dy = -3; dy <= 3; dy++) {
    for (let dx = -3; dx <= 3; dx++) {
      const j = i + dy * width + dx;
      if ((mask[j] & skip) !== 0 || (dx === 0 && dy === 0)) continue;
      const reach = Math.max(Math.abs(dx), Math.abs(dy));
      if (reach === 1) { near += image[j]; nearCount++; } else if (reach === 3) { far += image[j]; farCount++; }
    }
  }
  if (nearCount === 0 || farCount === 0) return false;
  const structure = (near / nearCount - far / farCount) / Math.sqrt(variance[i]);
  return significance > contrast * Math.max(structure, 0);
}

function touches(mask: Uint16Array, width: number, i: number, bit: number): boolean {
  return ((mask[i - 1] | mask[i + 1] | mask[i - width] | mask[i + width]
    | mask[i - width - 1] | mask[i - width + 1] | mask[i + width - 1] | mask[i + width + 1]) & bit) !== 0;
}
