/** Brings the template onto the visit's pixel grid. */
import { StageError } from '../../errors.ts';
import { flagAbove } from '../../kernels/match.ts';
import { createWarp, type WarpAffine, type WarpBits } from '../../kernels/warp.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import { asProduct, type MaskedImage, type Template, type WarpedTemplate } from '../../image/maskedImage.ts';
import { pixelToSky, skyToPixel, type Wcs } from '../../image/wcs.ts';
import type { WarpConfig } from './config.ts';
import { displacementAt, type Displacement } from './register.ts';
import { solveSymmetric } from './polynomial.ts';
import { medianOfSample } from './statistics.ts';

export type WarpResult = Readonly<{
  warped: WarpedTemplate;
  /** Share of the visit's pixels that the template covers. */
  coverageFraction: number;
  /**
   * Mean autocorrelation of the interpolation's taps along x and y at lags 0 … 2 × half width − 1: what it does to
   * white noise. Lag 0 is 1 where no pixel falls between others.
   */
  noiseX: Float64Array; noiseY: Float64Array;
}>;

const NO_DATA = maskBits('NO_DATA');
/** What becomes of the template's mask. */
const BITS: WarpBits = {
  noData: NO_DATA, carried: maskBits('BAD', 'SPIKE'),
  moved: [
    [maskBits('SAT'), maskBits('SAT_TEMPLATE')], [maskBits('INJECTED'), maskBits('INJECTED_TEMPLATE')],
  ],
};

/** Positions between two pixels that have taps of their own: an error of position of at most 1/2048 px. */
const PHASES = 1024;

/**
 * Warps the template by Lanczos interpolation, affine in each cell; surface brightness times the ratio of pixel areas.
 *
 * The variance written is that of the template's own pixels, bilinear between them and scaled by the area ratio, not
 * that of the interpolated values: interpolation makes neighbours correlate, and the sum over a PSF keeps the variance
 * that white noise of this plane would have. `noiseX` and `noiseY` tell what is missing for a single pixel.
 * Pixels that need a template pixel which is outside, NaN or NO_DATA are NaN with NO_DATA and variance 0.
 *
 * @param displacement By how much the visit's sources lie off the template's; null where the WCSs are to be believed.
 * @param out The visit's size; all planes overwritten. Image in the template's unit per visit pixel.
 * @throws StageError TEMPLATE_COVERAGE_TOO_SMALL.
 */
export function warpTemplate(
  template: Template, templateWcs: Wcs, visitWcs: Wcs, out: MaskedImage, config: WarpConfig,
  displacement: Displacement | null = null,
): WarpResult {
  const halfWidth = config.lanczosHalfWidth, tapCount = 2 * halfWidth;
  const taps = lanczosTable(halfWidth);
  const warpCells = createWarp({ from: template, out, taps, halfWidth, phases: PHASES, bits: BITS });
  const phasesX = new Float64Array(PHASES + 1), phasesY = new Float64Array(PHASES + 1);
  let covered = 0;
  const cornersAt = (y: number): Corner[] => cornersOf(templateWcs, visitWcs, displacement, out.width, y, config.cellPx);
  let below = cornersAt(0);
  for (let y0 = 0; y0 < out.height; y0 += config.cellPx) {
    const y1 = Math.min(y0 + config.cellPx, out.height), above = cornersAt(y1);
    const affines = below.slice(1).map((corner, c) => {
      const w = Math.min(config.cellPx, out.width - c * config.cellPx);
      const affine = affineOfCell(below[c], corner, above[c], above[c + 1], w, y1 - y0);
      if (Number.isFinite(affine.tx)) countPhases(affine, w, y1 - y0, phasesX, phasesY);
      return affine;
    });
    covered += warpCells(affines, config.cellPx, y0, y1);
    below = above;
  }
  const coverageFraction = covered / (out.width * out.height);
  if (coverageFraction < config.coverageFractionMin) {
    throw new StageError({
      code: 'TEMPLATE_COVERAGE_TOO_SMALL',
      message: `the template covers ${(100 * coverageFraction).toFixed(1)} % of the visit, ` +
        `${100 * config.coverageFractionMin} % required`,
      disposition: 'reject', // The same template will cover the same pixels.
      details: { coverageFraction, coverageFractionMin: config.coverageFractionMin },
    });
  }
  flagHighVariance(out, config.highVarianceRatio);
  return {
    warped: asProduct('warpedTemplate', out), coverageFraction,
    noiseX: meanAutocorrelation(taps, tapCount, phasesX), noiseY: meanAutocorrelation(taps, tapCount, phasesY),
  };
}

type Corner = Readonly<{ x: number; y: number }>;

