/** Fit of a point source to a difference: flux and position with their covariance. */
import { addedNoiseOf, fluxNoiseOf, type FluxNoisePlanes } from '../../image/fluxNoise.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { psfFwhmPx, type PsfModel } from '../../image/psf.ts';
import { createPsfPatches, patchHalf, type PsfPatches } from '../../kernels/patches.ts';
import { logVarianceOf, measurePoints, POINT_COLUMNS as C, type Points } from '../../kernels/pointSource.ts';
import type { MeasureConfig } from './config.ts';

export type PsfFit = Readonly<{
  /** Same unit as the image, with its sign. */
  flux: number; fluxErr: number;
  x: number; y: number;
  /** Covariance of x and y, px²; null when only the flux was fitted. */
  xx: number | null; xy: number | null; yy: number | null;
  /** Whether the position is the peak's because the fit of it failed. */
  isCentroidFailed: boolean;
  isAtEdge: boolean;
  chi2: number; logLikelihood: number; pixelCount: number;
}>;

/** Pixels that no fit uses. */
export const UNUSABLE = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR');
/** What the fits of all sources of a PSF share. */
export type FitWorkspace = Readonly<{ psf: PsfModel; fwhmPx: number; patches: PsfPatches }>;

/** Half side of the pixels that tell a centroid, in full widths: 1.4 of them hold all but 1e-3 of its information. */
const CORE_FWHM = 1.4;

export function createFitWorkspace(psf: PsfModel, config: MeasureConfig): FitWorkspace {
  return {
    psf, fwhmPx: psfFwhmPx(psf, (psf.width - 1) / 2, (psf.height - 1) / 2),
    patches: createPsfPatches(psf, config.fitHalfSizePx),
  };
}

/**
 * Flux and centroid of sources by linearised least squares from their peaks; all usable pixels weigh alike, and errors
 * come from the variance plane through the fit (sandwich form), so that a variance from the pixels' own counts does not
 * bias it. Where the centroid does not converge near the peak, the flux is fitted there alone.
 *
 * @param planes    Of the image that the sources are on.
 * @param fluxNoise What a flux has of noise beside that of its pixels.
 * @returns In the order of the peaks; null where too few pixels are usable.
 */
export function fitPsfs(
  planes: MaskedImage, fluxNoise: FluxNoisePlanes, peaks: readonly Readonly<{ x: number; y: number }>[],
  { psf, fwhmPx }: FitWorkspace, config: MeasureConfig,
): (PsfFit | null)[] {
  const half = patchHalf(psf, config.fitHalfSizePx), places = new Float64Array(2 * peaks.length);
  peaks.forEach(({ x, y }, i) => { places[2 * i] = x; places[2 * i + 1] = y; });
  const points = measurePoints({
    ...planes, psf, ignoredBits: UNUSABLE, added: addedNoiseOf(fluxNoise), halfSizePx: config.fitHalfSizePx,
    coreHalfSizePx: Math.min(config.fitHalfSizePx, Math.max(4, Math.ceil(CORE_FWHM * fwhmPx)) + 2),
    steps: {
      countMax: config.iterationCountMax, shiftMaxPx: config.centroidShiftMaxPx,
      convergencePx: config.convergencePx, convergenceErrors: config.convergenceErrors,
    },
  }, places, true);
  return peaks.map((_, i) => fitOf(points, i, half, planes, config));
}

/** Figures of the fit; null when too few pixels are usable. */
function fitOf(
  points: Points, i: number, half: number, { width, height }: MaskedImage, config: MeasureConfig,
): PsfFit | null {
  const { rows, rowLength } = points, at = i * rowLength, squares = rows[at + C.squares];
  if (!(squares >= config.usableShareMin * rows[at + C.allSquares])) return null;
  const x = rows[at + C.x], y = rows[at + C.y], cx = Math.round(x), cy = Math.round(y), isFitted = rows[at] === 1;
  const pixelCount = rows[at + C.pixelCount], flux = rows[at + C.signal] / squares;
  const chi2 = rows[at + C.dataChi2] - 2 * flux * rows[at + C.crossChi2] + flux * flux * rows[at + C.modelChi2];
  const logarithms = logVarianceOf(points, i) + pixelCount * Math.log(2 * Math.PI);
  return {
    flux, fluxErr: Math.sqrt(fluxNoiseOf(rows[at + C.noise], rows[at + C.added])) / squares, chi2,
    logLikelihood: -0.5 * (chi2 + logarithms), pixelCount, x, y, isCentroidFailed: !isFitted,
    isAtEdge: cx < half || cy < half || cx + half >= width || cy + half >= height,
    xx: isFitted ? rows[at + C.xx] : null, xy: isFitted ? rows[at + C.xy] : null,
    yy: isFitted ? rows[at + C.yy] : null,
  };
}
