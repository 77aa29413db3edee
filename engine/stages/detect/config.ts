/** Tunables of the detect stage. */
export type DetectConfig = Readonly<{
  /** Peak of the score that counts as a detection, standard deviations. */
  thresholdSigma: number;
  /** Whether the score is divided by its measured scatter in the background. */
  isVarianceScaled: boolean;
  /** Range in which that scatter is believed; beyond it the nearer end is used. */
  scaleMin: number; scaleMax: number;
  /** Two peaks of one footprint stay two when the score between them falls this far below the lower one, sigma. */
  saddleDepthSigma: number;
  /** Nearest that two peaks of one sign may lie, in units of the PSF's full width at half maximum. */
  peakSeparationFwhm: number;
  /** Peaks of opposite sign within this many full widths are flagged as the lobes of a possible dipole. */
  lobeSeparationFwhm: number;
  /** More peaks than this are not noise nor sky but a failed subtraction; the brightest are kept, the rest counted. */
  detectionCountMax: number;
}>;

export const detectDefaults: DetectConfig = {
  // Rubin's default. Noise exceeds 5 with probability 2.9e-7: about 2.7 false peaks of each sign on 4096² pixels
  // smoothed by a PSF of 4.6 px, as measured on pure noise.
  thresholdSigma: 5,
  isVarianceScaled: true,
  // A subtraction whose noise is off by more than a quarter is refused before (BAD_SUBTRACTION) or is worth seeing.
  scaleMin: 0.8, scaleMax: 2,
  // The difference between two independent places of the score has a noise of √2, so 5 is 3.5 standard deviations: the
  // dozens of independent places in the wings of a bright source seldom reach it.
  saddleDepthSigma: 5,
  // Two point sources nearer than this have no minimum between them.
  peakSeparationFwhm: 1,
  // Rubin's dipole task: lobes overlap within 5 σ of the PSF, which is 2.1 full widths.
  lobeSeparationFwhm: 2.1,
  // 10,000 alerts a visit on average for 189 detectors; 20,000 on one is a thousand times too many.
  detectionCountMax: 20_000,
};
