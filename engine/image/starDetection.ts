/**
 * Finds point-like sources: peaks of the image smoothed with a Gaussian of the seeing, measured by weighted moments.
 */
import KDBush from 'kdbush';
import { listAbove } from '../kernels/difference.ts';
import { smoothSeparable } from '../kernels/smooth.ts';
import { interpolateRow, type Background } from './background.ts';
import { maskBits } from './maskPlanes.ts';
import { median } from './median.ts';
import { gaussianTaps } from './smooth.ts';

/** A peak and its moments; pixels, and the image's own flux unit. */
export type Star = Readonly<{
  /** Centroid under a Gaussian window. */
  x: number; y: number;
  /** Error of the centroid along one axis, from the sky's noise: σ / SNR (King 1983). */
  errorPx: number;
  /** Flux of the best Gaussian of the seeing's width: right in rank, not in scale. */
  flux: number;
  /** Signal to noise of the matched filter against the sky's noise. */
  snr: number;
  /** Highest pixel near the peak. */
  peak: number;
  /** Standard deviation of the source itself, the window's part taken out; NaN when it is not resolved by its noise. */
  sigmaPx: number;
  /** 1 − minor / major axis of the windowed moments. */
  ellipticity: number;
  /** Has a saturated or suspect pixel within 1.5 FWHM. */
  isSaturated: boolean;
  /**
   * Has a bad, interpolated, cosmic-ray or missing pixel within 1.5 FWHM, touches the border, or is blended with a
   * brighter one.
   */
  isBlemished: boolean;
}>;

export type StarDetectionConfig = Readonly<{
  /** Height of the smoothed peak over its noise. */
  thresholdSigma: number;
  /** Peaks closer than this to the image's border are not looked at, pixels. */
  borderPx: number;
}>;

export type DetectionScratch = Readonly<{
  /** Each [height × width]; contents destroyed. */
  smooth: Float32Array; work: Float32Array;
}>;

export const FWHM_PER_SIGMA = 2 * Math.sqrt(2 * Math.log(2));
const CENTROID_STEPS = 12;

/**
 * @param image Background subtracted, [height × width]. Read only.
 * @param sky   For the sky's noise.
 * @param fwhmPx Seeing assumed by the matched filter and the windows.
 * @returns Brightest first; equal fluxes by (y, x).
 */
export function detectStars(
  image: Float32Array, mask: Uint16Array, sky: Background, fwhmPx: number, config: StarDetectionConfig,
  scratch: DetectionScratch,
): Star[] {
  const { width, height } = sky;
  const sigmaPx = fwhmPx / FWHM_PER_SIGMA;
  const taps = gaussianTaps(sigmaPx);
  smoothSeparable(image, mask, maskBits('NO_DATA', 'BAD'), width, height, taps, scratch.smooth);
  const peaks = findPeaks(scratch, sky, taps, config);
  const stars: Star[] = [];
  for (const peak of peaks) {
    const star = measurePeak(image, mask, width, height, peak, sigmaPx)
      ?? blendedStar(scratch.smooth, width, height, peak, fwhmPx, taps, config.thresholdSigma);
    if (star) stars.push(star);
  }
  stars.sort((a, b) => b.flux - a.flux || a.y - b.y || a.x - b.x);
  return withoutDuplicates(stars, 0.75 * fwhmPx);
}

type Peak = Readonly<{ x: number; y: number; snr: number }>;

/** Local maxima over 8 neighbours; of equal neighbours the first in reading order counts. */
function findPeaks(
  { smooth, work }: DetectionScratch, sky: Background, taps: Float64Array, config: StarDetectionConfig,
): Peak[] {
  const { width, height } = sky;
  let squares = 0;
  for (const tap of taps) squares += tap * tap;
  // Noise of the smoothed sky: σ √(Σ taps² × Σ taps²), the two axes' sums being equal.
  const noise = squares, border = Math.max(1, config.borderPx);
  const sigmaRow = work.subarray(0, width), peaks: Peak[] = [];
  const above = new Int32Array(work.buffer, work.byteOffset + sigmaRow.byteLength, width);
  for (let y = border; y < height - border; y++) {
    interpolateRow(sky, sky.sigma, y, sigmaRow);
    const count = listAbove(smooth, y * width, sigmaRow, config.thresholdSigma * noise, above);
    for (let k = 0; k < count; k++) {
      const i = above[k], x = i - y * width, value = smooth[i];
      if (x < border || x >= width - border) continue;
      if (value < smooth[i + 1] || value <= smooth[i - 1] || value <= smooth[i - width]
        || value < smooth[i + width]) continue;
      if (value <= smooth[i - width - 1] || value <= smooth[i - width + 1]) continue;
      if (value < smooth[i + width - 1] || value < smooth[i + width + 1]) continue;
      peaks.push({ x, y, snr: value / (noise * sigmaRow[x]) });
    }
  }
  return peaks;
}

