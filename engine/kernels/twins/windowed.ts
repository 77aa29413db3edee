import type { WindowedTask, Windowed } from '../windowed.ts';

/** Weights along one axis and weight × offset, of pixels `start` … `start` + length − 1. */
type Axis = { start: number; weights: Float64Array; moments: Float64Array };

/** Twin of the compiled windowed measurement. */
export function measureWindowTwin(
  task: WindowedTask, table: Float64Array, xStart: number, yStart: number,
): Windowed | null {
  const { image, width, height, sigmaPx, steps, tolerancePx, driftPx } = task, reach = table.length - 1;
  const axis = (): Axis => ({
    start: 0, weights: new Float64Array(2 * reach + 1), moments: new Float64Array(2 * reach + 1),
  });
  const along = axis(), across = axis();
  let x = xStart, y = yStart;
  for (let step = 0; step < steps; step++) {
    fillAxis(along, x, sigmaPx, table);
    fillAxis(across, y, sigmaPx, table);
    let flux = 0, sx = 0, sy = 0;
    for (let j = Math.max(0, -across.start); j < Math.min(2 * reach + 1, height - across.start); j++) {
      let light = 0, moment = 0;
      for (let i = Math.max(0, -along.start); i < Math.min(2 * reach + 1, width - along.start); i++) {
        const value = image[(across.start + j) * width + along.start + i];
        if (value !== value) continue;
        light += along.weights[i] * value;
        moment += along.moments[i] * value;
      }
      flux += across.weights[j] * light;
      sx += across.weights[j] * moment;
      sy += across.moments[j] * light;
    }
    if (!(flux > 0)) return null;
    const dx = 2 * sx / flux, dy = 2 * sy / flux;
    x += dx;
    y += dy;
    const offX = x - xStart, offY = y - yStart;
    if (!(offX * offX + offY * offY <= driftPx * driftPx)) return null;
    if (dx * dx + dy * dy < tolerancePx * tolerancePx) break;
  }
  fillAxis(along, x, sigmaPx, table);
  fillAxis(across, y, sigmaPx, table);
  return moments(task, along, across, x, y);
}

/** e^x to 1e-15 for |x| ≤ 2: a power series of x/4, raised to the fourth. */
function expSmall(x: number): number {
  const t = x * 0.25;
  let sum = 1;
  for (let k = 14; k > 0; k--) sum = 1 + t * sum / k;
  sum *= sum;
  return sum * sum;
}

/** exp(−(k − d)² / 2σ²) = exp(−d² / 2σ²) exp(−k² / 2σ²) exp(d / σ²)ᵏ. */
function fillAxis(axis: Axis, at: number, sigma: number, table: Float64Array): void {
  const reach = table.length - 1, r = Math.floor(at + 0.5), d = at - r;
  const e = expSmall(d / (sigma * sigma)), inverse = 1 / e;
  let up = expSmall(-d * d / (2 * sigma * sigma)), down = up;
  for (let k = 0; k <= reach; k++) {
    axis.weights[reach + k] = up * table[k];
    axis.weights[reach - k] = down * table[k];
    axis.moments[reach + k] = up * table[k] * (k - d);
    axis.moments[reach - k] = down * table[k] * (-k - d);
    up *= e;
    down *= inverse;
  }
  axis.start = r - reach;
}

function moments(task: WindowedTask, along: Axis, across: Axis, x: number, y: number): Windowed | null {
  const { image, mask, width, height, flagReach2 } = task, length = along.weights.length;
  let flux = 0, weights = 0, xx = 0, yy = 0, xy = 0, peak = -Number.MAX_VALUE, bits = 0;
  for (let j = Math.max(0, -across.start); j < Math.min(length, height - across.start); j++) {
    const dy = across.start + j - y;
    for (let i = Math.max(0, -along.start); i < Math.min(length, width - along.start); i++) {
      const at = (across.start + j) * width + along.start + i, dx = along.start + i - x, r2 = dx * dx + dy * dy;
      if (r2 <= flagReach2) bits |= mask[at];
      const value = image[at];
      if (value !== value) continue;
      const weight = across.weights[j] * along.weights[i], light = weight * value;
      flux += light;
      xx += light * dx * dx;
      yy += light * dy * dy;
      xy += light * dx * dy;
      weights += weight * weight;
      if (r2 <= 8 && value > peak) peak = value;
    }
  }
  if (!(flux > 0)) return null;
  return { x, y, flux, weights, xx: xx / flux, yy: yy / flux, xy: xy / flux, peak, bits };
}
