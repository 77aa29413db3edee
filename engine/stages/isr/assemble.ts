import type { Amp } from '../../../schemas/camera.ts';
import { assembleAmp as assemblePixels, type AmpCounts } from '../../kernels/isr.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { RawAmp } from '../../image/rawExposure.ts';

/**
 * Puts an amp's imaging pixels at their place on the detector, in electrons, its level per row taken off; marks
 * saturated (SAT) and nearly saturated (SUSPECT) pixels.
 *
 * @param raw    The amp's readout, ADU. Read only.
 * @param levels One overscan level for each row of `amp.rawData`, ADU. Read only.
 * @param bias   [detector height × width], ADU; null for none. Read only. NaN marks a pixel as BAD and NO_DATA.
 * @param suspectAdu, saturationAdu Raw counts from which the marks apply.
 * @param out    The detector's planes: image and mask of the amp's box are overwritten.
 * @returns Counts of pixels, and the least and greatest raw count.
 */
export function assembleAmp(
  raw: RawAmp, amp: Amp, levels: Float64Array, bias: Float32Array | null,
  suspectAdu: number, saturationAdu: number, out: MaskedImage,
): AmpCounts {
  const { x0, y0, x1, y1 } = amp.detectorBox;
  return assemblePixels({
    pixels: raw.pixels, rawWidth: raw.width, rawX0: amp.rawData.x0, rawY0: amp.rawData.y0,
    columns: x1 - x0, rows: y1 - y0, x0, y0, flipX: amp.flipX, flipY: amp.flipY,
    gain: amp.gainElectronsPerAdu, levels, bias, suspectAdu, saturationAdu,
    saturatedBit: maskBits('SAT'), suspectBit: maskBits('SUSPECT'), missingBits: maskBits('BAD', 'NO_DATA'),
  }, out.image, out.mask, out.width);
}

/**
 * Grows every region of a mask bit by `reach` pixels in rows, columns and diagonals.
 *
 * @param mask    [height × width], changed in place.
 * @param scratch Same length; contents destroyed.
 */
export function growMask(
  mask: Uint16Array, width: number, height: number, bit: number, reach: number, scratch: Uint8Array,
): void {
  for (let round = 0; round < reach; round++) {
    for (let i = 0; i < width * height; i++) scratch[i] = (mask[i] & bit) === 0 ? 0 : 1;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (scratch[y * width + x] === 1) setAround(mask, width, height, x, y, bit);
      }
    }
  }
}

function setAround(mask: Uint16Array, width: number, height: number, x: number, y: number, bit: number): void {
  for (let j = Math.max(0, y - 1); j <= Math.min(height - 1, y + 1); j++) {
    for (let i = Math.max(0, x - 1); i <= Math.min(width - 1, x + 1); i++) mask[j * width + i] |= bit;
  }
}

/** Marks the outermost `edgePx` pixels. */
export function markEdges(mask: Uint16Array, width: number, height: number, edgePx: number): void {
  const bit = maskBits('EDGE');
  for (let y = 0; y < height; y++) {
    const isEdgeRow = y < edgePx || y >= height - edgePx;
    for (let x = 0; x < width; x++) {
      if (isEdgeRow || x < edgePx || x >= width - edgePx) mask[y * width + x] |= bit;
    }
  }
}
