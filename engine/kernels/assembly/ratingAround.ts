/** What lies around a source: bright light, blemishes, its column and row. Twin: `twins/ratingAround.ts`. */
import { RatingTask } from './ratingTask';

/** Bright residuals: half side of the square, and how far from the image's edges its middle stays. */
const RESIDUAL_HALF = 2;

export class Around {
  /** Brightest light of the template every second pixel, the square of its distance; the difference's variance. */
  static brightLight(task: RatingTask, x: f64, y: f64, cx: i32, cy: i32, at: i32, out: usize): void {
    const half = task.brightReach, width = task.width;
    let brightest: f64 = -Infinity, distance2: f64 = 0;
    const right = min(width - 1, cx + half), bottom = min(task.height - 1, cy + half), left = max(0, cx - half);
    for (let v = max(0, cy - half); v <= bottom; v += 2) {
      for (let u = left; u <= right; u += 2) {
        const value = <f64>load<f32>(task.template + (<usize>(v * width + u) << 2));
        if (!(value > brightest)) continue;
        brightest = value;
        distance2 = (<f64>u - x) * (<f64>u - x) + (<f64>v - y) * (<f64>v - y);
      }
    }
    store<f64>(out, brightest, 456); store<f64>(out, distance2, 464);
    store<f64>(out, <f64>load<f32>(task.variance + (<usize>at << 2)), 472);
  }

  /** Squares of the distances to blemished and to saturated pixels; pixels within 3, and of them the interpolated. */
  static blemishes(task: RatingTask, x: f64, y: f64, cx: i32, cy: i32, out: usize): void {
    const reach = task.maskReach, width = task.width, none = <f64>((reach + 1) * (reach + 1));
    let blemish = none, saturated = none, interpolated = 0, near = 0;
    const right = min(width - 1, cx + reach), bottom = min(task.height - 1, cy + reach), left = max(0, cx - reach);
    for (let v = max(0, cy - reach); v <= bottom; v++) {
      const dy2 = (<f64>v - y) * (<f64>v - y);
      for (let u = left; u <= right; u++) {
        const bits = <i32>load<u16>(task.mask + (<usize>(v * width + u) << 1));
        const r2 = (<f64>u - x) * (<f64>u - x) + dy2;
        if (r2 < 9) { near++; if ((bits & task.interpolated) != 0) interpolated++; }
        if (bits == 0) continue;
        if ((bits & task.blemish) != 0 && r2 < blemish) blemish = r2;
        if ((bits & task.saturated) != 0 && r2 < saturated) saturated = r2;
      }
    }
    store<f64>(out, blemish, 480); store<f64>(out, saturated, 488);
    store<f64>(out, <f64>near, 496); store<f64>(out, <f64>interpolated, 504);
  }

  /** Sum of the pixels beyond the wings along a column or row, over their noise, ±5 at most; and how many they are. */
  static line(task: RatingTask, cx: i32, cy: i32, stepX: i32, stepY: i32, out: usize): void {
    const inner = task.lineInner, outer = task.lineOuter, width = task.width;
    let sum: f64 = 0, count = 0;
    for (let n = -outer; n <= outer; n++) {
      if (n > -inner && n < inner) continue;
      const u = cx + n * stepX, v = cy + n * stepY;
      if (u < 0 || v < 0 || u >= width || v >= task.height) continue;
      const j = <usize>(v * width + u), variance = <f64>load<f32>(task.variance + (j << 2));
      if ((<i32>load<u16>(task.mask + (j << 1)) & task.noData) != 0 || !(variance > 0)) continue;
      const value = <f64>load<f32>(task.image + (j << 2)) / sqrt(variance);
      if (value - value != 0) continue;
      sum += max<f64>(-5, min<f64>(5, value));
      count++;
    }
    store<f64>(out, sum); store<f64>(out, <f64>count, 8);
  }

  /** Squares of the difference over its noise where the template is brightest nearby, outside the source. */
  static brightResidual(task: RatingTask, x: f64, y: f64, cx: i32, cy: i32, out: usize): void {
    const half = task.brightReach, width = task.width, edge = RESIDUAL_HALF;
    let brightest: f64 = -Infinity, at = -1;
    const right = min(width - edge - 1, cx + half), bottom = min(task.height - edge - 1, cy + half);
    for (let v = max(edge, cy - half); v <= bottom; v += 2) {
      const dy2 = (<f64>v - y) * (<f64>v - y);
      for (let u = max(edge, cx - half); u <= right; u += 2) {
        const value = <f64>load<f32>(task.template + (<usize>(v * width + u) << 2));
        if (!(value > brightest) || (<f64>u - x) * (<f64>u - x) + dy2 < task.apart2) continue;
        brightest = value;
        at = v * width + u;
      }
    }
    let sum: f64 = 0, count = 0;
    if (at >= 0) {
      for (let v = -edge; v <= edge; v++) {
        for (let u = -edge; u <= edge; u++) {
          const value = Around.significance(task, <usize>(at + v * width + u));
          if (value != value) continue;
          sum += value * value;
          count++;
        }
      }
    }
    store<f64>(out, sum, 592); store<f64>(out, <f64>count, 600);
  }

  /** Difference over noise at a pixel, cut off; NaN where unusable. */
  static significance(task: RatingTask, j: usize): f64 {
    const variance = <f64>load<f32>(task.variance + (j << 2));
    if ((<i32>load<u16>(task.mask + (j << 1)) & task.unusable) != 0 || !(variance > 0)) return NaN;
    const value = <f64>load<f32>(task.image + (j << 2)) / (task.noiseScale * sqrt(variance));
    return max<f64>(-task.limit, min<f64>(task.limit, value));
  }
}
