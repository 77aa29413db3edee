/** PSF fluxes at known positions, whether or not anything was detected there. */
import { addedFluxNoise, fluxNoiseOf, type FluxNoisePlanes } from '../../image/fluxNoise.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage, MaskedImage, VisitImage } from '../../image/maskedImage.ts';
import type { PsfModel } from '../../image/psf.ts';
import { patchesOf } from '../../image/psfPatch.ts';
import { createPointSums, type PointSums } from '../../kernels/pointSource.ts';
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
 * @param fluxNoise  What a flux on the difference has of noise beside that of its pixels.
 * @returns One a position, in order.
 */
export function forcedPhotometry(
  difference: DifferenceImage, differencePsf: PsfModel, visitImage: VisitImage, visitPsf: PsfModel,
  positions: readonly Readonly<{ x: number; y: number }>[], noiseScale: number, config: ForcedConfig,
  fluxNoise?: FluxNoisePlanes,
): ForcedFluxes[] {
  return positions.map(({ x, y }) => {
    const changed = forcedFlux(difference, differencePsf, x, y, config, fluxNoise);
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
 * @param fluxNoise Of the same image, which is a difference.
 */
export function forcedFlux(
  planes: MaskedImage, psf: PsfModel, x: number, y: number, config: ForcedConfig, fluxNoise?: FluxNoisePlanes,
): ForcedFlux {
  const { width, height } = planes, patches = patchesOf(psf, config.halfSizePx), { half } = patches;
  const cx = Math.round(x), cy = Math.round(y);
  if (!(cx >= 0 && cy >= 0 && cx < width && cy < height)) {
    return { flux: null, fluxErr: null, isAtEdge: true, hasNoGoodPixels: true };
  }
  const patch = patches.partsAt(x, y);
  const { signal, squares, noise, allSquares } = sumsOn(planes, patches.side).flux(patch, cx, cy);
  const isAtEdge = cx < half || cy < half || cx + half >= width || cy + half >= height;
  if (!(squares >= config.usableShareMin * allSquares)) {
    return { flux: null, fluxErr: null, isAtEdge, hasNoGoodPixels: true };
  }
  const total = fluxNoise === undefined
    ? noise : fluxNoiseOf(noise, addedFluxNoise(fluxNoise, patch, patches.side, cx, cy));
  return { flux: signal / squares, fluxErr: Math.sqrt(total) / squares, isAtEdge, hasNoGoodPixels: false };
}

const shared = new WeakMap<MaskedImage, { side: number; sums: PointSums }>();

/** The sums over an image's pixels, made once for all positions on it. */
function sumsOn(planes: MaskedImage, side: number): PointSums {
  const known = shared.get(planes);
  if (known?.side === side) return known.sums;
  const sums = createPointSums({ ...planes, ignoredBits: UNUSABLE }, side);
  shared.set(planes, { side, sums });
  return sums;
}