/** Where the template shows what the visit shows at the corners of cells in row `y`. */
function cornersOf(
  templateWcs: Wcs, visitWcs: Wcs, displacement: Displacement | null, width: number, y: number, cellPx: number,
): Corner[] {
  return Array.from({ length: Math.ceil(width / cellPx) + 1 }, (_, c) => {
    const x = Math.min(c * cellPx, width);
    // What the visit shows at x, the template shows where the visit's WCS has x − displacement.
    const { dx, dy } = displacement === null ? { dx: 0, dy: 0 } : displacementAt(displacement, x, y);
    const sky = pixelToSky(visitWcs, x - dx, y - dy);
    return skyToPixel(templateWcs, sky.raDeg, sky.decDeg);
  });
}

/** Least-squares affine map through the four corners of a cell of w × h pixels, from visit pixels to the template's. */
function affineOfCell(a: Corner, b: Corner, c: Corner, d: Corner, w: number, h: number): WarpAffine {
  const xx = (b.x + d.x - a.x - c.x) / (2 * w), yx = (b.y + d.y - a.y - c.y) / (2 * w);
  const xy = (c.x + d.x - a.x - b.x) / (2 * h), yy = (c.y + d.y - a.y - b.y) / (2 * h);
  return {
    tx: (a.x + b.x + c.x + d.x) / 4 - (xx * w) / 2 - (xy * h) / 2,
    ty: (a.y + b.y + c.y + d.y) / 4 - (yx * w) / 2 - (yy * h) / 2, xx, xy, yx, yy,
  };
}

/**
 * [PHASES + 1 × taps]: weights of the pixels floor(t) − halfWidth + 1 … floor(t) + halfWidth.
 *
 * Lanczos's window alone moves a source by up to 0.012 px with the phase (a = 4), which under a rotation leaves a
 * dipole on every bright star. So the least correction under the window that makes the taps' sum 1 and their first and
 * second moments about the position 0 is added: what is linear or quadratic across the taps comes out exactly.
 */
function lanczosTable(halfWidth: number): Float64Array {
  const tapCount = 2 * halfWidth, table = new Float64Array((PHASES + 1) * tapCount);
  const matrix = new Float64Array(9), missing = new Float64Array(3);
  for (let phase = 0; phase <= PHASES; phase++) {
    const row = table.subarray(phase * tapCount, (phase + 1) * tapCount);
    const offset = (i: number): number => i - halfWidth + 1 - phase / PHASES;
    const window = (d: number): number => (Math.abs(d) < halfWidth ? sinc(d / halfWidth) : 0);
    matrix.fill(0);
    missing.set([1, 0, 0]);
    for (let i = 0; i < tapCount; i++) {
      const d = offset(i);
      row[i] = sinc(d) * window(d);
      for (let k = 0; k < 3; k++) {
        missing[k] -= row[i] * d ** k;
        for (let l = 0; l < 3; l++) matrix[3 * k + l] += window(d) * d ** (k + l);
      }
    }
    if (!solveSymmetric(matrix, missing, 0)) throw new Error(`moments of ${tapCount} taps are singular`);
    for (let i = 0; i < tapCount; i++) {
      const d = offset(i);
      row[i] += window(d) * (missing[0] + d * (missing[1] + d * missing[2]));
    }
  }
  return table;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Counts the phases of the taps met at 16 places of a cell. */
function countPhases(affine: WarpAffine, w: number, h: number, countsX: Float64Array, countsY: Float64Array): void {
  for (let n = 0; n < 16; n++) {
    const i = Math.floor((w * ((n & 3) + 0.5)) / 4), j = Math.floor((h * ((n >> 2) + 0.5)) / 4);
    const tx = affine.tx + i * affine.xx + j * affine.xy, ty = affine.ty + i * affine.yx + j * affine.yy;
    countsX[Math.round((tx - Math.floor(tx)) * PHASES)]++;
    countsY[Math.round((ty - Math.floor(ty)) * PHASES)]++;
  }
}

/** Σ_i w[i] w[i + lag] of the taps, averaged over the phases that were counted; zeros when none was. */
function meanAutocorrelation(taps: Float64Array, tapCount: number, counts: Float64Array): Float64Array {
  const mean = new Float64Array(tapCount), total = counts.reduce((sum, count) => sum + count, 0);
  for (let phase = 0; phase <= PHASES; phase++) {
    if (counts[phase] === 0) continue;
    const start = phase * tapCount, weight = counts[phase] / total;
    for (let lag = 0; lag < tapCount; lag++) {
      for (let i = 0; i + lag < tapCount; i++) mean[lag] += weight * taps[start + i] * taps[start + i + lag];
    }
  }
  return mean;
}

/** Flags pixels whose variance exceeds a multiple of the median of those with data. */
function flagHighVariance(out: MaskedImage, ratio: number): void {
  const limit = ratio * medianOfSample(out.variance, out.mask, NO_DATA);
  flagAbove(out.variance, limit, out.mask, maskBits('HIGH_VARIANCE'));
}
