/**
 * Finds point-like sources: peaks of the image smoothed with a Gaussian of the seeing, measured by weighted moments.
 */
import KDBush from 'kdbush';
import { subtractMesh } from '../kernels/mesh.ts';
import { gridOf, REACH_MAX, smoothSources, type SourcesTask } from '../kernels/sources.ts';
import { createWindowed, type Windowed } from '../kernels/windowed.ts';
import { interpolateAt, type Background } from './background.ts';
import { maskBits } from './maskPlanes.ts';
import { median } from './median.ts';
import { FWHM_PER_SIGMA } from './psf.ts';
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
  /** Clean stars, the highest, from which on peaks are not measured any more, but only serve to be taken off others. */
  cleanCountMax: number;
  /**
   * Of those, however, that are higher than this over their noise, so many are measured as well, evenly from all
   * heights: in crowded fields the highest are all near saturation, and broader for it. None when they are not given.
   */
  sampleSigma?: number; sampleCountMax?: number;
}>;

export type DetectionScratch = Readonly<{
  /** Each [height × width]; contents destroyed. */
  smooth: Float32Array; work: Float32Array;
}>;

const CENTROID_STEPS = 12;
/** Step at which a centroid stands, pixels: the next one would be smaller by far, and noise moves it more. */
const CENTROID_TOLERANCE_PX = 3e-4;

/** Part of an image, whole rows. */
type Band = Readonly<{ y0: number; y1: number }>;

/** An image and its sky. `level`: what has still to come off the image, cells of the sky's mesh; null for nothing. */
export type SkyImage = Readonly<{
  /** [height × width]. Read only. */
  image: Float32Array; mask: Uint16Array;
  sky: Background; level: Float32Array | null;
}>;

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
  return starsOfBand({ image, mask, sky, level: null }, fwhmPx, config, scratch, { y0: 0, y1: sky.height });
}

/** The matched filter, on every pixel or on the means of 2 × 2. */
type Filter = Readonly<{
  bin: 1 | 2;
  /** Pixels of the grid that it runs on. */
  width: number; height: number;
  taps: Float64Array;
  /** Noise of the smoothed sky in that of the sky. */
  noise: number;
}>;

/** Peaks on the filter's grid that stand well above the noise of the sky they were seen over. */
export type SmoothedPeaks = Readonly<{ indices: Int32Array; filter: Filter }>;

/** Peaks are listed from this share of their threshold on: a better sky decides later. */
const PEAK_MARGIN = 0.9;

/**
 * Smooths with a Gaussian of `fwhmPx` into `scratch.smooth` (bad pixels and those without data count as zero), marks
 * the light of sources in the mask (DETECTED), and lists peaks.
 *
 * @param markSigma, growthFwhm Height of the light that is marked, over the noise; growth of the marks, FWHM.
 */
export function markSources(
  source: SkyImage, fwhmPx: number, markSigma: number, growthFwhm: number, config: StarDetectionConfig,
  scratch: DetectionScratch,
): SmoothedPeaks {
  const filter = filterOf(fwhmPx, source.sky), { noise } = filter;
  const indices = smoothSources({
    ...taskOf(source, filter, { y0: 0, y1: source.sky.height }, config), markFactor: markSigma * noise,
    peakFactor: Math.max(PEAK_MARGIN * config.thresholdSigma, markSigma) * noise,
    reach: Math.min(Math.round((growthFwhm * fwhmPx) / filter.bin), REACH_MAX),
  }, source.mask, maskBits('DETECTED'), scratch.smooth);
  return { indices, filter };
}

function taskOf(
  { image, sky, level }: SkyImage, { bin, taps }: Filter, { y0, y1 }: Band, config: StarDetectionConfig,
): Omit<SourcesTask, 'markFactor' | 'peakFactor' | 'reach'> {
  return {
    image, zeroBits: maskBits('NO_DATA', 'BAD'), width: sky.width, height: sky.height, bin,
    y0: y0 / bin, y1: Math.ceil(y1 / bin), mesh: sky, level, noise: sky.sigma, taps,
    border: Math.max(1, Math.ceil(config.borderPx / bin)),
  };
}

/**
 * The stars of peaks that were listed before the sky was known as well as now: where the image's sky differs from what
 * it was then, the smoothed one's does by as much.
 *
 * @param image   As it is now, background subtracted. Read only.
 * @param change  What more was taken off `image` since it was smoothed, as cells of the mesh of `sky`.
 * @param smooth  As `markSources` left it. Read only.
 */
export function starsOfPeaks(
  image: Float32Array, mask: Uint16Array, sky: Background, change: Float32Array, { indices, filter }: SmoothedPeaks,
  fwhmPx: number, config: StarDetectionConfig, smooth: Float32Array,
): Star[] {
  const places: Peak[] = [];
  for (const index of indices) {
    const { x, y } = placeOf(index, filter), at = imagePlace(x, y, filter);
    const value = smooth[index] - interpolateAt(sky, change, at.x, at.y);
    const snr = value / (filter.noise * interpolateAt(sky, sky.sigma, at.x, at.y));
    if (snr > config.thresholdSigma) places.push({ x, y, value, snr });
  }
  return starsAt(places, { image, mask, sky, level: null }, fwhmPx, filter, config, smooth);
}

