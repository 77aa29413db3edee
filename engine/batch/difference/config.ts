/** Tunables of the difference of two files. Pixels are those of each image. */
import type { BackgroundConfig } from '../../image/background.ts';
import { calibrateConfig, type CalibrateConfig } from '../../stages/calibrate/config.ts';
import { detectDefaults } from '../../stages/detect/config.ts';
import { differenceDefaults } from '../../stages/difference/config.ts';
import { forcedDefaults } from '../../stages/forced/config.ts';
import { isrConfig } from '../../stages/isr/config.ts';
import { measureDefaults } from '../../stages/measure/config.ts';

/**
 * Mesh of an image's sky: 16 cells along its longer side, of 64 to 256 px. A cell of 64 px has an error of 0.014 of a
 * pixel's noise (after the median of its neighbours), which prints through to the difference; one of 256 a quarter.
 */
export function skyMesh(width: number, height: number): BackgroundConfig {
  return { ...calibrateConfig.background, cellPx: Math.min(256, Math.max(64, Math.max(width, height) / 16)) };
}

/** The seeing is looked for from a guess in pixels: with a scale of 1, arcseconds are pixels. */
const stars: CalibrateConfig = {
  ...calibrateConfig, guessSeeingArcsec: 4,
  // What the second mesh gets wrong for want of rows prints through to the difference: 0.24 electrons in boxes of 256 px,
  // not 0.18. The first only has to show the sources.
  rowStep: 1,
  // Its mesh is as coarse as large galaxies, and what it follows on both images goes out in the difference.
  bumpSigma: null,
  // A PSF of 20 coefficients a pixel from 300 stars: its own noise is then 0.3 % of a star's of SNR 100.
  psf: { ...calibrateConfig.psf, starCountMax: 300 },
};

export const pairConfig = {
  /** Smallest side: a kernel of 15 px and stamps of 15 px need 30 px of margin all around. */
  sidePxMin: 96,
  /** Share of the pixels that must be usable. */
  usableFractionMin: 0.01,
  /** Largest usable value, either sign: planes are float32, and a stamp's sum of 961 squares must fit 3.4e38. */
  valueMax: 1e16,
  judgement: {
    /** Share of the light at the stamps that may be left: of two skies that have nothing in common it is most. */
    residualFractionMax: 0.5,
    /** Median χ² a pixel of the stamps, and the background's, beyond which a difference is called degraded. */
    stampChi2Max: 3, backgroundChi2Min: 0.75, backgroundChi2Max: 1.35,
    /** Below the number from which stars serve as stamps, tiles may follow what a few sources do. */
    stampsUsedMin: differenceDefaults.kernelStars.starCountForTiles,
  },
  diagnostics: {
    /** Places along each side at which the kernel is described: a polynomial of order 3 needs 4. */
    kernelGridSide: 5,
    /** Half side of what is looked at in the difference at a stamp: a star of 4 px FWHM has all but 0.2 % of its light there. */
    coreHalfSizePx: 6,
    /** Stamps that the summary lists, those that subtract worst. */
    worstCount: 10,
  },
  /** Ratio of the images' pixel scales, either way, up to which interpolation neither aliases nor invents. */
  scaleRatioMax: 2,
  /** Pixels by which saturation is grown: charge that spills over is not yet at the limit there. */
  saturationGrowthPx: 1,
  noise: {
    /**
     * Slope of a given variance over the pixel's own value, relative to variance / σ², from which it follows the
     * observed counts and is smoothed.
     */
    slopeShareMin: 0.02,
    /**
     * Ratio of the sky's measured variance to that of gain and read noise, either way, up to which these are believed:
     * correlated noise and confusion move it by a tenth.
     */
    agreementMax: 1.25,
    /** Ratio from which a gain or read noise that was given as an option is refused; of others it is told. */
    absurdRatio: 10,
    /** The same for a given variance, which confusion and correlation may move further: a coadd of 1,000 visits. */
    absurdVarianceRatio: 1000,
    /** Significance of a 3 × 3 binomial mean from which light counts as a source's, standard deviations. */
    sourceSigma: 3,
    /** Significance from which a pixel's own value serves as the light expected there. */
    brightSigma: 10,
    /** Sky over its noise from which a gain can be told from both. */
    skySigmaMin: 5,
  },
  columns: {
    /** Significance of a column's level over its neighbours', and least height in pixels' noise, to be corrected. */
    sigma: 8, heightSigmaMin: 0.25,
    /** Columns to each side that tell the level expected. */
    neighbourCount: 8,
    /** Every how many rows a column is sampled. */
    rowStep: 2,
    /** A column noisier than this, relative to its neighbours, is masked as well. */
    scatterRatioMax: 1.3,
  },
  /** Shifts of single sources, looked for where the difference stage found that stars scatter. */
  sourceShifts: {
    /** Peak of the matched template over the difference's noise: below, a shift of 0.3 px is under 5 σ. */
    peakSigmaMin: 5,
    /** Radius that is fitted and corrected: the core and what wings a dipole has, which fall one power faster. */
    stampHalfSizePx: 12,
    /** Significance of a shift, and how far it has to exceed that of a change of flux. */
    significanceMin: 4, fluxRatioMin: 2,
    /** A larger one is another source, pixels. */
    shiftMaxPx: 0.4,
  },
  cosmicRays: {
    sigma: isrConfig.cosmicRaySigma, growthFraction: isrConfig.cosmicRayGrowthFraction,
    contrast: isrConfig.cosmicRayContrast, rounds: isrConfig.cosmicRayRounds,
    /** Below this width a star centred on a pixel is as sharp as a ray (1.2 of the contrast of 1.4 at 2.0 px). */
    fwhmPxMin: 2.2,
    interpolationRunMax: isrConfig.interpolationRunMax,
  },
  registration: {
    starCountMax: 2000, voterCount: 150, binPx: 3, finalRadiusFwhm: 0.25, shiftFractionMax: 0.5,
    /** Tried first; then any angle, with fewer voters, which takes some seconds. */
    rotationMaxDeg: 2, anyRotationVoterCount: 40, anyRotationBinPx: 8,
    pairCountMin: 6, pairFractionMin: 0.1,
  },
  triplets: { count: 20, columns: 4, sidePx: 41, zoom: 2 },
  // What sky is left comes off with a mesh, which follows the polynomial of the difference stage and more.
  stars, difference: { ...differenceDefaults, backgroundOrder: -1 as const }, detect: detectDefaults, measure: measureDefaults, forced: forcedDefaults,
} as const;
