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
  /** Bias left after the overscan: fixed structure of the readout. */
  isBiasSubtracted: true,
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
  /** Rounds of finding: each sees what the masked pixels of the last one hid. */
  cosmicRayRounds: 3,
  /** Bad pixels and cosmic rays are filled from their neighbours (INTRP), so that later convolutions see no spikes. */
  isInterpolated: true,
  /** Longest run that is filled, pixels: over more, a straight line is not an image. */
  interpolationRunMax: 4,
  /** Cell of the mesh from which the variance takes the sky's level, pixels. */
  varianceMeshPx: 64,
  /**
   * Significance at which a source's own light counts in the variance. Below, the sky's level is used, so that the
   * noise of a pixel cannot lower its own variance: variances from raw counts favour faint negative detections.
   */
  varianceSourceSigma: 3,
  /** Mean light below which the shutter was closed, electrons: ten times the error of a detector's overscan. */
  lightMinElectrons: 2,
};

export type IsrConfig = Readonly<typeof isrConfig>;
