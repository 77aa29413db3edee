/** Centroid and moments of a source under a Gaussian window. The twin in `twins/windowed.ts` defines the result. */

/**
 * Fixed-point iteration of the centroid, then moments about it.
 *
 * @param table  [reach + 1] float64: exp(−k² / 2σ²).
 * @param lines  [6 × (2 reach + 1)] float64, work.
 * @param result Eight f64, overwritten: x, y, Σ w v, Σ w² and the moments Σ w v dx², Σ w v dy², Σ w v dx dy over Σ w v;
 *               the highest pixel within √8.
 * @returns The mask's bits within √flagReach2, or −1 when the centroid runs away or there is no light.
 */
export function measureWindow(
  image: usize, mask: usize, width: i32, height: i32, xStart: i32, yStart: i32, sigma: f64, reach: i32, table: usize,
  steps: i32, tolerance: f64, drift: f64, flagReach2: f64, lines: usize, result: usize,
): i32 {
  let x = <f64>xStart, y = <f64>yStart;
  fetchBox(image, mask, width, max(0, xStart - reach), min(width - 1, xStart + reach), max(0, yStart - reach),
    min(height - 1, yStart + reach), result);
  for (let step = 0; step < steps; step++) {
    const flux = firstMoments(image, width, height, x, y, sigma, reach, table, lines, result);
    if (!(flux > 0)) return -1;
    const dx = 2 * load<f64>(result, 8) / flux, dy = 2 * load<f64>(result, 16) / flux;
    x += dx;
    y += dy;
    const offX = x - <f64>xStart, offY = y - <f64>yStart;
    // A centroid that runs away belongs to a neighbour, which has a peak of its own.
    if (!(offX * offX + offY * offY <= drift * drift)) return -1;
    if (dx * dx + dy * dy < tolerance * tolerance) break;
  }
  return secondMoments(image, mask, width, height, x, y, sigma, reach, table, flagReach2, lines, result);
}

/** Reads a word of each cache line of a box, so that its rows are waited for together and not one after the other. */
function fetchBox(image: usize, mask: usize, width: i32, x0: i32, x1: i32, y0: i32, y1: i32, out: usize): void {
  let sum = 0;
  for (let y = y0; y <= y1; y++) {
    const first = <usize>(y * width + x0), last = <usize>(y * width + x1);
    for (let p = (image + (first << 2)) & ~63, end = image + (last << 2); p <= end; p += 64) sum ^= load<i32>(p);
    for (let p = (mask + (first << 1)) & ~63, end = mask + (last << 1); p <= end; p += 64) sum ^= load<i32>(p);
  }
  // Stored, lest the loads be found to serve nobody.
  store<i32>(out, sum);
}

/** e^x to 1e-15 for |x| ≤ 2: a power series of x/4, raised to the fourth. */
function expSmall(x: f64): f64 {
  const t = x * 0.25;
  let sum: f64 = 1;
  for (let k = 14; k > 0; k--) sum = 1 + t * sum / <f64>k;
  sum *= sum;
  return sum * sum;
}

/** Weights along an axis for pixels r − reach … r + reach, r the pixel nearest to `at`; and weight × offset. */
function fillAxis(at: f64, sigma: f64, reach: i32, table: usize, weights: usize, moments: usize): void {
  const r = floor(at + 0.5), d = at - r, e = expSmall(d / (sigma * sigma)), inverse = 1 / e;
  const middle = <usize>reach << 3;
  let up = expSmall(-d * d / (2 * sigma * sigma)), down = up;
  for (let k = 0; k <= reach; k++) {
    const g = load<f64>(table + (<usize>k << 3)), shift = <usize>k << 3;
    store<f64>(weights + middle + shift, up * g);
    store<f64>(weights + middle - shift, down * g);
    store<f64>(moments + middle + shift, up * g * (<f64>k - d));
    store<f64>(moments + middle - shift, down * g * (<f64>-k - d));
    up *= e;
    down *= inverse;
  }
}

/** Σ w v, which is returned; Σ w v dx and Σ w v dy to result + 8, + 16. NaN counts nothing. */
function firstMoments(
  image: usize, width: i32, height: i32, x: f64, y: f64, sigma: f64, reach: i32, table: usize, lines: usize,
  result: usize,
): f64 {
  const length = <usize>(2 * reach + 1) << 3, wx = lines, mx = wx + length, wy = mx + length, my = wy + length;
  fillAxis(x, sigma, reach, table, wx, mx);
  fillAxis(y, sigma, reach, table, wy, my);
  const left = <i32>floor(x + 0.5) - reach, top = <i32>floor(y + 0.5) - reach;
  const i0 = max(0, -left), i1 = min(2 * reach + 1, width - left);
  let flux: f64 = 0, sx: f64 = 0, sy: f64 = 0;
  for (let j = max(0, -top), j1 = min(2 * reach + 1, height - top); j < j1; j++) {
    let p = image + (<usize>((top + j) * width + left + i0) << 2), light: f64 = 0, moment: f64 = 0;
    for (let at = <usize>i0 << 3, end = <usize>i1 << 3; at < end; at += 8, p += 4) {
      const value = <f64>load<f32>(p);
      if (value != value) continue;
      light += load<f64>(wx + at) * value;
      moment += load<f64>(mx + at) * value;
    }
    const weight = load<f64>(wy + (<usize>j << 3));
    flux += weight * light;
    sx += weight * moment;
    sy += load<f64>(my + (<usize>j << 3)) * light;
  }
  store<f64>(result, sx, 8);
  store<f64>(result, sy, 16);
  return flux;
}

function secondMoments(
  image: usize, mask: usize, width: i32, height: i32, x: f64, y: f64, sigma: f64, reach: i32, table: usize,
  flagReach2: f64, lines: usize, result: usize,
): i32 {
  const length = <usize>(2 * reach + 1) << 3, wx = lines, mx = wx + length, wy = mx + length, my = wy + length;
  fillAxis(x, sigma, reach, table, wx, mx);
  fillAxis(y, sigma, reach, table, wy, my);
  const left = <i32>floor(x + 0.5) - reach, top = <i32>floor(y + 0.5) - reach;
  let flux: f64 = 0, weights: f64 = 0, xx: f64 = 0, yy: f64 = 0, xy: f64 = 0, peak = -f64.MAX_VALUE, bits = 0;
  for (let j = max(0, -top), j1 = min(2 * reach + 1, height - top); j < j1; j++) {
    const dy = <f64>(top + j) - y, w = load<f64>(wy + (<usize>j << 3));
    for (let i = max(0, -left), i1 = min(2 * reach + 1, width - left); i < i1; i++) {
      const at = <usize>((top + j) * width + left + i), dx = <f64>(left + i) - x, r2 = dx * dx + dy * dy;
      if (r2 <= flagReach2) bits |= <i32>load<u16>(mask + (at << 1));
      const value = <f64>load<f32>(image + (at << 2));
      if (value != value) continue;
      const weight = w * load<f64>(wx + (<usize>i << 3)), light = weight * value;
      flux += light;
      xx += light * dx * dx;
      yy += light * dy * dy;
      xy += light * dx * dy;
      weights += weight * weight;
      if (r2 <= 8 && value > peak) peak = value;
    }
  }
  if (!(flux > 0)) return -1;
  store<f64>(result, x); store<f64>(result, y, 8); store<f64>(result, flux, 16); store<f64>(result, weights, 24);
  store<f64>(result, xx / flux, 32); store<f64>(result, yy / flux, 40); store<f64>(result, xy / flux, 48);
  store<f64>(result, peak, 56);
  return bits;
}
