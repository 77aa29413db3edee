/** What instrument signature removal does, step by step. Electrons after the gain. */
export const isrConfig = {
  /** Overscan: the level that each row's electronics add to it. Off only for frames that were corrected elsewhere. */
  isOverscanSubtracted: true,
  /**
   * Rows over which overscan levels are averaged, where the rows do not truly differ. One row's median of 32 columns
   * scatters by 1.25 × 6 e / √32 = 1.3 e, which would print correlated stripes into the image; 31 rows make that 0.24
   * e. Real differences between rows are kept in proportion to their share of the scatter.
   */
  overscanSmoothingRows: 31,
  /**
   * First overscan columns and rows that do not count: charge that came late trails into them, 60 e after 60,000 at 500
   * transfers of 2e-6, and half as much of half of it one further on.
   */
  overscanSkipPx: 2,
  /**
   * Level per column from the parallel overscan, where there is one: taken off only as far as columns truly differ, by
   * more than `overscanStructureSigma`. A bleeding column takes the level of those beside it.
   */
  isParallelOverscanSubtracted: true,
  /**
   * Excess of the columns' scatter over their medians' own noise, in its standard error, from which they truly differ:
   * one amp in a thousand would seem to at 3 by chance.
   */
  overscanStructureSigma: 4,
  /** Signals of other amps that talk across, by the electronics' coefficients. */
  isCrosstalkRemoved: true,
  /**
   * Crosstalk beside the usual that need not be told from it, ADU, where the sky's noise is not known, and as a share of
   * that noise where it is: a bright sky's own noise would else ask for each pixel. The light that is left is that of
   * sources of a few times the noise, 1.6e-4 of it.
   */
  crosstalkQuietAdu: 0.02, crosstalkQuietFraction: 1e-3,
  /**
   * Crosstalk of a saturated pixel from which the pixels that get it are marked (CROSSTALK), electrons: the true signal
   * is not known, and a sky's noise is 40 e in 30 s.
   */
  crosstalkMaskElectrons: 2,
  /** Linearity of the amplifiers: polynomial or table, where the electronics have one. */
  isLinearized: true,
  /** Charge that is left behind at transfers, put back. */
  isChargeTransferCorrected: true,
  /** Bias left after the overscan: fixed structure of the readout. */
  isBiasSubtracted: true,
  /** Charge collected in the dark, in proportion to the exposure's time; where there is a dark. */
  isDarkSubtracted: true,
  /**
   * Dark current from which a pixel is bad, electrons a second: 600 e in 30 s, whose noise of 25 e adds a third to that
   * of the sky. Less is subtracted well enough.
   */
  darkDefectElectronsPerSecond: 20,
  /** Repulsion of charge, by coefficients from flats; where there are such. */
  isBrighterFatterCorrected: true,
  /** Fringes of the night sky's lines, scaled to this sky; where the band has a fringe frame. */
  isFringeSubtracted: true,
  /**
   * Fewest pixels, of the rows that tell the sky, that scale the fringes, where there are as many: fringes of 1 per cent
   * of a sky of 1,700 e are then known to 0.7 per cent, 0.1 e.
   */
  fringeSamples: 65_000,
  /**
   * Levels of amps made to agree where they meet. Off: gains, flats and overscans that are right leave nothing to do,
   * and a galaxy across a border would be bent. Steps are always measured.
   */
  isAmpOffsetCorrected: false,
  /** Pixels on each side of a border whose median is compared. */
  ampStepPx: 6,
  /** Pixel response and illumination. */
  isFlatDivided: true,
  /** Lower bound of a usable response, relative to the mean: below it a pixel mostly shows noise. */
  flatResponseMin: 0.5,
  /** Upper bound: more light than its neighbours by this much is a fault of the flat or of the pixel. */
  flatResponseMax: 1.5,
  /**
   * Bias values this far from the mean of the detector are hot columns or pixels, ADU: they add noise that is not
   * modelled.
   */
  biasDefectAdu: 500,
  isSaturationMasked: true,
  /** Pixels by which saturated regions grow: charge spills over before the converter's limit is reached. */
  saturationGrowthPx: 1,
  /** The same of nearly saturated regions: their neighbours share what is not linear through repulsion. */
  suspectGrowthPx: 1,
  /**
   * Saturated pixels of one column in a row that make it a bleed. Stars' cores are no longer: even one 100 times over
   * the full well has a core of 12 px at 4 px FWHM.
   */
  bleedRunPx: 20,
  /** Pixels beside a bleed and beyond its ends that are marked SUSPECT: charge on its way spills there. */
  bleedMarginPx: 2,
  /**
   * Bleeds that reach the register spoil the rows next to it. So many columns of an amp saturated in its first row make
   * so many rows SUSPECT.
   */
  edgeBleedColumns: 3, edgeBleedRows: 10,
  /** Share of the saturation level above which response is no longer linear to a per cent. */
  suspectFraction: 0.9,
  /** Outermost pixels, where the field of the detector's edge distorts positions and fluxes. */
  edgePx: 4,
  /** Cosmic rays: sharper than any star. */
  isCosmicRayRejected: true,
  /**
   * Significance of a pixel's Laplacian, in noise of the pixel, to begin a cosmic ray (van Dokkum 2001 uses 4.5 to 5);
   * at 6, noise gives 1e-9 a pixel.
   */
  cosmicRaySigma: 6,
  /** Share of that significance at which a neighbour of a cosmic ray belongs to it. */
  cosmicRayGrowthFraction: 0.3,
  /**
   * Least ratio of a pixel's height over its four neighbours to the light of its eight neighbours over the ring 3 px
   * away. A Gaussian star centred on its pixel gives 0.65 at 2.5 px FWHM and 1.2 at 2.0 px; a straight track gives 1.8.
   */
  cosmicRayContrast: 1.4,
  /**
   * Pixels by which a ray grows along itself from one that is sharp alone: each sees what the marked ones hid. Tracks
   * have such a pixel every few.
   */
  cosmicRayRounds: 12,
  /** Bad pixels and cosmic rays are filled from their neighbours (INTRP), so that later convolutions see no spikes. */
  isInterpolated: true,
  /** Longest run that is filled, pixels: over more, a straight line is not an image. */
  interpolationRunMax: 4,
  /**
   * Cell of the mesh from which the variance takes the sky's level, pixels, and how many of its rows are looked at: 500
   * pixels give its level to 0.055 of the sky's noise, and the median of nine cells to half of that, 0.07 per cent of
   * the variance at 1,600 e. Each row more in a cell costs 0.8 per cent of the whole assembly.
   */
  varianceMeshPx: 128, skyRowsPerCell: 4,
  /**
   * Significance at which a source's own light counts in the variance. Below, the sky's level is used, so that the
   * noise of a pixel cannot lower its own variance: variances from raw counts favour faint negative detections.
   */
  varianceSourceSigma: 3,
  /** Mean light below which the shutter was closed, electrons: ten times the error of a detector's overscan. */
  lightMinElectrons: 2,
};

export type IsrConfig = Readonly<typeof isrConfig>;
