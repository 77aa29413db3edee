/** PSF fluxes at known positions, whether or not anything was detected there. */
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage, MaskedImage, VisitImage } from '../../image/maskedImage.ts';
import type { PsfModel } from '../../image/psf.ts';
import { patchesOf } from '../../image/psfPatch.ts';
import type { ForcedConfig } from './config.ts';

/** A flux at a fixed position; null where it could not be measured, and then why. */
export type ForcedFlux = Readonly<{
  flux: number | null; fluxErr: number | null;
  /** The PSF reaches beyond the image. */
  isAtEdge: boolean;
  /** The position is off the image or too few pixels are usable. */
  hasNoGoodPixels: boolean;
}>;

/** Of one position, nJy; null off the image or without good pixels. */
export type ForcedFluxes = Readonly<{
  psfFlux: number | null; psfFluxErr: number | null; scienceFlux: number | null; scienceFluxErr: number | null;
}>;

const UNUSABLE = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');

/**
 * PSF fluxes at fixed pixel positions on the difference and on the visit image.
 *
 * @param noiseScale Factor on the difference's errors, as the detect stage measured it.
 * @returns One a position, in order.
 */
export function forcedPhotometry(
  difference: DifferenceImage, differencePsf: PsfModel, visitImage: VisitImage, visitPsf: PsfModel,
  positions: readonly Readonly<{ x: number; y: number }>[], noiseScale: number, config: ForcedConfig,
): ForcedFluxes[] {
  return positions.map(({ x, y }) => {
    const changed = forcedFlux(difference, differencePsf, x, y, config);
    const total = forcedFlux(visitImage, visitPsf, x, y, config);
    return {
      psfFlux: changed.flux, psfFluxErr: changed.fluxErr === null ? null : changed.fluxErr * noiseScale,
      scienceFlux: total.flux, scienceFluxErr: total.fluxErr,
    };
  });
}

/**
 * PSF flux at a fixed position: Σ p d / Σ p² over usable pixels, error √(Σ p² V) / Σ p².
 *
 * All pixels weigh alike. Weights from a variance plane that holds the pixels' own counts would favour those that
 * fluctuated down, a bias of a quarter of a standard deviation for a bright source; and for a faint one the sky makes
 * all weights equal anyway. Masked pixels and NaN are left out.
 *
 * @param x, y Position, pixels of the image.
 */
export function forcedFlux(planes: MaskedImage, psf: PsfModel, x: number, y: number, config: ForcedConfig): ForcedFlux {
  const { width, height, image, variance, mask } = planes, patches = patchesOf(psf, config.halfSizePx), { half } = patches;
  const cx = Math.round(x), cy = Math.round(y);
  if (!(cx >= 0 && cy >= 0 && cx < width && cy < height)) {
    return { flux: null, fluxErr: null, isAtEdge: true, hasNoGoodPixels: true };
  }
  const stamp = patches.at(x, y);
  let signal = 0, squares = 0, noise = 0, allSquares = 0, isAtEdge = false;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const p = stamp[k], px = cx + u, py = cy + v;
      allSquares += p * p;
      if (px < 0 || py < 0 || px >= width || py >= height) { isAtEdge = true; continue; }
      const j = py * width + px;
      if ((mask[j] & UNUSABLE) !== 0 || image[j] - image[j] !== 0 || !(variance[j] > 0)) continue;
      signal += p * image[j];
      squares += p * p;
      noise += p * p * variance[j];
    }
  }
  if (!(squares >= config.usableShareMin * allSquares)) {
    return { flux: null, fluxErr: null, isAtEdge, hasNoGoodPixels: true };
  }
  return { flux: signal / squares, fluxErr: Math.sqrt(noise) / squares, isAtEdge, hasNoGoodPixels: false };
}
