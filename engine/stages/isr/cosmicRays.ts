/**
 * Cosmic rays by the Laplacian of the image (van Dokkum 2001, PASP 113, 1420), at the image's own sampling.
 *
 * A ray's edge is sharper than the PSF lets any star be: its pixel stands above the median of its neighbours by more
 * than the noise, and by far more than the fine structure that a star of that brightness would have.
 */
import { fillSharpness } from '../../kernels/sharpness.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';

export type CosmicRayLimits = Readonly<{ sigma: number; growthFraction: number; contrast: number; rounds: number }>;

/**
 * Marks cosmic rays (CR).
 *
 * @param planes image and variance, any matching unit, read only; mask, changed in place. Saturated, bad and missing
 * pixels neither begin a ray nor serve as neighbours.
 * @param significance, indices [height × width], contents destroyed.
 * @returns Number of pixels marked.
 */
export function markCosmicRays(
  planes: MaskedImage, limits: CosmicRayLimits, significance: Float32Array, indices: Int32Array,
): number {
  const { width, height, image, variance, mask } = planes;
  const rayBit = maskBits('CR'), unusableBits = maskBits('SAT', 'BAD', 'NO_DATA', 'SUSPECT');
  const bits = { unusable: unusableBits, replaced: rayBit };
  // No pixel below both limits is looked at.
  const least = Math.min(limits.growthFraction, 1) * limits.sigma;
  let total = 0;
  for (let round = 0; round < limits.rounds; round++) {
    // A pixel beside an unusable one (a saturated core, a dead column) is never a ray: with neighbours missing on one
    // side, a star's slope or ridge would look like one.
    const count = fillSharpness(image, variance, mask, width, height, bits, least, significance, indices);
    let found = 0;
    for (let k = 0; k < count; k++) {
      const i = indices[k], x = i % width, y = (i - x) / width;
      if (x < 3 || y < 3 || x >= width - 3 || y >= height - 3 || (mask[i] & rayBit) !== 0) continue;
      const isNext = touches(mask, width, i, rayBit);
      const limit = isNext ? limits.growthFraction * limits.sigma : limits.sigma;
      if (significance[i] <= limit) continue;
      const contrast = isNext ? limits.contrast / 2 : limits.contrast;
      if (!isSharp(planes, i, significance[i], contrast, unusableBits | rayBit)) continue;
      mask[i] |= rayBit;
      found++;
    }
    total += found;
    if (found === 0) break;
  }
  return total;
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
