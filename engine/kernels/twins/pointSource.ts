import type { Patch, PointPlanes } from '../pointSource.ts';

/** Twin of `movePatch`; `rows` is [(side + 8) × side], work. */
export function movePatchTwin(
  { cell, taps }: Patch, side: number, rows: Float64Array, out: Float64Array,
): void {
  const [a0, a1, a2, a3, a4, a5, a6, a7, a8, b0, b1, b2, b3, b4, b5, b6, b7, b8] = taps, padded = side + 8;
  for (let v = 0; v < padded; v++) {
    for (let u = 0, k = v * padded; u < side; u++, k++) {
      rows[v * side + u] = a0 * cell[k] + a1 * cell[k + 1] + a2 * cell[k + 2] + a3 * cell[k + 3] + a4 * cell[k + 4]
        + a5 * cell[k + 5] + a6 * cell[k + 6] + a7 * cell[k + 7] + a8 * cell[k + 8];
    }
  }
  for (let j = 0; j < side * side; j++) {
    out[j] = b0 * rows[j] + b1 * rows[j + side] + b2 * rows[j + 2 * side] + b3 * rows[j + 3 * side]
      + b4 * rows[j + 4 * side] + b5 * rows[j + 5 * side] + b6 * rows[j + 6 * side] + b7 * rows[j + 7 * side]
      + b8 * rows[j + 8 * side];
  }
}

function isUsable({ image, variance, mask, ignoredBits }: PointPlanes, j: number): boolean {
  return (mask[j] & ignoredBits) === 0 && image[j] - image[j] === 0 && variance[j] > 0;
}

/** Twin of `pointProducts`. */
export function pointProductsTwin(
  planes: PointPlanes, model: Float64Array, side: number, cx: number, cy: number, isWeighed: boolean,
  result: Float64Array,
): void {
  const { width, height, image, variance } = planes, half = side >> 1;
  const slope = (k: number, step: number, isInner: boolean): number => (
    isInner ? (8 * (model[k - step] - model[k + step]) + model[k + 2 * step] - model[k - 2 * step]) / 12 : 0
  );
  result.fill(0);
  for (let v = Math.max(-half, -cy); v <= half && cy + v < height; v++) {
    for (let u = Math.max(-half, -cx); u <= half && cx + u < width; u++) {
      const j = (cy + v) * width + cx + u, k = (v + half) * side + u + half;
      if (!isUsable(planes, j)) continue;
      const isInner = Math.max(Math.abs(u), Math.abs(v)) <= half - 2;
      const p = model[k], gx = slope(k, 1, isInner), gy = slope(k, side, isInner), s = isWeighed ? variance[j] : 1;
      result[0] += s * p * p; result[1] += s * p * gx; result[2] += s * p * gy;
      result[3] += s * gx * gx; result[4] += s * gx * gy; result[5] += s * gy * gy;
      if (isWeighed) continue;
      const d = image[j];
      result[6] += p * d; result[7] += gx * d; result[8] += gy * d;
    }
  }
}

/** Twin of `pointFlux`. */
export function pointFluxTwin(
  planes: PointPlanes, model: Float64Array, side: number, cx: number, cy: number, products: Float64Array,
  result: Float64Array,
): void {
  const { width, height, image, variance } = planes, half = side >> 1;
  let product = 1, count = 0;
  result.fill(0);
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) {
      const p = model[k], x = cx + u, y = cy + v, j = y * width + x;
      result[3] += p * p;
      if (x < 0 || y < 0 || x >= width || y >= height || !isUsable(planes, j)) continue;
      const d = image[j], s = variance[j], w = 1 / s;
      result[0] += p * d;
      result[1] += p * p;
      result[2] += p * p * s;
      result[4] += d * d * w;
      result[5] += p * d * w;
      result[6] += p * p * w;
      product *= s;
      if (++count % 16 === 0) { products[count / 16 - 1] = product; product = 1; }
    }
  }
  products[count >> 4] = product;
  result[7] = count;
}