/** Sums under a Gaussian window centred at (x, y). */
type Sums = {
  flux: number; dx: number; dy: number; xx: number; yy: number; xy: number; weights: number; peak: number; bits: number;
};

/**
 * Windowed centroid by fixed-point iteration with SExtractor's factor 2 (a Gaussian source under an equal window
 * shows half its offset), then second moments with the window's part removed: 1/σ² = 1/m − 1/σ_w².
 */
function measurePeak(
  image: Float32Array, mask: Uint16Array, width: number, height: number, peak: Peak, sigmaPx: number,
): Star | null {
  let x = peak.x, y = peak.y;
  const sums: Sums = { flux: 0, dx: 0, dy: 0, xx: 0, yy: 0, xy: 0, weights: 0, peak: 0, bits: 0 };
  for (let step = 0; step < CENTROID_STEPS; step++) {
    windowSums(image, mask, width, height, x, y, sigmaPx, sums);
    if (!(sums.flux > 0)) return null;
    const dx = (2 * sums.dx) / sums.flux, dy = (2 * sums.dy) / sums.flux;
    x += dx;
    y += dy;
    // A centroid that runs away belongs to a neighbour, which has a peak of its own.
    if (Math.hypot(x - peak.x, y - peak.y) > 1.5 * sigmaPx + 1) return null;
    if (Math.hypot(dx, dy) < 1e-4) break;
  }
  windowSums(image, mask, width, height, x, y, sigmaPx, sums);
  if (!(sums.flux > 0)) return null;
  const mxx = sums.xx / sums.flux, myy = sums.yy / sums.flux, mxy = sums.xy / sums.flux;
  const half = (mxx + myy) / 2, spread = Math.hypot((mxx - myy) / 2, mxy);
  const inverse = 1 / half - 1 / (sigmaPx * sigmaPx);
  const reach = 1.5 * sigmaPx * FWHM_PER_SIGMA;
  const isAtBorder = x < reach || y < reach || x > width - 1 - reach || y > height - 1 - reach;
  return {
    x, y, errorPx: sigmaPx / peak.snr, flux: sums.flux / sums.weights, snr: peak.snr, peak: sums.peak,
    sigmaPx: half > 0 && inverse > 0 ? 1 / Math.sqrt(inverse) : NaN,
    ellipticity: half > spread ? 1 - Math.sqrt((half - spread) / (half + spread)) : 1,
    isSaturated: (sums.bits & maskBits('SAT', 'SUSPECT')) !== 0,
    isBlemished: isAtBorder || (sums.bits & maskBits('BAD', 'INTRP', 'CR', 'NO_DATA', 'EDGE')) !== 0,
  };
}

/** Directions of a ring, in units of its radius. */
const RING = Array.from({ length: 16 }, (_, k) => [Math.cos((k * Math.PI) / 8), Math.sin((k * Math.PI) / 8)] as const);
/** Radius of that ring in FWHM, and the smoothed light of a Gaussian star there relative to its peak: 2^(−2 × 1.2²). */
const RING_FWHM = 1.2, RING_LIGHT = 2 ** (-2 * RING_FWHM ** 2);

/**
 * A peak whose window holds a brighter neighbour: its place is that of the smoothed pixel, its flux what stands above
 * the smoothed light around it. It counts as blemished, and serves only to be taken off others. Null when it hardly
 * stands out.
 */
function blendedStar(
  smooth: Float32Array, width: number, height: number, peak: Peak, fwhmPx: number, taps: Float64Array,
  thresholdSigma: number,
): Star | null {
  const radius = RING_FWHM * fwhmPx, around: number[] = [];
  for (const [dx, dy] of RING) {
    const x = Math.round(peak.x + radius * dx), y = Math.round(peak.y + radius * dy);
    if (x >= 0 && y >= 0 && x < width && y < height) around.push(smooth[y * width + x]);
  }
  let squares = 0;
  for (const tap of taps) squares += tap * tap;
  const value = smooth[peak.y * width + peak.x], rise = (value - median(around)) / (1 - RING_LIGHT);
  const snr = (peak.snr * rise) / value;
  if (!(snr > thresholdSigma)) return null;
  return {
    x: peak.x, y: peak.y, errorPx: 0.5, flux: rise / (squares * squares), snr, peak: value, sigmaPx: NaN,
    ellipticity: 1,
    isSaturated: false, isBlemished: true,
  };
}

