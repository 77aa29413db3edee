/** How calibrations are made of frames. */
import { isrConfig, type IsrConfig } from '../../stages/isr/config.ts';

export const calibrationsConfig = {
  /** Fewest biases and darks that a hit by a cosmic ray can be told in, as the highest of them. */
  biasCountMin: 3, darkCountMin: 2,
  /** The highest of a pixel's values is left out when it stands above the mean of the others by so many sigma. */
  outlierSigma: 5,
  /**
   * Levels of flats that make the flat, as parts of saturation: below, read noise and overscan tell; above, what is
   * left of nonlinearity and repulsion does.
   */
  flatLevelMin: 0.08, flatLevelMax: 0.65,
  /** Levels that tell linearity, transfers and repulsion: a bright corner's nearly saturated pixels would bias them. */
  electronicsLevelMax: 0.8,
  /** Fewest levels, distinct by a tenth, that a curve with two coefficients is fitted to. */
  linearityLevelsMin: 4,
  /** Repulsion is measured where charge is at least this, electrons: it grows with the square, its error does not. */
  repulsionElectronsMin: 10_000,
  /** Pairs' differences beyond this many sigma are cosmic rays and defects. */
  covarianceClipSigma: 5,
  /** Part of the range to saturation from which a pixel's crosstalk tells more than noise does. */
  crosstalkSignalMin: 0.15,
  /** Fewest bright pixels of an amp; readings farther than so many sigma from the fit are the other amp's own stars. */
  crosstalkPixelsMin: 50, crosstalkClipSigma: 4, crosstalkRounds: 4,
  /**
   * Largest error of a coefficient that is taken: 0.6 ADU of a saturated pixel, a fiftieth of the sky's noise. Some 16,000
   * bright pixels an amp of a sparse sky give it; a crowded one does not (12 exposures of the Milky Way,
   * 35,000 pixels an amp: 4e-5). From how many errors it differs from 0.
   */
  crosstalkErrorMax: 1e-5, crosstalkSigmaMin: 4,
  /**
   * Fewest places on the sky that a fringe frame is made of, so that sources lie on fewer than half at each pixel, and
   * most exposures: each takes as much memory as an image.
   */
  fringePlacesMin: 4, fringeCountMax: 12,
  /** How far apart places are at least: a galaxy's width. */
  fringeShiftArcsec: 20,
  /** Sky below which an exposure tells too little, electrons. Every so many pixels along x and y tell its level. */
  fringeSkyElectronsMin: 200, fringeSamplePx: 7,
  /** Width of the Gaussian that smooths fringes, pixels: periods are ten times as long, and noise falls to a tenth. */
  fringeSmoothPx: 3,
  /** Fringes are there when their scatter exceeds the frame's noise so many times, and this part of the sky. */
  fringeSigmaMin: 3, fringeRmsMin: 3e-4,
};

/** Steps of a frame that is made into a calibration: those of the night, less what needs the calibration itself. */
export function frameConfig(without: Partial<IsrConfig>): IsrConfig {
  return { ...isrConfig, ...without };
}

/** Bias and dark alone: nothing but levels and gain. */
export const PLAIN_STEPS: Partial<IsrConfig> = {
  isBiasSubtracted: false, isFlatDivided: false, isDarkSubtracted: false, isCrosstalkRemoved: false,
  isLinearized: false, isChargeTransferCorrected: false, isBrighterFatterCorrected: false, isFringeSubtracted: false,
};
