/** What lies around a diaSource: bright light, blemishes, edges, other detections, the level of its column and row. */
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { reliabilityConfig as config } from './config.ts';
import type { FeatureName, Ratable } from './features.ts';

export type Surroundings = Pick<
  Record<FeatureName, number>,
  | 'brightPeak' | 'brightDistance' | 'blemishDistance' | 'saturationDistance' | 'edgeDistance' | 'interpolatedShare'
  | 'neighbours' | 'brighterNeighbour' | 'lobeDistance' | 'lobeRatio' | 'twinDistance' | 'columnLevel' | 'rowLevel'
>;

type Inputs = Readonly<{ difference: MaskedImage; matchedTemplate: MaskedImage; noiseScale: number }>;

const BLEMISH = maskBits('BAD', 'NO_DATA', 'CR', 'EDGE', 'STREAK');
const SATURATED = maskBits('SAT', 'SAT_TEMPLATE', 'SUSPECT');
const INTERPOLATED = maskBits('INTRP'), NO_DATA = maskBits('NO_DATA');

/** @returns What lies around row i. */
export function surroundings(inputs: Inputs, rows: readonly Ratable[], fwhmPx: number): (i: number) => Surroundings {
  const order = [...rows.keys()].sort((a, b) => rows[a].y - rows[b].y || rows[a].x - rows[b].x);
  const place = new Int32Array(rows.length);
  order.forEach((row, n) => { place[row] = n; });
  return (i) => ({
    ...brightLight(inputs, rows[i]), ...blemishes(inputs.difference, rows[i]),
    ...neighbours(rows, order, place[i], fwhmPx), ...lines(inputs, rows[i], fwhmPx),
  });
}

/** Brightest light of the template around, over the noise, every second pixel; and how far it is. */
function brightLight(
  { matchedTemplate: { image, width, height }, difference }: Inputs, { x, y }: Ratable,
): Pick<Surroundings, 'brightPeak' | 'brightDistance'> {
  const half = config.brightHalfSizePx, cx = Math.round(x), cy = Math.round(y);
  let brightest = -Infinity, distance2 = 0;
  for (let v = Math.max(0, cy - half); v <= Math.min(height - 1, cy + half); v += 2) {
    for (let u = Math.max(0, cx - half); u <= Math.min(width - 1, cx + half); u += 2) {
      const value = image[v * width + u];
      if (!(value > brightest)) continue;
      brightest = value;
      distance2 = (u - x) * (u - x) + (v - y) * (v - y);
    }
  }
  const at = Math.min(height - 1, Math.max(0, cy)) * width + Math.min(width - 1, Math.max(0, cx));
  return { brightPeak: brightest / Math.sqrt(difference.variance[at]), brightDistance: Math.sqrt(distance2) };
}

/** Distances to masked pixels, one more than is looked at when there are none. */
function blemishes(
  { mask, width, height }: MaskedImage, { x, y }: Ratable,
): Pick<Surroundings, 'blemishDistance' | 'saturationDistance' | 'edgeDistance' | 'interpolatedShare'> {
  const reach = config.maskRadiusPx, cx = Math.round(x), cy = Math.round(y), none = (reach + 1) ** 2;
  let blemish = none, saturated = none, interpolated = 0, near = 0;
  for (let v = Math.max(0, cy - reach); v <= Math.min(height - 1, cy + reach); v++) {
    for (let u = Math.max(0, cx - reach); u <= Math.min(width - 1, cx + reach); u++) {
      const bits = mask[v * width + u], r2 = (u - x) * (u - x) + (v - y) * (v - y);
      if (r2 < 9) { near++; if ((bits & INTERPOLATED) !== 0) interpolated++; }
      if (bits === 0) continue;
      if ((bits & BLEMISH) !== 0 && r2 < blemish) blemish = r2;
      if ((bits & SATURATED) !== 0 && r2 < saturated) saturated = r2;
    }
  }
  return {
    blemishDistance: Math.sqrt(blemish), saturationDistance: Math.sqrt(saturated),
    edgeDistance: Math.min(x, y, width - 1 - x, height - 1 - y, 64),
    interpolatedShare: near > 0 ? interpolated / near : 0,
  };
}

/** Other detections within reach; distances in full widths, 99 when there are none. */
function neighbours(
  rows: readonly Ratable[], order: readonly number[], at: number, fwhmPx: number,
): Pick<Surroundings, 'neighbours' | 'brighterNeighbour' | 'lobeDistance' | 'lobeRatio' | 'twinDistance'> {
  const reach = config.neighbourRadiusPx, own = rows[order[at]], ownSnr = own.snr ?? 0;
  let count = 0, brightest = 0, lobe2 = Infinity, lobeSnr = 0, twin2 = Infinity;
  for (const step of [-1, 1]) {
    for (let n = at + step; n >= 0 && n < order.length; n += step) {
      const other = rows[order[n]], dy = other.y - own.y, dx = other.x - own.x;
      if (dy > reach || dy < -reach) break;
      const r2 = dx * dx + dy * dy, snr = other.snr ?? 0;
      if (r2 > reach * reach) continue;
      count++;
      if (snr > brightest) brightest = snr;
      if (other.isNegative === own.isNegative) twin2 = Math.min(twin2, r2);
      else if (r2 < lobe2) { lobe2 = r2; lobeSnr = snr; }
    }
  }
  return {
    neighbours: count, brighterNeighbour: ownSnr > 0 ? brightest / ownSnr : 0,
    lobeDistance: lobe2 < Infinity ? Math.sqrt(lobe2) / fwhmPx : 99, lobeRatio: ownSnr > 0 ? lobeSnr / ownSnr : 0,
    twinDistance: twin2 < Infinity ? Math.sqrt(twin2) / fwhmPx : 99,
  };
}

/** Mean of the source's column and row beyond its wings, in standard deviations of the mean: bad columns, bleeding. */
function lines(
  { difference: { image, variance, mask, width, height }, noiseScale }: Inputs, { x, y, isNegative }: Ratable,
  fwhmPx: number,
): Pick<Surroundings, 'columnLevel' | 'rowLevel'> {
  const cx = Math.round(x), cy = Math.round(y), inner = Math.ceil(config.wingsFwhm * fwhmPx), outer = inner + 16;
  const sign = isNegative === true ? -1 : 1;
  const level = (stepX: number, stepY: number): number => {
    let sum = 0, count = 0;
    for (let n = -outer; n <= outer; n++) {
      if (n > -inner && n < inner) continue;
      const u = cx + n * stepX, v = cy + n * stepY, j = v * width + u;
      if (u < 0 || v < 0 || u >= width || v >= height || (mask[j] & NO_DATA) !== 0 || !(variance[j] > 0)) continue;
      const value = image[j] / Math.sqrt(variance[j]);
      if (value - value !== 0) continue;
      // One bright pixel is not a line.
      sum += Math.max(-5, Math.min(5, value));
      count++;
    }
    return count > 0 ? (sign * sum) / (noiseScale * Math.sqrt(count)) : 0;
  };
  return { columnLevel: level(0, 1), rowLevel: level(1, 0) };
}
