/** Flags of a diaSource from the mask under its footprint and its centre. */
import type { Box } from '../../../schemas/camera.ts';
import type { DiaSource } from '../../../schemas/diaRows.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';

const BAD = maskBits('BAD'), EDGE = maskBits('EDGE'), SATURATED = maskBits('SAT', 'SAT_TEMPLATE');
const COSMIC_RAY = maskBits('CR'), NO_DATA = maskBits('NO_DATA'), INTERPOLATED = maskBits('INTRP');
const SUSPECT = maskBits('SUSPECT', 'SPIKE'), STREAK = maskBits('STREAK'), INJECTED = maskBits('INJECTED');
const INJECTED_TEMPLATE = maskBits('INJECTED_TEMPLATE');
const DETECTED = maskBits('DETECTED'), DETECTED_NEGATIVE = maskBits('DETECTED_NEGATIVE');

export type PixelFlags = Pick<DiaSource, Extract<keyof DiaSource, `pixelFlags${string}`>>;

/**
 * Union of the mask under the footprint (the pixels of its box that were detected with the source's sign, and the
 * central ones) and within the central 3 × 3 pixels. The schema has no flag for diffraction spikes: they are suspect.
 */
export function pixelFlags(
  { mask, width, height }: MaskedImage, x: number, y: number, footprint: Box, isNegative: boolean,
): PixelFlags {
  const detected = isNegative ? DETECTED_NEGATIVE : DETECTED;
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
  return {
    pixelFlags: false, pixelFlags_offimage: isOffImage,
    pixelFlags_bad: isAny(BAD), pixelFlags_edge: isAny(EDGE),
    pixelFlags_cr: isAny(COSMIC_RAY), pixelFlags_crCenter: isCentre(COSMIC_RAY),
    pixelFlags_nodata: isAny(NO_DATA), pixelFlags_nodataCenter: isCentre(NO_DATA),
    pixelFlags_interpolated: isAny(INTERPOLATED), pixelFlags_interpolatedCenter: isCentre(INTERPOLATED),
    pixelFlags_saturated: isAny(SATURATED), pixelFlags_saturatedCenter: isCentre(SATURATED),
    pixelFlags_suspect: isAny(SUSPECT), pixelFlags_suspectCenter: isCentre(SUSPECT),
    pixelFlags_streak: isAny(STREAK), pixelFlags_streakCenter: isCentre(STREAK),
    pixelFlags_injected: isAny(INJECTED), pixelFlags_injectedCenter: isCentre(INJECTED),
    pixelFlags_injected_template: isAny(INJECTED_TEMPLATE),
    pixelFlags_injected_templateCenter: isCentre(INJECTED_TEMPLATE),
  };
}
