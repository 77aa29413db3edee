/**
 * A frame whose stars are narrower than the template's along an axis is blurred before it is matched: the kernel
 * convolves the template alone, and would have to sharpen it, which no sum of Gaussians does well. Trailed frames are
 * of that kind whatever their usual width: across the trail, and at its ends, they show the seeing alone.
 */
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { median } from '../../image/median.ts';
import { evaluatePsf, FWHM_PER_SIGMA, type PsfModel } from '../../image/psf.ts';
import { gaussianTaps } from '../../image/smooth.ts';
import { smoothSeparable } from '../../kernels/smooth.ts';
import { spreadMask } from '../../kernels/spread.ts';
import { adaptiveMoments, type Moments } from '../../kernels/shapes.ts';
import { seriesConfig } from './config.ts';
import type { FrameStars } from './registration.ts';

/** Standard deviations of Gaussians, pixels: what a frame gets at first, and what it gets when that does not match. */
export type Blurs = Readonly<{ firstPx: number; againPx: number }>;

/**
 * The blur that makes the frame's stars wider than the template's in every direction: 0 at first when they seem to be.
 *
 * @param frame Sky subtracted, and its stars.
 * @param psf   The template's, on the frame's pixels.
 */
export function blursOf(frame: MaskedImage, { stars, fwhmPx }: FrameStars, psf: PsfModel): Blurs {
  const { starCount, starCountMin, halfSizeFwhm, marginPx2 } = seriesConfig.blur;
  const { width, height, image } = frame, start = (fwhmPx / FWHM_PER_SIGMA) ** 2;
  const moments = (plane: Float32Array, across: number, down: number, x: number, y: number): Moments | null => (
    adaptiveMoments(plane, across, down, x, y, 1, Math.ceil(halfSizeFwhm * fwhmPx), start, seriesConfig.measure));
  const own = stars.slice(0, starCount).flatMap(({ x, y }) => moments(image, width, height, x, y) ?? []);
  const stamp = new Float32Array(psf.size * psf.size), middle = (psf.size - 1) / 2;
  evaluatePsf(psf, Math.round((width - 1) / 2), Math.round((height - 1) / 2), stamp);
  const other = moments(stamp, psf.size, psf.size, middle, middle);
  if (own.length < starCountMin || other === null) return { firstPx: 0, againPx: Math.sqrt(marginPx2) };
  const gap = (name: keyof Moments): number => other[name] - median(own.map((star) => star[name]));
  // The larger eigenvalue of the gap: by how much the template is wider in the direction where it is so most.
  const xx = gap('xx'), yy = gap('yy'), xy = gap('xy');
  const widest = (xx + yy) / 2 + Math.hypot((xx - yy) / 2, xy);
  const blurPx = Math.sqrt(Math.max(0, widest) + marginPx2);
  return { firstPx: widest > 0 ? blurPx : 0, againPx: blurPx };
}

const LOST = maskBits('NO_DATA', 'SAT', 'BAD');

/**
 * Blurs image and variance in place, and spreads what is lost to one standard deviation beyond. The variance is that of
 * single pixels, whose neighbours correlate then. Pixels without data count as sky.
 */
export function blurFrame({ width, height, image, variance, mask }: MaskedImage, sigmaPx: number): void {
  if (sigmaPx === 0) return;
  const taps = gaussianTaps(sigmaPx), noData = maskBits('NO_DATA'), work = new Float32Array(image.length);
  for (const [plane, weights] of [[image, taps], [variance, taps.map((tap) => tap * tap)]] as const) {
    smoothSeparable(plane, mask, noData, width, height, weights, work);
    for (let j = 0; j < plane.length; j++) if ((mask[j] & noData) === 0) plane[j] = work[j];
  }
  spreadMask(mask.slice(), width, height, LOST, Math.ceil(sigmaPx), mask);
}