/**
 * Seeing from which the matched filter runs on means of 2 × 2 pixels: in a quarter of the time, and in 3 pixels a peak
 * that falls between them is still 0.95 as high.
 */
const BINNED_FWHM_PX = 3;

function filterOf(fwhmPx: number, sky: Background): Filter {
  const bin = fwhmPx < BINNED_FWHM_PX ? 1 : 2, { width, height } = gridOf({ ...sky, bin, mesh: sky });
  // The mean of neighbouring pixels widens a profile by the variance of their places.
  const sigma = Math.sqrt((fwhmPx / FWHM_PER_SIGMA) ** 2 + (bin * bin - 1) / 12) / bin;
  // To 2.5 σ: what lies beyond brings a matched filter 0.3 % of its signal to noise, and costs a third of its time.
  const taps = gaussianTaps(sigma, 2.5);
  // σ √(Σ taps² × Σ taps²), the two axes' sums being equal; means of n pixels have √n less noise.
  return { bin, width, height, taps, noise: taps.reduce((sum, tap) => sum + tap * tap, 0) / bin };
}

/** Column and row of the grid. */
function placeOf(index: number, { width }: Filter): { x: number; y: number } {
  const x = index % width;
  return { x, y: (index - x) / width };
}

/** The place on the image of one on the grid; pixels, their centres being whole. */
function imagePlace(x: number, y: number, { bin }: Filter): { x: number; y: number } {
  const middle = (bin - 1) / 2;
  return { x: bin * x + middle, y: bin * y + middle };
}

/** Stars of whole rows of an image; what is still to come off it comes off a copy of them. */
function starsOfBand(
  source: SkyImage, fwhmPx: number, config: StarDetectionConfig, scratch: DetectionScratch, { y0, y1 }: Band,
): Star[] {
  const { sky, level, mask } = source, { width, height } = sky, filter = filterOf(fwhmPx, sky);
  let image = source.image;
  if (level !== null) {
    const reach = Math.ceil(2 * fwhmPx) + 2;
    image = scratch.work;
    subtractMesh(source.image, width, Math.max(0, y0 - reach), Math.min(height, y1 + reach), { ...sky, cells: level },
      image);
  }
  const factor = config.thresholdSigma * filter.noise;
  // Of no bit, nothing is marked.
  const indices = smoothSources({
    ...taskOf(source, filter, { y0, y1 }, config), markFactor: factor, peakFactor: factor, reach: 0,
  }, mask, 0, scratch.smooth);
  const peaks = Array.from(indices, (index): Peak => {
    const { x, y } = placeOf(index, filter), at = imagePlace(x, y, filter), value = scratch.smooth[index];
    return { x, y, value, snr: value / (filter.noise * interpolateAt(sky, sky.sigma, at.x, at.y)) };
  });
  return starsAt(peaks, { ...source, image }, fwhmPx, filter, config, scratch.smooth);
}

/** A place on the filter's grid, the smoothed light there, and its height over the noise. */
type Peak = Readonly<{ x: number; y: number; value: number; snr: number }>;

/** The highest peaks are measured under a window, the others have what the smoothed light shows. Brightest first. */
function starsAt(
  peaks: Peak[], { image, mask, sky }: SkyImage, fwhmPx: number, filter: Filter, config: StarDetectionConfig,
  smooth: Float32Array,
): Star[] {
  const { width, height } = sky, sigmaPx = fwhmPx / FWHM_PER_SIGMA, stars: Star[] = [];
  const windowOf = createWindowed({
    image, mask, width, height, sigmaPx, steps: CENTROID_STEPS, tolerancePx: CENTROID_TOLERANCE_PX,
    driftPx: 1.5 * sigmaPx + 1, flagReach2: (1.5 * fwhmPx) ** 2,
  });
  peaks.sort((a, b) => b.value - a.value || a.y - b.y || a.x - b.x);
  let cleanCount = 0, passed = 0, step = 0;
  for (let k = 0; k < peaks.length; k++) {
    const peak = peaks[k], at = refinedPlace(peak, smooth, filter);
    if (cleanCount >= config.cleanCountMax) {
      if (step === 0) step = sampleStep(peaks, k, config);
      if (passed++ % step !== 0 || !(peak.snr > (config.sampleSigma ?? Infinity))) {
        stars.push(faintStar(peak, at, filter));
        continue;
      }
    }
    const window = windowOf(Math.round(at.x), Math.round(at.y));
    const star = window === null ? blendedStar(smooth, peak, fwhmPx, filter, config.thresholdSigma)
      : starOf(window, peak, width, height, sigmaPx);
    if (star === null) continue;
    stars.push(star);
    if (!star.isSaturated && !star.isBlemished) cleanCount++;
  }
  stars.sort((a, b) => b.flux - a.flux || a.y - b.y || a.x - b.x);
  return withoutDuplicates(stars, 0.75 * fwhmPx);
}

