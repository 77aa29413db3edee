/**
 * Finds point-like sources: peaks of the image smoothed with a Gaussian of the seeing, measured by weighted moments.
 */
import KDBush from 'kdbush';
import { listPeaks, type Mesh } from '../kernels/mesh.ts';
import { smoothSeparable } from '../kernels/smooth.ts';
import { createWindowed, type Windowed } from '../kernels/windowed.ts';
import { interpolateAt, type Background } from './background.ts';
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
/** Step at which a centroid stands, pixels: the next one would be smaller by far, and noise moves it more. */
const CENTROID_TOLERANCE_PX = 3e-4;

/** Part of an image, whole rows. */
type Band = Readonly<{ y0: number; y1: number }>;

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
  const band = { y0: 0, y1: sky.height };
  smoothBand(image, mask, sky.width, fwhmPx, band, scratch.smooth);
  return starsOf(image, mask, sky, noLevel(sky), fwhmPx, config, scratch, band);
}

/**
 * The stars of an image that was smoothed before: where its sky differs a little from zero, the smoothed one does by as
 * much.
 *
 * @param image   As it is now. Read only.
 * @param level   What was taken off `image` since it was smoothed, as cells of the mesh of `sky`.
 * @param scratch `smooth` as `smoothImage` left it. Read only; `work`'s contents are destroyed.
 */
export function starsOfSmoothed(
  image: Float32Array, mask: Uint16Array, sky: Background, level: Float32Array, fwhmPx: number,
  config: StarDetectionConfig, scratch: DetectionScratch,
): Star[] {
  return starsOf(image, mask, sky, level, fwhmPx, config, scratch, { y0: 0, y1: sky.height });
}

/** Smooths with a Gaussian of `fwhmPx`; bad pixels and those without data count as zero. */
export function smoothImage(
  image: Float32Array, mask: Uint16Array, width: number, height: number, fwhmPx: number, out: Float32Array,
): void {
  smoothBand(image, mask, width, fwhmPx, { y0: 0, y1: height }, out);
}

function noLevel(sky: Background): Float32Array {
  return new Float32Array(sky.level.length);
}

function smoothBand(
  image: Float32Array, mask: Uint16Array, width: number, fwhmPx: number, { y0, y1 }: Band, out: Float32Array,
): void {
  const from = y0 * width, to = y1 * width;
  smoothSeparable(image.subarray(from, to), mask.subarray(from, to), maskBits('NO_DATA', 'BAD'), width, y1 - y0,
    gaussianTaps(fwhmPx / FWHM_PER_SIGMA), out.subarray(from, to));
}

function starsOf(
  image: Float32Array, mask: Uint16Array, sky: Background, level: Float32Array, fwhmPx: number,
  config: StarDetectionConfig, scratch: DetectionScratch, band: Band,
): Star[] {
  const { width, height } = sky, sigmaPx = fwhmPx / FWHM_PER_SIGMA;
  const taps = gaussianTaps(sigmaPx), stars: Star[] = [];
  const windowOf = createWindowed({
    image, mask, width, height, sigmaPx, steps: CENTROID_STEPS, tolerancePx: CENTROID_TOLERANCE_PX,
    driftPx: 1.5 * sigmaPx + 1, flagReach2: (1.5 * fwhmPx) ** 2,
  });
  for (const peak of findPeaks(scratch, sky, level, taps, config, band)) {
    const window = windowOf(peak.x, peak.y);
    const star = window === null ? blendedStar(scratch.smooth, width, height, peak, fwhmPx, taps, config.thresholdSigma)
      : starOf(window, peak, width, height, sigmaPx);
    if (star) stars.push(star);
  }
  stars.sort((a, b) => b.flux - a.flux || a.y - b.y || a.x - b.x);
  return withoutDuplicates(stars, 0.75 * fwhmPx);
}

type Peak = Readonly<{ x: number; y: number; snr: number }>;

/** Local maxima over 8 neighbours; of equal neighbours the first in reading order counts. */
function findPeaks(
  { smooth, work }: DetectionScratch, sky: Background, level: Float32Array, taps: Float64Array,
  config: StarDetectionConfig, { y0, y1 }: Band,
): Peak[] {
  const { width, height } = sky, from = y0 * width;
  let noise = 0;
  // Noise of the smoothed sky: σ √(Σ taps² × Σ taps²), the two axes' sums being equal.
  for (const tap of taps) noise += tap * tap;
  const indices = new Int32Array(work.buffer, work.byteOffset, work.length);
  // A band's own ends are cut off like the image's, whose border is wider than a filter's half only for wide filters.
  const isWhole = y0 === 0 && y1 === height, border = Math.max(1, config.borderPx);
  const edge = isWhole ? border : Math.max(border, (taps.length + 1) >> 1);
  const limit = level.map((value, k) => value + config.thresholdSigma * noise * sky.sigma[k]);
  const mesh = isWhole ? { ...sky, cells: limit } : meshOfBand(sky, limit, { y0, y1 });
  const count = listPeaks(smooth.subarray(from, y1 * width), width, y1 - y0, edge, mesh, mesh.cells, indices);
  return Array.from(indices.subarray(0, count), (index): Peak => {
    const x = index % width, y = (index - x) / width + y0, value = smooth[index + from];
    return { x, y, snr: (value - interpolateAt(sky, level, x, y)) / (noise * interpolateAt(sky, sky.sigma, x, y)) };
  });
}

