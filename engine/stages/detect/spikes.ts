/**
 * Diffraction spikes of saturated stars in a difference: a star's vanes throw its light along lines through it, which
 * turn with the camera, so that a template has them elsewhere. What is left is bright along the visit's spikes and dark
 * along the template's. Vanes make pairs: a line is a spike where both of its sides show it.
 */
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage } from '../../image/maskedImage.ts';
import type { DetectConfig } from './config.ts';

export type Spike = Readonly<{
  /** Middle of the star, pixels. */
  x: number; y: number;
  /** From +x towards +y, 0 … 180. */
  angleDeg: number;
  isNegative: boolean;
  /** From the star's middle to either end, the one along the angle first; pixels. */
  lengthsPx: readonly [number, number];
}>;

const SATURATED = maskBits('SAT', 'SAT_TEMPLATE');
/** Pixels whose score tells nothing of a spike. */
const DARK = maskBits('SAT', 'SAT_TEMPLATE', 'BAD', 'NO_DATA', 'EDGE', 'CR');
/** Saturated stars are looked for at every eighth pixel of either axis: those with visible spikes are larger. */
const LATTICE_PX = 8;
/** A detector with more saturated pixels has another trouble than spikes; a bright star that bled to both ends has 40,000. */
const SATURATED_PIXELS_MAX = 400_000;
/** Angles of half a turn. A pair of rays 2° apart is 2 px apart in the middle of its length. */
const ANGLES = 90;
/** Along a ray the score is read at every fourth pixel: neighbours' scores are alike. */
const STEP_PX = 4;

/** Finds spikes and sets SPIKE in the difference's mask along them; the score is read only. */
export function maskSpikes(
  difference: DifferenceImage, score: Float32Array, fwhmPx: number, config: DetectConfig,
): Spike[] {
  const spikes: Spike[] = [];
  for (const star of saturatedStars(difference, config)) {
    for (const spike of spikesOf(difference, score, star, fwhmPx, config)) {
      markSpike(difference, spike, config.spikeHalfWidthFwhm * fwhmPx);
      spikes.push(spike);
    }
  }
  return spikes;
}

type SaturatedStar = Readonly<{ x: number; y: number; radiusPx: number; pixelCount: number }>;

/** The largest first; none where most of the image is saturated. */
function saturatedStars({ mask, width, height }: DifferenceImage, config: DetectConfig): SaturatedStar[] {
  const stars: SaturatedStar[] = [], seen = new Set<number>();
  for (let y = LATTICE_PX >> 1; y < height; y += LATTICE_PX) {
    for (let x = LATTICE_PX >> 1; x < width; x += LATTICE_PX) {
      if ((mask[y * width + x] & SATURATED) === 0 || seen.has(y * width + x)) continue;
      const star = starAt(mask, width, height, y * width + x, seen);
      if (seen.size > SATURATED_PIXELS_MAX) return [];
      if (star.pixelCount >= config.spikeStarPixelsMin) stars.push(star);
    }
  }
  return stars.sort((a, b) => b.pixelCount - a.pixelCount || a.y - b.y || a.x - b.x).slice(0, config.spikeStarsMax);
}

/**
 * The saturated pixels that hang together. Charge that bled along the column makes them long but not broad: the middle
 * is that of the broad rows.
 */
function starAt(mask: Uint16Array, width: number, height: number, first: number, seen: Set<number>): SaturatedStar {
  const rows = new Map<number, { count: number; sum: number }>(), open = [first];
  let pixelCount = 0;
  seen.add(first);
  for (let j = open.pop(); j !== undefined && seen.size <= SATURATED_PIXELS_MAX; j = open.pop()) {
    const x = j % width, y = (j - x) / width, row = rows.get(y) ?? { count: 0, sum: 0 };
    row.count++;
    row.sum += x;
    rows.set(y, row);
    pixelCount++;
    const neighbours = [x > 0 ? j - 1 : -1, x + 1 < width ? j + 1 : -1, y > 0 ? j - width : -1, y + 1 < height ? j + width : -1];
    for (const k of neighbours) {
      if (k < 0 || seen.has(k) || (mask[k] & SATURATED) === 0) continue;
      seen.add(k);
      open.push(k);
    }
  }
  const broadest = Math.max(...[...rows.values()].map(({ count }) => count));
  let weight = 0, xs = 0, ys = 0;
  for (const [y, { count, sum }] of rows) {
    if (count < broadest / 2) continue;
    weight += count;
    xs += sum;
    ys += count * y;
  }
  return { x: xs / weight, y: ys / weight, radiusPx: broadest / 2, pixelCount };
}

/** Scores along the rays of all angles of a whole turn, [2 ANGLES × steps]; NaN where they tell nothing. */
function raysOf(
  { mask, width, height }: DifferenceImage, score: Float32Array, star: SaturatedStar, from: number, steps: number,
): Float32Array {
  const rays = new Float32Array(2 * ANGLES * steps).fill(NaN);
  for (let a = 0; a < 2 * ANGLES; a++) {
    const dx = Math.cos((Math.PI * a) / ANGLES), dy = Math.sin((Math.PI * a) / ANGLES);
    for (let s = 0, r = from, k = a * steps; s < steps; s++, r += STEP_PX, k++) {
      // Of positive numbers the integer part.
      const x = (star.x + r * dx + 0.5) | 0, y = (star.y + r * dy + 0.5) | 0, j = y * width + x;
      if (x > 0 && y > 0 && x < width && y < height && (mask[j] & DARK) === 0) rays[k] = score[j];
    }
  }
  return rays;
}

