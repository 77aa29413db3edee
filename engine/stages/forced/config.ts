/** Tunables of forced photometry. */
export type ForcedConfig = Readonly<{
  /** Half side of the pixels that a PSF flux is made from; at most the PSF stamp's. */
  halfSizePx: number;
  /** Share of Σp² that must lie on usable pixels for a flux to be given. */
  usableShareMin: number;
}>;

export const forcedDefaults: ForcedConfig = {
  // Σp² outside 10 px is below 1e-4 for seeing up to 8 px; more pixels only add time.
  halfSizePx: 10,
  // With half of the weight the error is 1.4 times larger and still honest; with less, the PSF's wings decide.
  usableShareMin: 0.5,
};
