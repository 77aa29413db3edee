/** Tunables of the reliability stage. A change of those that shape the features asks for a new training. */
export const reliabilityConfig = {
  /** From here on a diaSource counts as real in reports. The trainer calibrates the scale so that 0.5 is even odds. */
  reliableMin: 0.5,
  /** Radii of the core, of the wings and of the ring around, in the PSF's full widths at half maximum. */
  coreFwhm: 0.75, wingsFwhm: 1.5, ringFwhm: 2.5,
  /** Largest half side of the pixels looked at: a PSF of 6 px needs 15. */
  halfSizePxMax: 15,
  /** PSFs are evaluated once in cells of this side: over 128 px a PSF changes by less than its own error. */
  psfCellPx: 128,
  /** Radius within which masked pixels and the edge are looked for, and in which neighbours are counted, pixels. */
  maskRadiusPx: 12, neighbourRadiusPx: 40,
  /** Half side of the square in which the brightest light of the template is looked for, pixels. */
  brightHalfSizePx: 24,
} as const;