function spikesOf(
  difference: DifferenceImage, score: Float32Array, star: SaturatedStar, fwhmPx: number, config: DetectConfig,
): Spike[] {
  // Nearer the residual of the star itself has sides of its own.
  const from = star.radiusPx + config.spikeStartFwhm * fwhmPx, steps = Math.ceil(config.spikeLengthMinPx / STEP_PX);
  const rays = raysOf(difference, score, star, from, steps), spikes: Spike[] = [];
  withoutRings(rays, steps);
  for (const sign of [1, -1] as const) {
    const strengths = Float64Array.from({ length: ANGLES }, (_, a) => Math.min(
      strengthOf(rays, a, steps, sign, config), strengthOf(rays, a + ANGLES, steps, sign, config)));
    strengths.forEach((strength, a) => {
      const before = strengths[(a + ANGLES - 1) % ANGLES], after = strengths[(a + 1) % ANGLES];
      // Of neighbouring angles that see one spike the strongest.
      if (!(strength >= config.spikeScoreMin) || before > strength || after >= strength) return;
      const lengthTo = (angle: number): number => endOf(difference, score, star, angle, from, sign, config);
      spikes.push({
        x: star.x, y: star.y, angleDeg: (180 * a) / ANGLES, isNegative: sign < 0,
        lengthsPx: [lengthTo(a), lengthTo(a + ANGLES)],
      });
    });
  }
  return spikes;
}

/** Takes off each ring's median: of a star's halo, which is all around, nothing is a spike. */
function withoutRings(rays: Float32Array, steps: number): void {
  const ring = new Float64Array(2 * ANGLES);
  for (let s = 0; s < steps; s++) {
    let count = 0;
    for (let k = s; k < rays.length; k += steps) if (rays[k] === rays[k]) ring[count++] = rays[k];
    const middle = quantile(ring.subarray(0, count), 0.5);
    for (let k = s; k < rays.length; k += steps) rays[k] -= middle;
  }
}

/** Median of a ray's scores; 0 where most of them are unknown, or where its darkest quarter shows it to have gaps. */
function strengthOf(rays: Float32Array, angle: number, steps: number, sign: number, config: DetectConfig): number {
  let count = 0, sum = 0;
  for (let k = angle * steps; k < (angle + 1) * steps; k++) if (rays[k] === rays[k]) { sum += sign * rays[k]; count++; }
  // Most rays are noise and not worth sorting: the mean of a spike is hardly less than half of its median.
  if (count < steps / 2 || sum < 0.5 * config.spikeScoreMin * count) return 0;
  const values = Float64Array.from(rays.subarray(angle * steps, (angle + 1) * steps)).filter((value) => value === value);
  for (let k = 0; k < count; k++) values[k] *= sign;
  return quantile(values, 0.25) < config.spikeGapSigma ? 0 : quantile(values, 0.5);
}

/** Where the median of a piece of the ray falls below what goes on as a spike; pixels from the star's middle. */
function endOf(
  { mask, width, height }: DifferenceImage, score: Float32Array, star: SaturatedStar, angle: number, from: number,
  sign: number, config: DetectConfig,
): number {
  const dx = Math.cos((Math.PI * angle) / ANGLES), dy = Math.sin((Math.PI * angle) / ANGLES);
  let end = from;
  for (; end < config.spikeLengthMaxPx; end += config.spikeWindowPx) {
    const all = new Float64Array(Math.ceil(config.spikeWindowPx / STEP_PX));
    let count = 0;
    for (let r = end; r < end + config.spikeWindowPx; r += STEP_PX) {
      const x = Math.round(star.x + r * dx), y = Math.round(star.y + r * dy);
      if (x < 0 || y < 0 || x >= width || y >= height) return end;
      if ((mask[y * width + x] & DARK) === 0) all[count++] = sign * score[y * width + x];
    }
    if (count > 0 && quantile(all.subarray(0, count), 0.5) < config.spikeRimSigma) break;
  }
  return Math.max(end, from + config.spikeLengthMinPx);
}

function markSpike({ mask, width, height }: DifferenceImage, { x, y, angleDeg, lengthsPx }: Spike, halfWidth: number): void {
  const bit = maskBits('SPIKE'), dx = Math.cos((Math.PI * angleDeg) / 180), dy = Math.sin((Math.PI * angleDeg) / 180);
  // Half pixels along and across leave no pixel of the band out.
  for (let r = -lengthsPx[1]; r <= lengthsPx[0]; r += 0.5) {
    for (let q = -halfWidth; q <= halfWidth; q += 0.5) {
      const u = Math.round(x + r * dx - q * dy), v = Math.round(y + r * dy + q * dx);
      if (u >= 0 && v >= 0 && u < width && v < height) mask[v * width + u] |= bit;
    }
  }
}

/** The values are sorted; NaN of none. */
function quantile(values: Float64Array, share: number): number {
  values.sort();
  return values.length === 0 ? NaN : values[Math.floor(share * (values.length - 1))];
}