/** A mesh along the middle of a band: level and noise hardly change over its height. */
function meshOfBand(sky: Background, cells: Float32Array, { y0, y1 }: Band): Mesh & { cells: Float32Array } {
  const { columns, cellWidth } = sky, y = (y0 + y1 - 1) / 2;
  return {
    columns, cellWidth, rows: 1, cellHeight: y1 - y0,
    cells: Float32Array.from({ length: columns }, (_, k) => interpolateAt(sky, cells, (k + 0.5) * cellWidth - 0.5, y)),
  };
}

/** Second moments with the window's part removed: 1/σ² = 1/m − 1/σ_w². */
function starOf(window: Windowed, peak: Peak, width: number, height: number, sigmaPx: number): Star {
  const { x, y, xx, yy, xy, bits } = window, half = (xx + yy) / 2, spread = Math.hypot((xx - yy) / 2, xy);
  const inverse = 1 / half - 1 / (sigmaPx * sigmaPx), reach = 1.5 * sigmaPx * FWHM_PER_SIGMA;
  const isAtBorder = x < reach || y < reach || x > width - 1 - reach || y > height - 1 - reach;
  return {
    x, y, errorPx: sigmaPx / peak.snr, snr: peak.snr, peak: window.peak,
    // The window as the profile of a source of unit flux is w / 2πσ².
    flux: (window.flux / window.weights) * 2 * Math.PI * sigmaPx * sigmaPx,
    sigmaPx: half > 0 && inverse > 0 ? 1 / Math.sqrt(inverse) : NaN,
    ellipticity: half > spread ? 1 - Math.sqrt((half - spread) / (half + spread)) : 1,
    isSaturated: (bits & maskBits('SAT', 'SUSPECT')) !== 0,
    isBlemished: isAtBorder || (bits & maskBits('BAD', 'INTRP', 'CR', 'NO_DATA', 'EDGE')) !== 0,
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

/** Images higher than this tell the seeing by bands: their number, height and the stars that they must hold. */
const BANDS = { imageHeightMin: 1500, count: 4, height: 128, starCountMin: 40 };

/**
 * Seeing from the stars themselves: detection at a guess, the usual size of bright stars, and again with that size
 * until both agree.
 *
 * @returns FWHM in pixels; null when fewer than `starCountMin` stars serve.
 */
export function seeingOf(
  image: Float32Array, mask: Uint16Array, sky: Background, guessFwhmPx: number, starCountMin: number,
  config: StarDetectionConfig, scratch: DetectionScratch,
): number | null {
  const { width, height } = sky, whole = { y0: 0, y1: height };
  const bands = height < BANDS.imageHeightMin ? [whole] : Array.from({ length: BANDS.count }, (_, k): Band => {
    const y0 = Math.floor(((k + 0.5) / BANDS.count) * height - BANDS.height / 2);
    return { y0, y1: y0 + BANDS.height };
  });
  const measure = (places: readonly Band[], countMin: number): number | null => {
    let fwhmPx = guessFwhmPx;
    for (let round = 0; round < 5; round++) {
      const stars = places.flatMap((band) => {
        smoothBand(image, mask, width, fwhmPx, band, scratch.smooth);
        return starsOf(image, mask, sky, noLevel(sky), fwhmPx, config, scratch, band);
      }).sort((a, b) => b.flux - a.flux || a.y - b.y || a.x - b.x);
      const size = usualSize(stars, countMin);
      if (size === null) return null;
      const measured = Math.min(Math.max(size * FWHM_PER_SIGMA, 0.5 * fwhmPx), 2 * fwhmPx);
      // A filter 15 % too wide or narrow loses 1 % of the signal to noise.
      if (Math.abs(measured - fwhmPx) < 0.15 * fwhmPx) return measured;
      fwhmPx = measured;
    }
    return fwhmPx;
  };
  return (bands.length > 1 ? measure(bands, BANDS.starCountMin) : null) ?? measure([whole], starCountMin);
}

/** As `seeingOf`, with the stars that are found with that seeing. */
export function measureSeeing(
  image: Float32Array, mask: Uint16Array, sky: Background, guessFwhmPx: number, starCountMin: number,
  config: StarDetectionConfig, scratch: DetectionScratch,
): { fwhmPx: number; stars: Star[] } | null {
  const fwhmPx = seeingOf(image, mask, sky, guessFwhmPx, starCountMin, config, scratch);
  return fwhmPx === null ? null : { fwhmPx, stars: detectStars(image, mask, sky, fwhmPx, config, scratch) };
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
