/** Tunables of the extract stage. Defaults are source-extractor's own, so that catalogues compare. */
import type { BackgroundConfig } from '../../image/background.ts';

export type ExtractConfig = Readonly<{
  /** Height of a pixel of the filtered image that belongs to a source, in rms of the unfiltered background. */
  thresholdSigma: number;
  /** Fewest connected pixels of a source. */
  pixelCountMin: number;
  background: BackgroundConfig;
  /** Images of more pixels than this tell their sky by rows that are so far apart. */
  wholeSkyPixelsMax: number; rowStep: number;
  deblend: Readonly<{
    /** Levels between the threshold and the peak, equal steps of the logarithm. */
    levelCount: number;
    /** Least light of a branch above the level it parts at, relative to the whole footprint. */
    contrastMin: number;
    /** Fewest pixels of a branch. */
    branchPixelCountMin: number;
  }>;
  /** Exponent of the profile that a source's wings are taken to have where they could feign a neighbour. */
  wingExponent: number;
  kron: Readonly<{
    /** Reach of the first moment, in units of a. */
    reach: number;
    /** Aperture in units of the first moment, and its least size in units of a. */
    factor: number; radiusMin: number;
    /** Share of the aperture that neighbours may hold before the flux is flagged. */
    neighbourFractionMax: number;
  }>;
}>;

export const extractDefaults: ExtractConfig = {
  // 5 rms in each of 5 filtered pixels: noise does not do that in any image.
  thresholdSigma: 5,
  pixelCountMin: 5,
  // Much larger than stars, small enough to follow scattered light; a cell less than a fifth sky asks its neighbours.
  background: { cellPx: 64, clipSigma: 3, usableFractionMin: 0.2 },
  // A thousand cells of every third row tell the rms that the threshold goes by as well as three hundred whole ones, and
  // nine cells together a level to 0.025 of it.
  wholeSkyPixelsMax: 4_000_000, rowStep: 3,
  // 32 levels part peaks whose saddle is 8 % below the lower one at 15 × the threshold; 0.005 keeps noise on a bright
  // source's top from counting as a companion.
  deblend: { levelCount: 32, contrastMin: 0.005, branchPixelCountMin: 3 },
  // A slow fall, r⁻²: rather one faint neighbour too few than the spikes of a bright star as sources.
  wingExponent: 1,
  // Kron (1980): 2.5 first moments hold 94 % of a star's light, and more of it than of the noise.
  kron: { reach: 6, factor: 2.5, radiusMin: 3.5, neighbourFractionMax: 0.1 },
};
