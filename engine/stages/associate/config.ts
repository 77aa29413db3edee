/** Tunables of association. The values are Rubin's (ap_association, June 2026) unless the comment says otherwise. */
export const associateConfig = {
  /** Largest separation of a diaSource from its diaObject, arcsec. Ground-based seeing is 0.5–1.5″. */
  matchRadiusArcsec: 1.0,
  /**
   * Inside this share of the match radius a pair is kept whatever its errors say: blends, trails and refraction move
   * sources by more than the errors that they come with.
   */
  sureRadiusShare: 0.5,
  /**
   * Farther out a pair is two things when its offset is larger than both errors make likely, χ² of 2 degrees. One in
   * 8,000 of true pairs exceeds 18 (exp(−9)), an eighth of the splits that are allowed. Without it the first source of
   * a neighbour at 1 to 1.2″ was often taken for the object that was there, which then followed the neighbour: over 30
   * skies of such neighbours that decided nothing 99.94 % of sources are right, and 99.81 % without (yearQuality.test.ts
   * has the sky); on 30 others 14, 16, 18 and 20 give 99.91, 99.95, 99.96 and 99.95 %.
   */
  apartChi2: 18,
  /**
   * No position is taken to be known better than this in any direction, arcsec. It is the accuracy asked of the WCS
   * (50 mas, DMS-REQ-0030): photon noise alone would give a bright star milliarcseconds and refuse its own object.
   */
  sigmaFloorArcsec: 0.05,
  /** Uncertainty of a position that comes without one, arcsec: about that of a 5 σ source in 1″ seeing (FWHM / SNR). */
  sigmaFallbackArcsec: 0.2,
  /** A source whose measured reliability (0–1) lies below this makes no diaObject: nearly all of those are bogus. */
  reliabilityMin: 0.1,
  /**
   * More new diaObjects than this on one detector are reported as a warning. A good detector makes tens (10,000 alerts
   * a visit over 189 detectors are 53 each); a thousand mean a bad subtraction. Rubin drops the detector; we do not.
   */
  newObjectsWarningCount: 1000,
} as const;

export type AssociateConfig = Readonly<{ [Name in keyof typeof associateConfig]: number }>;
