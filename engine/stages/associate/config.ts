/** Tunables of association. The values are Rubin's (ap_association, June 2026) unless the comment says otherwise. */
export const associateConfig = {
  /** Largest separation of a diaSource from its diaObject, arcsec: the only gate. Ground-based seeing is 0.5–1.5″. */
  matchRadiusArcsec: 1.0,
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
