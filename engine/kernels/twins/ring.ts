import type { Ring, RingSums, RingTask } from '../ring.ts';

/** Twin of `ringNoise`. */
export function ringNoiseTwin(
  task: RingTask, { x, y, inner, outer }: Ring, x0: number, y0: number, x1: number, y1: number,
): RingSums {
  const { width } = task, at = (j: number): number => significance(task, j);
  let sum = 0, square = 0, product = 0, most = 0, count = 0, pairs = 0;
  for (let v = y0; v <= y1; v++) {
    for (let u = x0; u <= x1; u++) {
      const r2 = (u - x) * (u - x) + (v - y) * (v - y);
      if (r2 < inner * inner || r2 > outer * outer) continue;
      const j = v * width + u, value = at(j);
      if (value !== value) continue;
      sum += value;
      square += value * value;
      count++;
      const right = at(j + 1), below = at(j + width);
      if (right === right) { product += value * right; pairs++; }
      if (below === below) { product += value * below; pairs++; }
      if (u % 2 === 0 || v % 2 === 0) continue;
      let near = value + right + below, members = 3;
      if (near !== near) continue;
      for (const k of [j - 1, j - width, j - width - 1, j - width + 1, j + width - 1, j + width + 1]) {
        const other = at(k);
        if (other === other) { near += other; members++; }
      }
      const size = Math.abs(near) / Math.sqrt(members);
      if (size > most) most = size;
    }
  }
  return { sum, square, count, product, pairs, most };
}

function significance({ image, variance, mask, ignoredBits, scale, limit }: RingTask, j: number): number {
  if ((mask[j] & ignoredBits) !== 0 || !(variance[j] > 0)) return NaN;
  return Math.max(-limit, Math.min(limit, image[j] / (scale * Math.sqrt(variance[j]))));
}