/** `weights` is Σ w², so that flux / weights is the flux of a Gaussian of unit sum whose profile is the window. */
function windowSums(
  image: Float32Array, mask: Uint16Array, width: number, height: number, x: number, y: number, sigmaPx: number,
  out: Sums,
): void {
  const reach = Math.ceil(3.6 * sigmaPx), factor = -0.5 / (sigmaPx * sigmaPx),
    norm = 1 / (2 * Math.PI * sigmaPx * sigmaPx);
  const flagReach2 = (1.5 * FWHM_PER_SIGMA * sigmaPx) ** 2;
  const x0 = Math.max(0, Math.round(x) - reach), x1 = Math.min(width - 1, Math.round(x) + reach);
  const y0 = Math.max(0, Math.round(y) - reach), y1 = Math.min(height - 1, Math.round(y) + reach);
  let flux = 0, sx = 0, sy = 0, xx = 0, yy = 0, xy = 0, weights = 0, peak = -Infinity, bits = 0;
  for (let j = y0; j <= y1; j++) {
    const dy = j - y;
    for (let i = x0; i <= x1; i++) {
      const dx = i - x, r2 = dx * dx + dy * dy, at = j * width + i, value = image[at];
      if (r2 <= flagReach2) bits |= mask[at];
      if (value !== value) continue;
      const weight = norm * Math.exp(factor * r2), light = weight * value;
      flux += light;
      sx += light * dx;
      sy += light * dy;
      xx += light * dx * dx;
      yy += light * dy * dy;
      xy += light * dx * dy;
      weights += weight * weight;
      if (r2 <= 8 && value > peak) peak = value;
    }
  }
  out.flux = flux; out.dx = sx; out.dy = sy; out.xx = xx; out.yy = yy; out.xy = xy;
  out.weights = weights; out.peak = peak; out.bits = bits;
}

/** Of stars that lie closer than `separationPx`, the brightest stays. */
function withoutDuplicates(brightestFirst: readonly Star[], separationPx: number): Star[] {
  if (brightestFirst.length === 0) return [];
  const index = indexOf(brightestFirst);
  return brightestFirst.filter((star, i) => !index.within(star.x, star.y, separationPx).some((j) => j < i));
}

/** Spatial index of positions. */
export function indexOf(points: readonly Readonly<{ x: number; y: number }>[]): KDBush {
  const index = new KDBush(points.length);
  for (const point of points) index.add(point.x, point.y);
  return index.finish();
}

/**
 * Seeing from the stars themselves: detection at a guess, the usual size of bright stars, and again with that size
 * until both agree.
 *
 * @returns FWHM in pixels and the stars found with it; null when fewer than `starCountMin` stars serve.
 */
export function measureSeeing(
  image: Float32Array, mask: Uint16Array, sky: Background, guessFwhmPx: number, starCountMin: number,
  config: StarDetectionConfig, scratch: DetectionScratch,
): { fwhmPx: number; stars: Star[] } | null {
  let fwhmPx = guessFwhmPx;
  for (let round = 0; round < 5; round++) {
    const stars = detectStars(image, mask, sky, fwhmPx, config, scratch);
    const size = usualSize(stars, starCountMin);
    if (size === null) return null;
    const measured = Math.min(Math.max(size * FWHM_PER_SIGMA, 0.5 * fwhmPx), 2 * fwhmPx);
    // A filter 15 % too wide or narrow loses 1 % of the signal to noise.
    if (Math.abs(measured - fwhmPx) < 0.15 * fwhmPx) return { fwhmPx: measured, stars };
    fwhmPx = measured;
  }
  return { fwhmPx, stars: detectStars(image, mask, sky, fwhmPx, config, scratch) };
}

/**
 * Mode of the sizes of bright, clean sources: the midpoint of the shortest interval that holds half of them. Galaxies
 * and blends widen the upper side only, cosmic rays the lower; the stars agree among themselves.
 */
export function usualSize(stars: readonly Star[], starCountMin: number): number | null {
  const clean = stars.filter((star) => !star.isSaturated && !star.isBlemished && star.sigmaPx > 0.5);
  const bright = clean.filter((star) => star.snr > 20);
  const chosen = (bright.length >= starCountMin ? bright : clean).slice(0, 400);
  if (chosen.length < starCountMin) return null;
  let sizes = chosen.map((star) => star.sigmaPx).sort((a, b) => a - b);
  while (sizes.length > 12) {
    const half = Math.ceil(sizes.length / 2);
    let best = 0;
    for (let i = 1; i + half <= sizes.length; i++) {
      if (sizes[i + half - 1] - sizes[i] < sizes[best + half - 1] - sizes[best]) best = i;
    }
    sizes = sizes.slice(best, best + half);
  }
  return median(sizes);
}
