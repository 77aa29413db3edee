/**
 * Flux and position of stars by fitting the PSF, pixels weighted by their variance (Stetson 1987; King 1983 for the
 * errors).
 */
import { maskBits } from './maskPlanes.ts';
import { evaluatePsf, evaluatePsfAt, shiftStamp, type PsfModel } from './psf.ts';

/** The planes that photometry reads: [height × width] row-major, background subtracted. */
export type PhotometryPlanes = Readonly<{
  width: number; height: number; image: Float32Array; variance: Float32Array; mask: Uint16Array;
}>;

export type PsfFit = Readonly<{
  x: number; y: number; xErr: number; yErr: number;
  /** In the image's unit, and its error without the model's own. */
  flux: number; fluxErr: number;
  chi2: number; pixelCount: number;
}>;

export type FitScratch = Readonly<{
  /** Each psf.size²; contents destroyed. */
  profile: Float32Array; shiftScratch: Float32Array; local: Float32Array;
}>;

export function createFitScratch(psf: Pick<PsfModel, 'size'>): FitScratch {
  const n = psf.size * psf.size;
  return { profile: new Float32Array(n), shiftScratch: new Float32Array(n), local: new Float32Array(n) };
}

const STEPS = 12;
/** A fit that goes farther than this from its start, pixels, has found another star. */
const DRIFT_MAX_PX = 1.5;

/**
 * Gauss–Newton for flux and both coordinates on the pixels within `radiusPx`.
 *
 * @param neighbourLight Model of the neighbours' light in the same stamp ([size × size] about the rounded start, same
 * unit), or null.
 * @returns null when the fit leaves the star, or fewer than half of the pixels are usable.
 */
export function fitStar(
  planes: PhotometryPlanes, psf: PsfModel, xStart: number, yStart: number, radiusPx: number,
  neighbourLight: Float32Array | null, scratch: FitScratch,
): PsfFit | null {
  let x = xStart, y = yStart;
  let cx = Math.round(xStart), cy = Math.round(yStart);
  // Over the pixel that a fit moves, the PSF does not change.
  evaluatePsf(psf, xStart, yStart, scratch.local);
  for (let step = 0; step < STEPS; step++) {
    if (Math.hypot(x - xStart, y - yStart) > DRIFT_MAX_PX) return null;
    // The PSF may move by a pixel within its stamp; without neighbours' light, which has its place, the stamp can
    // follow. It does so late, for between two pixels it would step to and fro.
    if (neighbourLight === null && Math.max(Math.abs(x - cx), Math.abs(y - cy)) > 0.75) {
      cx = Math.round(x);
      cy = Math.round(y);
    }
    if (Math.abs(x - cx) > 1 || Math.abs(y - cy) > 1) return null;
    shiftStamp(scratch.local, psf.size, x - cx, y - cy, scratch.profile, scratch.shiftScratch);
    const solution = normalSolution(planes, psf.size, cx, cy, radiusPx, neighbourLight, scratch.profile);
    if (solution === null) return null;
    x += solution.dx;
    y += solution.dy;
    if (Math.hypot(solution.dx, solution.dy) < 2e-4) {
      const { xErr, yErr, flux, fluxErr, chi2, pixelCount } = solution;
      return { x, y, xErr, yErr, flux, fluxErr, chi2, pixelCount };
    }
  }
  return null;
}

type Solution = Readonly<{
  dx: number; dy: number; xErr: number; yErr: number; flux: number; fluxErr: number; chi2: number; pixelCount: number;
}>;

/**
 * Normal equations of (flux, flux·dx, flux·dy); the PSF's derivatives are its central differences.
 */
