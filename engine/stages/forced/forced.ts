/** PSF fluxes at known positions, whether or not anything was detected there. */
import { addedNoiseOf, fluxNoiseOf, type FluxNoisePlanes } from '../../image/fluxNoise.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage, MaskedImage, VisitImage } from '../../image/maskedImage.ts';
import type { PsfModel } from '../../image/psf.ts';
import { patchHalf } from '../../kernels/patches.ts';
import { measurePoints, POINT_COLUMNS as C, type PointTask } from '../../kernels/pointSource.ts';
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
  const changes = forcedFluxes(difference, differencePsf, positions, config, fluxNoise);
  const totals = forcedFluxes(visitImage, visitPsf, positions, config);
  return changes.map(({ flux, fluxErr }, i) => ({
    psfFlux: flux, psfFluxErr: fluxErr === null ? null : fluxErr * noiseScale,
    scienceFlux: totals[i].flux, scienceFluxErr: totals[i].fluxErr,
  }));
}

/** As `forcedFluxes`, of one position. */
export function forcedFlux(
  planes: MaskedImage, psf: PsfModel, x: number, y: number, config: ForcedConfig, fluxNoise?: FluxNoisePlanes,
): ForcedFlux {
  return forcedFluxes(planes, psf, [{ x, y }], config, fluxNoise)[0];
}

/** What no place needs that is not fitted. */
const NO_STEPS: PointTask['steps'] = { countMax: 0, shiftMaxPx: 0, convergencePx: 0, convergenceErrors: 0 };

/**
 * PSF fluxes at fixed positions: Σ p d / Σ p² over usable pixels, error √(Σ p² V) / Σ p².
 *
 * All pixels weigh alike. Weights from a variance plane that holds the pixels' own counts would favour those that
 * fluctuated down, a bias of a quarter of a standard deviation for a bright source; and for a faint one the sky makes
 * all weights equal anyway. Masked pixels and NaN are left out.
 *
 * @param positions Pixels of the image.
 * @param fluxNoise Of the same image, which is a difference.
 */
export function forcedFluxes(
  planes: MaskedImage, psf: PsfModel, positions: readonly Readonly<{ x: number; y: number }>[], config: ForcedConfig,
  fluxNoise?: FluxNoisePlanes,
): ForcedFlux[] {
  const { width, height } = planes, half = patchHalf(psf, config.halfSizePx), places: number[] = [];
  const isOn = positions.map(({ x, y }) => {
    const cx = Math.round(x), cy = Math.round(y), isHere = cx >= 0 && cy >= 0 && cx < width && cy < height;
    if (isHere) places.push(x, y);
    return isHere;
  });
  const { rows, rowLength } = measurePoints({
    ...planes, psf, ignoredBits: UNUSABLE, halfSizePx: config.halfSizePx, coreHalfSizePx: 2, steps: NO_STEPS,
    added: fluxNoise === undefined ? null : addedNoiseOf(fluxNoise),
  }, Float64Array.from(places), false);
  let next = 0;
  return positions.map(({ x, y }, i) => {
    if (!isOn[i]) return { flux: null, fluxErr: null, isAtEdge: true, hasNoGoodPixels: true };
    const at = next++ * rowLength, cx = Math.round(x), cy = Math.round(y), squares = rows[at + C.squares];
    const isAtEdge = cx < half || cy < half || cx + half >= width || cy + half >= height;
    if (!(squares >= config.usableShareMin * rows[at + C.allSquares])) {
      return { flux: null, fluxErr: null, isAtEdge, hasNoGoodPixels: true };
    }
    const noise = rows[at + C.noise], total = fluxNoise === undefined ? noise : fluxNoiseOf(noise, rows[at + C.added]);
    return {
      flux: rows[at + C.signal] / squares, fluxErr: Math.sqrt(total) / squares, isAtEdge, hasNoGoodPixels: false,
    };
  });
}
