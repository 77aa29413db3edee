/** Tunables of the measure stage. */
export type MeasureConfig = Readonly<{
  /** Half side of the pixels that the PSF is fitted to; at most the PSF stamp's. */
  fitHalfSizePx: number;
  /** Share of Σp² that must lie on usable pixels for a fit. */
  usableShareMin: number;
  iterationCountMax: number;
  /** The fit has converged when no coordinate moves by more than this. */
  convergencePx: number;
  /** A centroid farther than this from the peak has run away to another source. */
  centroidShiftMaxPx: number;
  apertureRadiusPx: number;
  momentIterationCountMax: number;
  /** Largest second moment that is a shape and not the background, px². */
  momentMaxPx2: number;
  /** Nearer than this, two detections of one sign are one. */
  duplicateDistancePx: number;
  /** Two lobes make a dipole when neither holds more than this share of their absolute flux. */
  dipoleFluxShareMax: number;
}>;

export const measureDefaults: MeasureConfig = {
  // As in forced photometry: Σp² outside 10 px is below 1e-4.
  fitHalfSizePx: 10,
  usableShareMin: 0.5,
  // Linearised steps converge quadratically; a good source takes 3 or 4.
  iterationCountMax: 12,
  // A hundredth of the error of the brightest centroids.
  convergencePx: 5e-4,
  // The centroid of a 5 σ source of 4.5 px scatters by FWHM / (2.35 × 5) × 1.4 = 0.5 px; 3 px is 6 of those.
  centroidShiftMaxPx: 3,
  // The alert schema names 12 px for apFlux.
  apertureRadiusPx: 12,
  momentIterationCountMax: 50,
  // A Gaussian of 10 px σ fills the stamp.
  momentMaxPx2: 100,
  // Below the separation that two peaks can have in a score of any usable seeing.
  duplicateDistancePx: 1,
  // Rubin's dipoleFitTask: maxFluxRatio.
  dipoleFluxShareMax: 0.65,
};
