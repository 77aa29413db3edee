/** Tunables of the measure stage. */
export type MeasureConfig = Readonly<{
  /** Half side of the pixels that the PSF is fitted to; at most the PSF stamp's. */
  fitHalfSizePx: number;
  /** Share of Σp² that must lie on usable pixels for a fit. */
  usableShareMin: number;
  iterationCountMax: number;
  /** The fit has converged when no coordinate moves by more than this. */
  convergencePx: number;
  /** As that, in errors of the centroid. */
  convergenceErrors: number;
  /** A centroid farther than this from the peak has run away to another source. */
  centroidShiftMaxPx: number;
  apertureRadiusPx: number;
  momentIterationCountMax: number;
  /** Relative change of the moments at which they have converged. */
  momentConvergence: number;
  /** Largest second moment that is a shape and not the background, px². */
  momentMaxPx2: number;
  /** Nearer than this, two detections of one sign are one. */
  duplicateDistancePx: number;
  /** Two lobes make a dipole when neither holds more than this share of their absolute flux, both together this SNR. */
  dipoleFluxShareMax: number; dipoleSnrMin: number;
  dipoleIterationCountMax: number;
  /** Lobes that run farther than this from their start, that come nearer than this, or that grow more: no dipole. */
  dipoleShiftMaxFwhm: number; dipoleLengthMinFwhm: number; dipoleGrowthMax: number;
  /** Footprints between these sides are asked for a trail; in full widths, and pixels. */
  trailSideMinFwhm: number; trailSideMaxPx: number;
  /** Second moments along and across, over the PSF's, from which and up to which a footprint may be a trail's. */
  trailElongationMin: number; trailWidthMax: number;
  trailIterationCountMax: number;
  /** Gain in χ² over a point, length in full widths and in its errors, from which a trail is reported. */
  trailChi2GainMin: number; trailLengthMinFwhm: number; trailLengthSigmaMin: number;
  /** Pieces of a trail: widest gap between footprints in full widths, most of them, gain in χ² over as many points. */
  trailGapFwhm: number; trailPiecesMax: number; trailPiecesChi2GainMin: number;
  /** Glint trails: sources in a line, its greatest length, its half width, and the least distance along it; pixels. */
  glintCountMin: number; glintLengthMaxPx: number; glintTolerancePx: number; glintSpacingPx: number;
  /** Lines of a detector that may be called a trail by chance, and most sources that are looked through. */
  glintChanceMax: number; glintSourcesMax: number;
}>;

export const measureDefaults: MeasureConfig = {
  // As in forced photometry: Σp² outside 10 px is below 1e-4.
  fitHalfSizePx: 10,
  usableShareMin: 0.5,
  // Linearised steps converge quadratically; a good source takes 3 or 4.
  iterationCountMax: 12,
  // A hundredth of the error of the brightest centroids.
  convergencePx: 5e-4,
  // A faint source's last steps would be of 1e-3 of its error; the step after one of a twentieth is such a step.
  convergenceErrors: 0.05,
  // The centroid of a 5 σ source of 4.5 px scatters by FWHM / (2.35 × 5) × 1.4 = 0.5 px; 3 px is 6 of those.
  centroidShiftMaxPx: 3,
  // The alert schema names 12 px for apFlux.
  apertureRadiusPx: 12,
  momentIterationCountMax: 50,
  // A quarter of the error of the moments of a source of SNR 1000; the steps halve, so this is what is left.
  momentConvergence: 5e-4,
  // A Gaussian of 10 px σ fills the stamp.
  momentMaxPx2: 100,
  // Below the separation that two peaks can have in a score of any usable seeing.
  duplicateDistancePx: 1,
  // Rubin's dipoleFitTask: maxFluxRatio.
  dipoleFluxShareMax: 0.65, dipoleSnrMin: 5 * Math.SQRT2,
  // Steps of half the way to the next lobe take a dozen; the damping of a bad start as many again.
  dipoleIterationCountMax: 30,
  // Below a third of a full width only flux × length is determined, and both run away together.
  dipoleShiftMaxFwhm: 1.5, dipoleLengthMinFwhm: 0.3, dipoleGrowthMax: 20,
  // The footprint of a point of SNR 100 is 2.5 full widths wide; one of SNR 10 is 1.3.
  trailSideMinFwhm: 1.8,
  // Longer ones are satellites' streaks: 120 px of 0.2 arcsec in 30 s are 19 degrees a day.
  trailSideMaxPx: 160,
  // A line of 2 full widths has (1 + 5.5 × 4 / 12) σ² along it; a third of that is lost at the footprint's rim.
  trailElongationMin: 1.6, trailWidthMax: 1.8,
  trailIterationCountMax: 30,
  // Two more unknowns gain 2 by chance; 25 is the 5 σ of everything else.
  trailChi2GainMin: 25, trailLengthMinFwhm: 0.8, trailLengthSigmaMin: 4,
  // A trail whose ridge is one standard deviation a pixel has a score of 6 ± 1: runs of three widths below 5 are common.
  // What merely lies in a row, the comparison with sources of their own refuses. On 160 px a dozen pieces of one and a
  // half widths have room, with gaps of as much.
  // Points have at least one unknown more than a trail, and yet must fit worse by 2 σ: of 3,200 pairs of points of SNR
  // 5.5 to 8, 5 to 28 px apart, 4 were called a trail (none brighter than that). With 25, as over a single point, 40 of
  // 122 trails with a ridge of 1 σ stayed in pieces; with 4 it is 18.
  trailGapFwhm: 3.5, trailPiecesMax: 12, trailPiecesChi2GainMin: 4,
  // A satellite in a low orbit crosses 600 px of 0.2 arcsec in a second. Centroids of SNR 5 scatter by half a pixel;
  // three of these on either side of the line.
  glintCountMin: 4, glintLengthMaxPx: 600, glintTolerancePx: 1.5, glintSpacingPx: 10,
  // One detector in a thousand; a detector with more sources than this has another trouble.
  glintChanceMax: 1e-3, glintSourcesMax: 1500,
};
