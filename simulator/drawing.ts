/**
 * Adds stars and galaxies to a plane of expected electrons.
 *
 * The PSF is the pixel-integrated one: a Moffat sampled at pixel centres. Galaxies have to be smeared by the very
 * same PSF, or the template, which has another, would leave residuals that no kernel removes. A Moffat is a scale
 * mixture of Gaussians, (1 + q)^−β = ∫ t^(β−1) e^(−t(1+q)) dt / Γ(β), and so is an exponential disc; both integrals
 * by the trapezoid in log t. A galaxy is then a sum of Gaussians whose covariances add, without any convolution.
 */
import { opticsConfig } from './config.ts';
import type { PsfShape } from './optics.ts';
import { psfPeak } from './optics.ts';

/** Flux and variance scale of one Gaussian: covariance = `scale` × that of the profile's unit. */
type Component = Readonly<{ flux: number; scale: number }>;

/** PSF: nodes t = 0.05 · 2^k. Step ln 2 leaves a ripple of 1e-3 of the profile, out to 6 α. Unit: α² M⁻¹. */
const PSF_COMPONENTS = normalised(9, (k) => 0.05 * 2 ** k, (t) => t ** (opticsConfig.moffatBeta - 1) * Math.exp(-t));

/**
 * Disc exp(−1.678 r/r½): nodes t = 0.04 · 3^k of e^(−√x) = ∫ t^(−3/2) e^(−1/4t) e^(−tx) dt / 2√π. Unit: (r½/1.678)².
 */
const DISC_COMPONENTS = normalised(5, (k) => 0.04 * 3 ** k, (t) => t ** -1.5 * Math.exp(-1 / (4 * t)));
const DISC_SCALE_PER_HALF_LIGHT = 1.678;

/**
 * Bulge exp(−7.669 (r/r½)^¼), cut off softly at 7 r½: Gaussians of σ = 0.03 · 2.9^k r½ with the fluxes that fit it best
 * by light; within 0.1, 0.5, 1 and 3 r½ lie the same parts of it to 0.5 %. Unit: r½².
 */
const BULGE_COMPONENTS: readonly Component[] = [0.0287, 0.0601, 0.2075, 0.3208, 0.3295, 0.0533]
  .map((flux, k) => ({ flux, scale: (0.03 * 2.9 ** k) ** 2 }));

function normalised(count: number, node: (k: number) => number, weight: (t: number) => number): Component[] {
  const nodes = Array.from({ length: count }, (_, k) => node(k));
  const total = nodes.reduce((sum, t) => sum + weight(t), 0);
  return nodes.map((t) => ({ flux: weight(t) / total, scale: 1 / (2 * t) }));
}

/**
 * Adds a star.
 *
 * @param plane  [height × width] row-major, electrons. Added to.
 * @param x, y   Its centre, pixels; may lie outside.
 * @param flux   Electrons.
 * @param floor  Light below this, electrons per pixel, is not drawn.
 */
export function drawStar(
  plane: Float32Array, width: number, height: number, x: number, y: number, flux: number, shape: PsfShape,
  floor: number,
): void {
  const peak = flux * psfPeak(shape);
  if (!(peak > floor)) return;
  const alpha2 = shape.alphaPx * shape.alphaPx;
  const { a, b, c } = shape;
  const limit = alpha2 * ((peak / floor) ** (1 / opticsConfig.moffatBeta) - 1); // Of a dx² + 2 b dx dy + c dy².
  const reach = Math.sqrt(limit * a); // a c − b² = 1, so dy² ≤ a × limit.
  const y0 = Math.max(0, Math.ceil(y - reach)), y1 = Math.min(height - 1, Math.floor(y + reach));
  for (let row = y0; row <= y1; row++) {
    const dy = row - y;
    const half = Math.sqrt(Math.max(0, (b * dy) ** 2 - a * (c * dy * dy - limit))) / a;
    const middle = x - (b * dy) / a;
    const x0 = Math.max(0, Math.ceil(middle - half)), x1 = Math.min(width - 1, Math.floor(middle + half));
    const start = row * width;
    for (let column = x0; column <= x1; column++) {
      const dx = column - x;
      const s = 1 + (a * dx * dx + 2 * b * dx * dy + c * dy * dy) / alpha2;
      plane[start + column] += peak / (s * s * s * Math.sqrt(s)); // s^−β, β = 3.5.
    }
  }
}

/**
 * Adds the aureole of a bright star: a round Moffat with r^−3.5 wings. Parameters as for `drawStar`.
 *
 * @param alphaPx Radius of its core.
 */
