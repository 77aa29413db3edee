/** Tunables of forced photometry. */
export type ForcedConfig = Readonly<{
  /** Half side of the pixels that a PSF flux is made from; at most the PSF stamp's. */
  halfSizePx: number;
  /** Share of Σp² that must lie on usable pixels for a flux to be given. */
  usableShareMin: number;
  /** Sky sources of a detector, places that are tried for them, and their least distance from what is masked, pixels. */
  skySourceCount: number; skyTriesMax: number; skyAvoidPx: number;
}>;

export const forcedDefaults: ForcedConfig = {
  // Σp² outside 10 px is below 1e-4 for seeing up to 8 px; more pixels only add time.
  halfSizePx: 10,
  // With half of the weight the error is 1.4 times larger and still honest; with less, the PSF's wings decide.
  usableShareMin: 0.5,
  // As Rubin's. A tenth of a sigma of level shows at one sigma; in a field half covered a thousand tries find them.
  skySourceCount: 100, skyTriesMax: 1000, skyAvoidPx: 8,
};