function normalSolution(
  planes: PhotometryPlanes, size: number, cx: number, cy: number, radiusPx: number, neighbourLight: Float32Array | null,
  profile: Float32Array,
): Solution | null {
  const { width, height, image, variance, mask } = planes;
  const half = (size - 1) >> 1, reach = Math.min(Math.ceil(radiusPx), half - 1), radius2 = radiusPx * radiusPx;
  const skip = maskBits('SAT', 'BAD', 'NO_DATA', 'CR');
  let pp = 0, px = 0, py = 0, xx = 0, xy = 0, yy = 0, pd = 0, xd = 0, yd = 0, dd = 0, used = 0, total = 0;
  for (let j = -reach; j <= reach; j++) {
    for (let i = -reach; i <= reach; i++) {
      if (i * i + j * j > radius2) continue;
      total++;
      const imageX = cx + i, imageY = cy + j;
      if (imageX < 0 || imageY < 0 || imageX >= width || imageY >= height) continue;
      const at = imageY * width + imageX, k = (j + half) * size + i + half;
      const weight = 1 / variance[at];
      if ((mask[at] & skip) !== 0 || !(weight > 0)) continue;
      used++;
      const value = image[at] - (neighbourLight === null ? 0 : neighbourLight[k]);
      const p = profile[k];
      // Light moves with the star: the derivative by x is minus the slope.
      const gx = (profile[k - 1] - profile[k + 1]) / 2, gy = (profile[k - size] - profile[k + size]) / 2;
      pp += weight * p * p; px += weight * p * gx; py += weight * p * gy;
      xx += weight * gx * gx; xy += weight * gx * gy; yy += weight * gy * gy;
      pd += weight * p * value; xd += weight * gx * value; yd += weight * gy * value; dd += weight * value * value;
    }
  }
  if (used < total / 2) return null;
  // Cramer's rule on the symmetric 3 × 3 system.
  const c00 = xx * yy - xy * xy, c01 = xy * py - px * yy, c02 = px * xy - xx * py;
  const determinant = pp * c00 + px * c01 + py * c02;
  const c11 = pp * yy - py * py, c12 = px * py - pp * xy, c22 = pp * xx - px * px;
  const flux = (c00 * pd + c01 * xd + c02 * yd) / determinant;
  if (!(determinant > 0) || !(flux > 0)) return null;
  const sx = (c01 * pd + c11 * xd + c12 * yd) / determinant, sy = (c02 * pd + c12 * xd + c22 * yd) / determinant;
  return {
    dx: clamp(sx / flux), dy: clamp(sy / flux), flux, fluxErr: Math.sqrt(c00 / determinant),
    xErr: Math.sqrt(c11 / determinant) / flux, yErr: Math.sqrt(c22 / determinant) / flux,
    chi2: dd - flux * pd - sx * xd - sy * yd, pixelCount: used,
  };
}

/** The linear step is trusted for half a pixel. */
function clamp(step: number): number {
  return Math.max(-0.5, Math.min(0.5, step));
}

/**
 * Flux at a fixed position: the weighted sum of the data over the PSF.
 *
 * @returns null when fewer than half of the pixels are usable.
 */
export function fluxAt(
  planes: PhotometryPlanes, psf: PsfModel, x: number, y: number, radiusPx: number, scratch: FitScratch,
): { flux: number; fluxErr: number } | null {
  const cx = Math.round(x), cy = Math.round(y), size = psf.size, half = (size - 1) >> 1;
  evaluatePsfAt(psf, x, y, x - cx, y - cy, scratch.profile, scratch.shiftScratch);
  const reach = Math.min(Math.ceil(radiusPx), half), skip = maskBits('SAT', 'BAD', 'NO_DATA', 'CR');
  let pp = 0, pd = 0, used = 0, total = 0;
  for (let j = -reach; j <= reach; j++) {
    for (let i = -reach; i <= reach; i++) {
      if (i * i + j * j > radiusPx * radiusPx) continue;
      total++;
      const imageX = cx + i, imageY = cy + j;
      if (imageX < 0 || imageY < 0 || imageX >= planes.width || imageY >= planes.height) continue;
      const at = imageY * planes.width + imageX, weight = 1 / planes.variance[at];
      if ((planes.mask[at] & skip) !== 0 || !(weight > 0)) continue;
      const p = scratch.profile[(j + half) * size + i + half];
      pp += weight * p * p;
      pd += weight * p * planes.image[at];
      used++;
    }
  }
  return used < total / 2 || !(pp > 0) ? null : { flux: pd / pp, fluxErr: 1 / Math.sqrt(pp) };
}

/**
 * Adds stars' light to a stamp whose middle pixel is image pixel (cx, cy).
 *
 * @param out     [size × size], added to.
 * @param scratch Contents destroyed.
 */
export function addStarLight(
  psf: PsfModel, stars: readonly Readonly<{ x: number; y: number; flux: number }>[], cx: number, cy: number,
  out: Float32Array, scratch: FitScratch,
): void {
  const size = psf.size;
  for (const star of stars) {
    const sx = Math.round(star.x), sy = Math.round(star.y);
    if (Math.abs(sx - cx) >= size || Math.abs(sy - cy) >= size) continue;
    evaluatePsfAt(psf, star.x, star.y, star.x - sx, star.y - sy, scratch.local, scratch.shiftScratch);
    const ox = sx - cx, oy = sy - cy;
    for (let j = Math.max(0, oy); j < Math.min(size, size + oy); j++) {
      for (let i = Math.max(0, ox); i < Math.min(size, size + ox); i++) {
        out[j * size + i] += star.flux * scratch.local[(j - oy) * size + i - ox];
      }
    }
  }
}