export function drawAureole(
  plane: Float32Array, width: number, height: number, x: number, y: number, flux: number, alphaPx: number,
  floor: number,
): void {
  const beta = opticsConfig.aureoleBeta, alpha2 = alphaPx * alphaPx, peak = (flux * (beta - 1)) / (Math.PI * alpha2);
  if (!(peak > floor)) return;
  const reach = alphaPx * Math.sqrt((peak / floor) ** (1 / beta) - 1);
  const y0 = Math.max(0, Math.ceil(y - reach)), y1 = Math.min(height - 1, Math.floor(y + reach));
  for (let row = y0; row <= y1; row++) {
    const half = Math.sqrt(Math.max(0, reach * reach - (row - y) ** 2)), start = row * width;
    const x0 = Math.max(0, Math.ceil(x - half)), x1 = Math.min(width - 1, Math.floor(x + half));
    for (let column = x0; column <= x1; column++) {
      const s = 1 + ((column - x) ** 2 + (row - y) ** 2) / alpha2, root = Math.sqrt(s);
      plane[start + column] += peak / (s * root * Math.sqrt(root)); // s^−β, β = 1.75.
    }
  }
}

/**
 * A galaxy's disc on the image: half-light radius along its major axis, its axis ratio, and the axis's direction from
 * +x.
 */
export type DiscShape = Readonly<{
  radiusPx: number; axisRatio: number; angle: number;
  /** Part of the light in a bulge of the same half-light radius; none without. */
  bulgePart?: number;
}>;

/** Adds a galaxy, smeared by the PSF. Parameters as for `drawStar`. */
export function drawGalaxy(
  plane: Float32Array, width: number, height: number, x: number, y: number, flux: number, disc: DiscShape,
  psf: PsfShape, floor: number,
): void {
  const bulgePart = disc.bulgePart ?? 0;
  const profile = (components: readonly Component[], part: number, unit: number): void => drawProfile(
    // Some ten of the Gaussians overlap at any pixel.
    plane, width, height, x, y, flux * part, components, unit, disc, psf, floor / 10,
  );
  if (bulgePart < 1) profile(DISC_COMPONENTS, 1 - bulgePart, (disc.radiusPx / DISC_SCALE_PER_HALF_LIGHT) ** 2);
  if (bulgePart > 0) profile(BULGE_COMPONENTS, bulgePart, disc.radiusPx ** 2);
}

/** One profile of a galaxy. @param unit Variance along the major axis of a component of scale 1, pixels². */
function drawProfile(
  plane: Float32Array, width: number, height: number, x: number, y: number, flux: number,
  components: readonly Component[], unit: number, disc: DiscShape, psf: PsfShape, floor: number,
): void {
  const major = unit, minor = major * disc.axisRatio ** 2;
  const cos = Math.cos(disc.angle), sin = Math.sin(disc.angle);
  const discXx = major * cos * cos + minor * sin * sin, discYy = major * sin * sin + minor * cos * cos;
  const discXy = (major - minor) * sin * cos;
  const alpha2 = psf.alphaPx * psf.alphaPx; // M⁻¹ of [[a, b], [b, c]] with unit determinant is [[c, −b], [−b, a]].
  for (const light of PSF_COMPONENTS) {
    for (const part of components) {
      drawGaussian(
        plane, width, height, x, y, flux * light.flux * part.flux,
        alpha2 * light.scale * psf.c + part.scale * discXx,
        -alpha2 * light.scale * psf.b + part.scale * discXy,
        alpha2 * light.scale * psf.a + part.scale * discYy, floor,
      );
    }
  }
}

/** Adds a Gaussian of that covariance, pixels². */
export function drawGaussian(
  plane: Float32Array, width: number, height: number, x: number, y: number, flux: number,
  xx: number, xy: number, yy: number, floor: number,
): void {
  const determinant = xx * yy - xy * xy;
  const peak = flux / (2 * Math.PI * Math.sqrt(determinant));
  if (!(peak > floor)) return;
  const a = yy / determinant, b = -xy / determinant, c = xx / determinant;
  const limit = 2 * Math.log(peak / floor);
  const reach = Math.sqrt(limit * yy);
  const y0 = Math.max(0, Math.ceil(y - reach)), y1 = Math.min(height - 1, Math.floor(y + reach));
  const ratioStep = Math.exp(-a);
  for (let row = y0; row <= y1; row++) {
    const dy = row - y;
    const half = Math.sqrt(Math.max(0, (b * dy) ** 2 - a * (c * dy * dy - limit))) / a;
    const middle = x - (b * dy) / a;
    const x0 = Math.max(0, Math.ceil(middle - half)), x1 = Math.min(width - 1, Math.floor(middle + half));
    const dx = x0 - x;
    // From one pixel to the next an exponential of a quadratic changes by a ratio that itself changes by e^−a.
    let value = peak * Math.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy));
    let ratio = Math.exp(-a * (dx + 0.5) - b * dy);
    for (let i = row * width + x0, end = row * width + x1; i <= end; i++) {
      plane[i] += value;
      value *= ratio;
      ratio *= ratioStep;
    }
  }
}
