/** Tunables of the difference stage. Widths and sizes are in pixels of the visit image. */
export type DifferenceConfig = Readonly<{
  warp: WarpConfig;
  registration: RegistrationConfig;
  kernelStars: KernelStarConfig;
  kernel: KernelConfig;
  /** Order of the final background difference, fitted to clipped cells of the whole difference; −1 fits none. */
  backgroundOrder: -1 | 0 | 1 | 2 | 3;
  /** Side of those cells, pixels. */
  backgroundCellPx: number;
  /** Whether the difference's noise is made white again (Reiss & Lupton, DMTN-021). */
  isDecorrelated: boolean;
  /** Half side of the decorrelation kernel, pixels. */
  decorrelationHalfSizePx: number;
  /** Factor by which the template's PSF must be wider than the visit's before the visit is convolved in its place. */
  convolveScienceRatio: number;
  /** Share of what the visit's noise adds to the kernel's equations that is taken off, when the visit is convolved. */
  kernelNoiseRemoved: number;
  /** A convolved pixel is masked when this share of its kernel fell on a pixel without data or saturated. */
  maskSpreadFraction: number;
  /** Largest median reduced χ² of the kernel's stamps that still counts as a subtraction. */
  stampChi2Max: number;
  /** Smallest and largest clipped χ² a pixel of the background that still counts as a subtraction. */
  backgroundChi2Min: number;
  backgroundChi2Max: number;
}>;

export type WarpConfig = Readonly<{
  /** Half width of the Lanczos interpolation, template pixels. */
  lanczosHalfWidth: 3 | 4 | 5;
  /** Side of the cells in which the exact sky mapping is replaced by an affine one, pixels. */
  cellPx: number;
  /** Variance above this multiple of the median is flagged HIGH_VARIANCE. */
  highVarianceRatio: number;
  /** Share of the visit that the template has to cover. */
  coverageFractionMin: number;
}>;

export type RegistrationConfig = Readonly<{
  /** Highest order of the displacement's polynomials. */
  order: number;
  /** Stars wanted for each term; with fewer, the order is lowered. */
  starsPerTerm: number;
  /** Clipping of stars, in robust standard deviations above the median. */
  kappa: number;
  iterationCountMax: number;
  /** What a centroid may be off beyond its pixels' noise, pixels: no star weighs more than this allows. */
  floorPx: number;
  /** A displacement with a smaller root mean square is left to the kernel, and the template is not warped again. */
  displacementMinPx: number;
  /** Scatter of single stars about the displacement from which on the variance plane knows it. */
  scatterMinPx: number;
}>;

export type KernelStarConfig = Readonly<{
  /** Stars wanted; the detector is cut into square cells such that `starsPerCell` of each make that many. */
  starCountMax: number;
  starsPerCell: number;
  /** Stars that the kernel is fitted to, where there are so many; all of them tell the registration. */
  fitStarCount: number;
  /** Peak over noise of a source after smoothing, in both images, to be a kernel star. */
  snrMin: number;
  /** Half side of the pixels fitted around each star. */
  stampHalfSizePx: number;
  /** Fewer stars than this and the whole image is cut into stamps (crowded fields, small images). */
  starCountForTiles: number;
  /** Fewer stamps than this after rejection is a failure. */
  stampCountMin: number;
  /** Clipping of stamps by their reduced χ², in robust standard deviations above the median. */
  kappa: number;
  iterationCountMax: number;
  /** Share of a star's flux by which the model may fail without being noise. */
  modelErrorFraction: number;
}>;

export type KernelConfig = Readonly<{
  /** Half side of the kernel. */
  halfSizePx: number;
  /** Widths of the Gaussians as multiples of the width that blurs the sharper PSF to the other. */
  widthRatios: readonly number[];
  /** Degree of the polynomial of each Gaussian. */
  degrees: readonly number[];
  /** Smallest width of the first Gaussian; a narrower one is not sampled. */
  widthMinPx: number;
  /** Order of the kernel's variation over the detector. */
  spatialOrder: 0 | 1 | 2 | 3;
  /** Stamps wanted for each term of that variation; with fewer, the order is lowered. */
  stampsPerSpatialTerm: number;
  /** Order of the background that is fitted together with the kernel on its stamps. */
  backgroundOrder: 0 | 1 | 2;
}>;

export const differenceDefaults: DifferenceConfig = {
  warp: {
    // Lanczos-3 ripples by 1 % at 0.25 cycles a pixel, which shows as rings on stars of SNR 500 when the phase varies.
    lanczosHalfWidth: 4,
    cellPx: 64,
    // Rubin's GetTemplateTask: 4 × median.
    highVarianceRatio: 4,
    // Rubin's requiredTemplateFraction.
    coverageFractionMin: 0.1,
  },
  registration: {
    // Order 9 follows two waves across the detector: on a field with 0.15 px of them 0.017 px of scatter was left, and
    // 0.10 px after order 5. Its 55 terms take 550 stars.
    order: 9, starsPerTerm: 10,
    kappa: 4, iterationCountMax: 5,
    // Interpolation and PSFs that differ in shape leave 0.005 px on the brightest stars.
    floorPx: 0.005,
    // A star of peak SNR 100 and width σ = 2 px shows a dipole of 1 σ at 0.02 px.
    displacementMinPx: 0.02,
    // Without such errors 0.002 px was found.
    scatterMinPx: 0.02,
  },
  kernelStars: {
    // 250 cells: 256 px of a 4k detector, 65 px of a 1k one. A spatial order of 2 has 170 unknowns, and a stamp
    // determines some ten of them.
    starCountMax: 750,
    starsPerCell: 3,
    // A stamp determines some ten unknowns, and a spatial order of 2 has 170; of 256 cells with one star each the kernel
    // at the edges was too uncertain for bright stars. With 512 the cores of the stars between were no better.
    fitStarCount: 350,
    // Rubin's kernel sources start at 10; below it a stamp says less than it costs.
    snrMin: 10,
    // The wings of a star of magnitude 16 are above the noise to 15 px; a smaller stamp leaves them unfitted.
    stampHalfSizePx: 15,
    starCountForTiles: 12,
    // Rubin's minimum number of kernel sources.
    stampCountMin: 3,
    kappa: 4,
    iterationCountMax: 5,
    // Interpolation, flat field and PSF variation above the spatial order: 0.2 % of the flux.
    modelErrorFraction: 0.002,
  },
  kernel: {
    halfSizePx: 15,
    widthRatios: [0.6, 1.2, 2.4, 5],
    degrees: [4, 2, 2, 0],
    widthMinPx: 0.7,
    spatialOrder: 2,
    // 48 stamps for order 2, 24 for order 1: below that a spatial term follows single stars.
    stampsPerSpatialTerm: 8,
    backgroundOrder: 1,
  },
  backgroundOrder: 2,
  backgroundCellPx: 128,
  isDecorrelated: true,
  decorrelationHalfSizePx: 15,
  convolveScienceRatio: 1.03,
  // None leaves 4e-4 of a star's light at its peak (χ² 1.4 at magnitude 16); at 0.9 nothing is left. More than there is
  // must not be taken off: of a variance plane that is too high by a quarter this is all.
  kernelNoiseRemoved: 0.8,
  // A saturated pixel lacks up to some 10⁵ electrons: 2e-4 of it is 20 electrons, below the noise of a sky of 600.
  maskSpreadFraction: 2e-4,
  stampChi2Max: 10,
  // A factor 2 in the noise can be scaled away after detection; far beyond it, the pixels are not those of this sky.
  backgroundChi2Min: 0.1,
  backgroundChi2Max: 4,
};
