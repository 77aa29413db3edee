/** Flags of a diaSource from the mask under its footprint and its centre. */
import type { Box } from '../../../schemas/camera.ts';
import type { DiaSource } from '../../../schemas/diaRows.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';

export type PixelFlags = Pick<DiaSource, Extract<keyof DiaSource, `pixelFlags${string}`>>;

/**
 * Union of the mask under the footprint (the pixels of its box that were detected with the source's sign, and the
 * central ones) and within the central 3 × 3 pixels. The schema has no flag for diffraction spikes: they are suspect.
 */
export function pixelFlags(
  { mask, width, height }: MaskedImage, x: number, y: number, footprint: Box, isNegative: boolean,
): PixelFlags {
  const detected = maskBits(isNegative ? 'DETECTED_NEGATIVE' : 'DETECTED');
  const cx = Math.round(x), cy = Math.round(y), isOffImage = cx < 0 || cy < 0 || cx >= width || cy >= height;
  let centre = 0, any = 0;
  for (let v = Math.max(0, cy - 1); v <= Math.min(height - 1, cy + 1); v++) {
    for (let u = Math.max(0, cx - 1); u <= Math.min(width - 1, cx + 1); u++) centre |= mask[v * width + u];
  }
  for (let v = footprint.y0; v < footprint.y1; v++) {
    for (let u = footprint.x0; u < footprint.x1; u++) {
      const bits = mask[v * width + u];
      if ((bits & detected) !== 0) any |= bits;
    }
  }
  any |= centre;
  const isAny = (bits: number): boolean => (any & bits) !== 0;
  const isCentre = (bits: number): boolean => (centre & bits) !== 0;
  const saturated = maskBits('SAT', 'SAT_TEMPLATE'), cosmicRay = maskBits('CR'), noData = maskBits('NO_DATA');
  const interpolated = maskBits('INTRP'), suspect = maskBits('SUSPECT', 'SPIKE'), streak = maskBits('STREAK');
  const injected = maskBits('INJECTED'), injectedTemplate = maskBits('INJECTED_TEMPLATE');
  return {
    pixelFlags: false, pixelFlags_offimage: isOffImage,
    pixelFlags_bad: isAny(maskBits('BAD')), pixelFlags_edge: isAny(maskBits('EDGE')),
    pixelFlags_cr: isAny(cosmicRay), pixelFlags_crCenter: isCentre(cosmicRay),
    pixelFlags_nodata: isAny(noData), pixelFlags_nodataCenter: isCentre(noData),
    pixelFlags_interpolated: isAny(interpolated), pixelFlags_interpolatedCenter: isCentre(interpolated),
    pixelFlags_saturated: isAny(saturated), pixelFlags_saturatedCenter: isCentre(saturated),
    pixelFlags_suspect: isAny(suspect), pixelFlags_suspectCenter: isCentre(suspect),
    pixelFlags_streak: isAny(streak), pixelFlags_streakCenter: isCentre(streak),
    pixelFlags_injected: isAny(injected), pixelFlags_injectedCenter: isCentre(injected),
    pixelFlags_injected_template: isAny(injectedTemplate),
    pixelFlags_injected_templateCenter: isCentre(injectedTemplate),
  };
}
