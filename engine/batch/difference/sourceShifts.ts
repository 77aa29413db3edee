/**
 * Shifts of single sources that no smooth registration knows: refraction by colour, proper motion. Each leaves a dipole,
 * whose form the template's own gradient gives; its two amplitudes are fitted and taken off.
 */
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage, MaskedImage } from '../../image/maskedImage.ts';
import { listPeaksOver } from '../../kernels/match.ts';
import { pairConfig } from './config.ts';

export type ShiftReport = Readonly<{
  /** Sources bright enough to tell a shift, and those that were shifted. */
  shiftCandidates: number; shiftsCorrected: number;
}>;

/** What the difference stage found about single stars and put into the variance. */
export type StarScatter = Readonly<{ xPx: number; yPx: number; varianceRatio: number }>;

const UNUSED = maskBits('NO_DATA', 'SAT', 'SAT_TEMPLATE', 'BAD', 'CR');

/**
 * Fits flux × template + dx × ∂template/∂x + dy × ∂template/∂y to the difference around each bright source and takes
 * the two gradients' part off, where it is significant and outweighs the flux's: a transient beside a nucleus, or a
 * variable, changes flux first, and stays as it is.
 *
 * @param difference Image changed in place.
 * @param template   Matched template, sky subtracted. Read only.
 * @param free       [height × width], contents destroyed.
 */
export function removeSourceShifts(
  difference: DifferenceImage, template: MaskedImage, scatter: StarScatter, free: Float32Array,
): ShiftReport {
  const { stampHalfSizePx: half, peakSigmaMin } = pairConfig.sourceShifts, { width, height } = difference;
  const indices = new Int32Array(free.buffer, free.byteOffset, free.length);
  const found = listPeaksOver(
    { width, height, image: template.image, variance: difference.variance }, half + 2, peakSigmaMin ** 2, indices);
  const peaks = Array.from(indices.subarray(0, found));
  peaks.sort((a, b) => template.image[b] - template.image[a] || a - b);
  const side = 2 * half + 1, slopes = { x: new Float32Array(side * side), y: new Float32Array(side * side) };
  let shiftsCorrected = 0;
  for (const peak of peaks) {
    const fit = fitShift(difference, template, peak, scatter, slopes);
    if (fit === null) continue;
    subtractShift(difference, peak, fit, slopes);
    shiftsCorrected++;
  }
  return { shiftCandidates: peaks.length, shiftsCorrected };
}

type Slopes = Readonly<{ x: Float32Array; y: Float32Array }>;
type Shift = Readonly<{ dx: number; dy: number }>;

/** Amplitudes of the gradients, −displacement in pixels; null where there is no shift to take off. */
function fitShift(
  { image, variance, mask, width }: DifferenceImage, template: MaskedImage, peak: number, scatter: StarScatter,
  slopes: Slopes,
): Shift | null {
  const { stampHalfSizePx: half, significanceMin, fluxRatioMin, shiftMaxPx } = pairConfig.sourceShifts;
  const side = 2 * half + 1, light = template.image;
  const sx = scatter.xPx ** 2 * scatter.varianceRatio, sy = scatter.yPx ** 2 * scatter.varianceRatio;
  let ff = 0, fx = 0, fy = 0, xx = 0, xy = 0, yy = 0, fd = 0, xd = 0, yd = 0;
  for (let v = -half; v <= half; v++) {
    for (let u = -half; u <= half; u++) {
      const j = peak + v * width + u, k = (v + half) * side + u + half;
      const gx = slope(light, j, 1), gy = slope(light, j, width);
      slopes.x[k] = gx;
      slopes.y[k] = gy;
      // What the scatter of stars added to the variance is what is to be measured here.
      const own = Math.max(variance[j] - sx * gx * gx - sy * gy * gy, 0.2 * variance[j]);
      if ((mask[j] & UNUSED) !== 0 || u * u + v * v > half * half) continue;
      if (!(own > 0) || gx - gx !== 0 || gy - gy !== 0) continue;
      const w = 1 / own, f = light[j], d = image[j];
      ff += w * f * f; fx += w * f * gx; fy += w * f * gy; fd += w * f * d;
      xx += w * gx * gx; xy += w * gx * gy; yy += w * gy * gy; xd += w * gx * d; yd += w * gy * d;
    }
  }
  // Too faint for the largest shift believed to be seen.
  if (!(shiftMaxPx * Math.sqrt(Math.max(xx, yy)) > significanceMin) || !(ff > 0)) return null;
  // Gradients freed of what the flux explains, then the flux of what the gradients explain.
  const rx = xd - (fx * fd) / ff, ry = yd - (fy * fd) / ff;
  const shift = solve2(xx - (fx * fx) / ff, xy - (fx * fy) / ff, yy - (fy * fy) / ff, rx, ry);
  if (shift === null || Math.hypot(shift.dx, shift.dy) > shiftMaxPx) return null;
  const fromShift = shift.dx * rx + shift.dy * ry;
  const fluxLeft = fd - fx * shift.dx - fy * shift.dy, fromFlux = (fluxLeft * fluxLeft) / ff;
  return fromShift > significanceMin ** 2 && fromShift > fluxRatioMin ** 2 * fromFlux ? shift : null;
}

/** Derivative along an axis, exact to fourth order: a PSF of 4.5 px is followed to a part in a thousand. */
function slope(image: Float32Array, j: number, step: number): number {
  return (8 * (image[j + step] - image[j - step]) - (image[j + 2 * step] - image[j - 2 * step])) / 12;
}

function solve2(xx: number, xy: number, yy: number, x: number, y: number): Shift | null {
  const determinant = xx * yy - xy * xy;
  if (!(determinant > 1e-6 * xx * yy)) return null;
  return { dx: (yy * x - xy * y) / determinant, dy: (xx * y - xy * x) / determinant };
}

function subtractShift({ image, width }: DifferenceImage, peak: number, { dx, dy }: Shift, slopes: Slopes): void {
  const { stampHalfSizePx: half } = pairConfig.sourceShifts, side = 2 * half + 1;
  for (let v = -half; v <= half; v++) {
    for (let u = -half; u <= half; u++) {
      const k = (v + half) * side + u + half, value = dx * slopes.x[k] + dy * slopes.y[k];
      if (u * u + v * v <= half * half && value - value === 0) image[peak + v * width + u] -= value;
    }
  }
}
