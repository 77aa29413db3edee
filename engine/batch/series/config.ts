/** Tunables of a series of real frames. Pixels are those of the frames. */
import { detectDefaults, type DetectConfig } from '../../stages/detect/config.ts';
import { differenceDefaults, type DifferenceConfig } from '../../stages/difference/config.ts';
import { forcedDefaults } from '../../stages/forced/config.ts';
import { measureDefaults, type MeasureConfig } from '../../stages/measure/config.ts';
import { calibrateConfig } from '../../stages/calibrate/config.ts';

const difference: DifferenceConfig = {
  ...differenceDefaults,
  kernelStars: { ...differenceDefaults.kernelStars, starCountMax: 250, starsPerCell: 3, snrMin: 20 },
  kernel: { ...differenceDefaults.kernel, degrees: [6, 4, 2, 0], spatialOrder: 1, backgroundOrder: 1 },
  // The template is the mean of several frames and is convolved once more: its noise is a few per cent of a frame's.
  isDecorrelated: false,
  // Convolving a frame that is sharper than the template spreads its own noise; the kernel sharpens the template as
  // well.
  convolveScienceRatio: 3,
  // Frames are judged by their stars before; gain and read noise of the header may be off by a factor.
  stampChi2Max: 1000, backgroundChi2Min: 0.02, backgroundChi2Max: 50,
};

// The noise of a blurred frame's pixels correlates: its score scatters by up to 5 times theirs.
const detect: DetectConfig = { ...detectDefaults, scaleMin: 0.3, scaleMax: 10 };
const measure: MeasureConfig = measureDefaults;

export const seriesConfig = {
  /** Assumed where neither a header nor an option tells: electrons per ADU, electrons. The summary says so. */
  gainFallback: 1, readNoiseElectronsFallback: 5,
  /**
   * Share of an integer file's range from which a pixel counts as saturated when nothing tells: flat-fielding moves the
   * full well of 65,535 by a few per cent either way.
   */
  saturationRangeFraction: 0.95,
  /** Pixels by which saturation is grown: charge that spills over is not yet at the limit there. */
  saturationGrowthPx: 1,
  /** Frames are judged this far from their edges; strong detections, standard deviations; pixels looked at, at most. */
  quality: { edgePx: 25, strongSigma: 10, sampleMax: 200_000 },
  chargeTrails: {
    /** Saturated pixels, growth included, from which a star may trail. */
    starPixelsMin: 25,
    /**
     * A row goes on trailing while the median of so many pixels is so much above those of rows so far on either side, in its
     * standard deviations; two windows in a row may be spoilt by neighbours.
     */
    windowPx: 16, besidePx: [5, 6], sigmaMin: 3, gapWindowsMax: 2,
    /** Windows of a trail that are bright at least: a chain of neighbours has more gaps. */
    brightShareMin: 0.7,
    /** The wings of the star and of a neighbour end before this. */
    lengthMinPx: 48,
  },
  /** Median of a frame, ADU, from which a pixel of exactly 0 is none: a border that was filled, a dead column. */
  zeroIsBlankAboveAdu: 20,
  /** Sky mesh under the stars: in a crowded field the cells must be large enough to show some sky. */
  background: { ...calibrateConfig.background, cellPx: 64 },
  /** First guess of the seeing; a factor of 3 off still finds the stars. */
  guessFwhmPx: 4,
  stars: calibrateConfig.stars,
  seeingStarCountMin: calibrateConfig.seeingStarCountMin,
  /** Brightest stars that a frame is registered by. */
  registeredStarCountMax: 2000,
  registration: {
    /** Largest shift, as a share of the frame's side. */
    shiftFractionMax: 0.4,
    rotationMaxDeg: 2, voterCount: 150, binPx: 3,
    /**
     * Radius of the final pairs in units of the wider seeing: less than half the distance at which stars still part.
     */
    finalRadiusFwhm: 0.25,
    /**
     * Pairs that a match needs: so many, and this share of the poorer list, which in a crowded field tells it from
     * chance.
     */
    pairCountMin: 6, pairFractionMin: 0.1,
  },
  template: {
    /** Frames in the template: ten halve the noise three times; more would only bring in worse seeing. */
    frameCountMax: 10,
    /** Fewer than this are taken even when they are not sharp. */
    frameCountMin: 3,
    /** Frames blurrier than this multiple of the sharpest stay out. */
    fwhmRatioMax: 1.2,
    /** Frames noisier than this multiple of the best, on the reference's flux scale, stay out. */
    noiseRatioMax: 2.5,
    /** Share of the frames' weight that may be saturated at a pixel; the mean of the others is taken there. */
    saturatedShareMax: 0.1,
    /** A pixel this far above the median of its frames (errors of both) is a cosmic ray, when it stands alone. */
    clipSigma: 6,
    /** What the frames' different seeing may change a pixel by, as a share of its light. */
    clipLightFraction: 0.3,
    /** Clipped pixels of 5 × 5 above which they are no cosmic ray but a star that was brighter. */
    clipNeighbourCountMax: 9,
  },
  psf: { ...calibrateConfig.psf, sizeFwhm: 7, sizePxMin: 21, sizePxMax: 41, starCountMax: 80 },
  /** Mesh for what is left of the sky in a difference. */
  residualSky: { cellPxMin: 32, cellFwhm: 6 },
  /**
   * The subtraction's own error, a share of the template's light: measured on pixels this far above the noise, of which
   * there must be so many, and believed up to a limit, beyond which a frame shows itself by its false detections.
   */
  modelError: { lightSigmaMin: 20, pixelCountMin: 200, fractionMax: 0.1 },
  /**
   * A frame is blurred when the template's second moment exceeds that of its stars in any direction, to a margin beyond, or
   * when the kernel fails by more than this share of the light. With a margin of 1 px² the kernel of frames that are
   * trailed by 5 px fails by 2 % of the light, with 0.3 by 4 %, unblurred by 8 %. So many of the brightest stars tell, each
   * within so many full widths.
   */
  blur: { starCount: 80, starCountMin: 10, halfSizeFwhm: 1.5, marginPx2: 1, modelErrorMax: 0.04 },
  association: {
    /**
     * Largest distance of a source from its object, in units of the usual FWHM. A 5 σ source scatters by FWHM / (2.35 ×
     * 5) × √2 = 0.12 FWHM along each axis: 0.36 are three of those, and half the distance at which two stars still
     * part.
     */
    matchRadiusFwhm: 0.36,
    /** What registration leaves between frames, pixels. */
    sigmaFloorPx: 0.1,
    sigmaFallbackFwhm: 0.12,
  },
  difference, detect, measure, forced: { ...forcedDefaults, halfSizePx: 12 },
  /** How long one frame may take, ms; its worker is ended then. A 4k × 4k frame takes some 20 s on one core. */
  frameLimitMs: 300_000,
} as const;