/** From one to the next of the peaks that are measured beyond the highest. */
function sampleStep(peaks: readonly Peak[], first: number, config: StarDetectionConfig): number {
  const { sampleSigma = Infinity, sampleCountMax = 1 } = config;
  let count = 0;
  for (let k = first; k < peaks.length; k++) if (peaks[k].snr > sampleSigma) count++;
  return Math.max(1, Math.ceil(count / sampleCountMax));
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
  smooth: Float32Array, peak: Peak, fwhmPx: number, filter: Filter, thresholdSigma: number,
): Star | null {
  const radius = (RING_FWHM * fwhmPx) / filter.bin, around: number[] = [], { width, height, noise } = filter;
  for (const [dx, dy] of RING) {
    const x = Math.round(peak.x + radius * dx), y = Math.round(peak.y + radius * dy);
    if (x >= 0 && y >= 0 && x < width && y < height) around.push(smooth[y * width + x]);
  }
  const { value } = peak, rise = (value - median(around)) / (1 - RING_LIGHT), snr = (peak.snr * rise) / value;
  if (!(snr > thresholdSigma)) return null;
  const place = imagePlace(peak.x, peak.y, filter);
  return { ...UNMEASURED, ...place, errorPx: 0.5, flux: rise / noise ** 2, snr, peak: value };
}

/** What nobody looked at: such stars serve only to be taken off others. */
const UNMEASURED = { sigmaPx: NaN, ellipticity: 1, isSaturated: false, isBlemished: true } as const;

/** Flux by the matched filter. */
function faintStar({ value, snr }: Peak, at: Readonly<{ x: number; y: number }>, { noise }: Filter): Star {
  return { ...UNMEASURED, ...at, errorPx: 0.5, flux: value / noise ** 2, snr, peak: value };
}

/** Place on the image by a parabola through the smoothed peak and its neighbours. */
function refinedPlace({ x, y }: Peak, smooth: Float32Array, filter: Filter): { x: number; y: number } {
  const { width } = filter, at = y * width + x, middle = smooth[at];
  const offset = (before: number, after: number): number => {
    const bend = before + after - 2 * middle;
    return bend < 0 ? (before - after) / (2 * bend) : 0;
  };
  return imagePlace(
    x + offset(smooth[at - 1], smooth[at + 1]), y + offset(smooth[at - width], smooth[at + width]), filter,
  );
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
 * Images higher than this tell the seeing by bands: their number, height, the stars that they must hold, and the height
 * over the noise from which a star counts there, that of which `usualSize` speaks.
 */
const BANDS = { imageHeightMin: 1500, count: 4, height: 96, starCountMin: 40, thresholdSigma: 20 };

/**
 * Seeing from the stars themselves: detection at a guess, the usual size of bright stars, and again with that size
 * until both agree.
 *
 * @returns FWHM in pixels; null when fewer than `starCountMin` stars serve.
 */
export function seeingOf(
  source: SkyImage, guessFwhmPx: number, starCountMin: number, config: StarDetectionConfig, scratch: DetectionScratch,
): number | null {
  const { height } = source.sky, whole = { y0: 0, y1: height };
  const bands = height < BANDS.imageHeightMin ? [] : Array.from({ length: BANDS.count }, (_, k): Band => {
    // Even, for the filter may take rows in pairs.
    const y0 = 2 * Math.floor(((k + 0.5) / BANDS.count) * (height / 2) - BANDS.height / 4);
    return { y0, y1: y0 + BANDS.height };
  });
  const measure = (places: readonly Band[], countMin: number, thresholdSigma: number): number | null => {
    let fwhmPx = guessFwhmPx;
    for (let round = 0; round < 5; round++) {
      const stars = places.flatMap((band) => starsOfBand(source, fwhmPx, { ...config, thresholdSigma }, scratch, band))
        .sort((a, b) => b.flux - a.flux || a.y - b.y || a.x - b.x);
      const size = usualSize(stars, countMin);
      if (size === null) return null;
      const measured = Math.min(Math.max(size * FWHM_PER_SIGMA, 0.5 * fwhmPx), 2 * fwhmPx);
      // A filter 15 % too wide or narrow loses 1 % of the signal to noise.
      if (Math.abs(measured - fwhmPx) < 0.15 * fwhmPx) return measured;
      fwhmPx = measured;
    }
    return fwhmPx;
  };
  const ofBands = bands.length === 0 ? null
    : measure(bands, BANDS.starCountMin, Math.max(BANDS.thresholdSigma, config.thresholdSigma));
  return ofBands ?? measure([whole], starCountMin, config.thresholdSigma);
}

/** As `seeingOf` of an image without its background, with the stars that are found with that seeing. */
export function measureSeeing(
  image: Float32Array, mask: Uint16Array, sky: Background, guessFwhmPx: number, starCountMin: number,
  config: StarDetectionConfig, scratch: DetectionScratch,
): { fwhmPx: number; stars: Star[] } | null {
  const fwhmPx = seeingOf({ image, mask, sky, level: null }, guessFwhmPx, starCountMin, config, scratch);
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
