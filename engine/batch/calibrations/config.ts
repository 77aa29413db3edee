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
  /** Fewest exposures of the sky that a fringe frame is made of: sources lie on fewer than half at each pixel. */
  fringeCountMin: 4,
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
