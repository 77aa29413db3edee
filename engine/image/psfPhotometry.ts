/**
 * Flux and position of stars by fitting the PSF, pixels weighted by their variance (Stetson 1987; King 1983 for the
 * errors).
 */
import { createStampKernels, type FitPlanes, type StarFit } from '../kernels/starFit.ts';
import { maskBits } from './maskPlanes.ts';
import { psfTerms, type PsfModel } from './psf.ts';

/** The planes that photometry reads: [height × width] row-major, background subtracted. */
export type PhotometryPlanes = FitPlanes;

export type PsfFit = StarFit;

export type PsfFitter = Readonly<{
  /**
   * Flux and both coordinates from the pixels within `radiusPx`.
   *
   * @param neighbourLight Model of the neighbours' light in the same stamp ([size × size] about the rounded start, same
   * unit), or null.
   * @returns null when the fit leaves the star, or fewer than half of the pixels are usable.
   */
  fit(xStart: number, yStart: number, radiusPx: number, neighbourLight: Float32Array | null): PsfFit | null;
  /** Adds stars' light to a stamp ([size × size]) whose middle pixel is image pixel (cx, cy). */
  addLight(stars: readonly PlacedFlux[], cx: number, cy: number, out: Float32Array): void;
  /** Moves a stamp's light by (dx, dy), |·| ≤ 1. @param out May be the stamp itself. */
  move(stamp: Float32Array, dx: number, dy: number, out: Float32Array): void;
}>;

export type PlacedFlux = Readonly<{ x: number; y: number; flux: number }>;

/** Pixels that no star is fitted with. */
const UNFITTED = maskBits('SAT', 'BAD', 'NO_DATA', 'CR');

/** @param psf Its coefficients are copied now. */
export function createPsfFitter(planes: PhotometryPlanes, psf: PsfModel): PsfFitter {
  const { size } = psf, kernels = createStampKernels(planes, UNFITTED, psf), stamp = new Float32Array(size * size);
  return {
    // Over the pixel that a fit moves, the PSF does not change.
    fit: (x, y, radiusPx, light) => kernels.fit(psfTerms(psf, x, y), x, y, radiusPx, light),
    move: kernels.move,
    addLight: (stars, cx, cy, out) => {
      for (const star of stars) {
        const ox = Math.round(star.x) - cx, oy = Math.round(star.y) - cy;
        if (Math.abs(ox) >= size || Math.abs(oy) >= size) continue;
        kernels.place(psfTerms(psf, star.x, star.y), star.x - cx - ox, star.y - cy - oy, stamp);
        for (let j = Math.max(0, oy); j < Math.min(size, size + oy); j++) {
          for (let i = Math.max(0, ox); i < Math.min(size, size + ox); i++) {
            out[j * size + i] += star.flux * stamp[(j - oy) * size + i - ox];
          }
        }
      }
    },
  };
}
