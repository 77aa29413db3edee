/**
 * What no classifier can do: a peak of pure noise has the shape of a point source, so that only its height tells the
 * two apart. The best test of two known distributions is their likelihood ratio (Neyman & Pearson 1933); that of real
 * sources over noise rises with the SNR, so the best test is a higher threshold.
 */
import { FWHM_PER_SIGMA } from '../../image/psf.ts';

export type NoiseBound = Readonly<{
  /** Peaks of pure noise expected in the range of SNR, of both signs, and their share of the bogus that were found. */
  noisePeaks: number; shareOfBogus: number;
  /** Highest completeness at the purity wanted, all other bogus being told apart without a fault. */
  completeness: number;
  /** The same if all bogus were peaks of pure noise. */
  completenessOfNoiseAlone: number;
}>;

/**
 * Peaks above u in a square pixel of white noise smoothed by its PSF, one sign: u e^(−u²/2) λ / (2π)^(3/2), where
 * λ = 1 / (2σ²) is the second spectral moment for a Gaussian PSF (Bond & Efstathiou 1987, MNRAS 226, 655, at high u).
 */
export function noisePeaksPerPixel(u: number, fwhmPx: number): number {
  const sigma = fwhmPx / FWHM_PER_SIGMA;
  return (u * Math.exp((-u * u) / 2)) / ((2 * Math.PI) ** 1.5 * 2 * sigma * sigma);
}

/**
 * @param realSnrs   SNR of the real in the range.
 * @param bogusCount Bogus in the range.
 * @param scenes     Seeing and area of every image that they were found on.
 * @param purity     Wanted with ten bogus to each real.
 */
export function noiseBound(
  realSnrs: Float64Array, bogusCount: number, scenes: readonly Readonly<{ fwhmPx: number; pixels: number }>[],
  snrMin: number, snrMax: number, purity: number,
): NoiseBound {
  const above = (u: number, fwhmPx: number): number => (
    noisePeaksPerPixel(u, fwhmPx) - noisePeaksPerPixel(snrMax, fwhmPx)
  );
  const noisePeaks = scenes.reduce((sum, { fwhmPx, pixels }) => sum + 2 * pixels * above(snrMin, fwhmPx), 0);
  const shareOfBogus = bogusCount > 0 ? Math.min(1, noisePeaks / bogusCount) : 0;
  // The seeing scales the number of peaks, not its fall with the SNR.
  const left = (u: number): number => above(u, 1) / above(snrMin, 1);
  const sorted = realSnrs.slice().sort();
  const best = (share: number): number => {
    for (let k = 0; k < sorted.length; k++) {
      const completeness = (sorted.length - k) / sorted.length;
      if (completeness / (completeness + 10 * share * left(sorted[k])) >= purity) return completeness;
    }
    return 0;
  };
  return { noisePeaks, shareOfBogus, completeness: best(shareOfBogus), completenessOfNoiseAlone: best(1) };
}
