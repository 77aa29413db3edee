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
  /** Whether streaks are looked for. */
  hasStreaks: boolean;
  /** A place of the score as high as this votes for the lines through it; standard deviations. */
  streakPlaceSigma: number;
  /** A streak goes on where the median of the score over this length, pixels, is above this. */
  streakWindowPx: number; streakRunSigma: number;
  /** Least median of the score along the whole streak. */
  streakScoreMin: number;
  /** The darkest quarter of its places is above this: of a chain of sources it is not. */
  streakGapSigma: number;
  /** It is masked to where the median along it falls below this, and so many pixels more. */
  streakRimSigma: number; streakMarginPx: number;
  /** Shortest streak, and largest half width of what may still be one, pixels. */
  streakLengthMinPx: number; streakWidthMaxPx: number;
  /** So far beside the rough line its light is looked for, pixels. */
  streakSearchPx: number;
  /** Sine of the least angle to rows and columns. */
  streakSlopeMin: number;
  /** Lines of each sign that are tried. */
  streakCandidatesMax: number;
  /** Whether diffraction spikes are looked for; saturated pixels of a star that may have some, and most such stars. */
  hasSpikes: boolean; spikeStarPixelsMin: number; spikeStarsMax: number;
  /** A spike is looked for from so far beyond the saturated pixels, in full widths, over this length, pixels. */
  spikeStartFwhm: number; spikeLengthMinPx: number;
  /** Least median of the score along both sides, over what is all around, and least value of the darkest quarter. */
  spikeScoreMin: number; spikeGapSigma: number;
  /** It goes on while the median over such a piece is above this, and ends there at the latest; pixels. */
  spikeWindowPx: number; spikeRimSigma: number; spikeLengthMaxPx: number;
  /** Half width of what is masked, in full widths. */
  spikeHalfWidthFwhm: number;
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
  hasStreaks: true,
  // Noise is as high at one place in 160; a streak whose middle has a score of 2 is at one in three.
  streakPlaceSigma: 2.5,
  // 40 px have eight independent places of a seeing of 4.5 px: their median scatters by 0.45, and with three tries a
  // window of noise passes once in 40, seven of them in a row never.
  streakWindowPx: 40, streakRunSigma: 0.9,
  // What fainter ones add to a source is less than its error; uneven sky at an image's edge has a score of 0.7.
  streakScoreMin: 1.2,
  // The quarter of a streak of 1.2 is 0.53, that of noise −0.67.
  streakGapSigma: 0.3,
  // What adds less than half a standard deviation to a source's score makes no detection of noise.
  streakRimSigma: 0.5, streakMarginPx: 2,
  // Shorter ones are fitted as trails (`trailSideMaxPx` of the measure stage).
  streakLengthMinPx: 160,
  // A satellite at 300 km is 5.8″ wide in the focus of an 8.4 m mirror: 29 px of 0.2″, and its wings.
  streakWidthMaxPx: 45,
  streakSearchPx: 12,
  // Defects of columns and rows are straight to the pixel: over 1024 of them this is ten.
  streakSlopeMin: 0.01,
  streakCandidatesMax: 12,
  // Vanes throw some 1e-3 of a star's light; those that show are three magnitudes above saturation, with a core of 9 px. A
  // detector of 0.05 square degrees has 20 stars of magnitude 12; each costs 0.4 ms.
  hasSpikes: true, spikeStarPixelsMin: 60, spikeStarsMax: 20,
  // Residuals of a star's own wings have sides too, to some three full widths.
  spikeStartFwhm: 3, spikeLengthMinPx: 64,
  // 64 px hold eleven independent places: their median scatters by 0.38, and both sides of one of 90 lines exceed 1.2 by
  // noise at one star in 20,000.
  spikeScoreMin: 1.2, spikeGapSigma: 0.3,
  spikeWindowPx: 32, spikeRimSigma: 0.7, spikeLengthMaxPx: 800,
  spikeHalfWidthFwhm: 0.75,
};
