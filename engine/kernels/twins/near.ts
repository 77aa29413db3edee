/** Twin of `markNear`. */
export function markNearTwin(
  mask: Uint16Array, bits: number, width: number, height: number, reach: number, out: Uint8Array,
): void {
  out.fill(0);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if ((mask[y * width + x] & bits) === 0) continue;
      const x0 = Math.max(0, x - reach), x1 = Math.min(width, x + reach + 1);
      for (let v = Math.max(0, y - reach); v <= Math.min(height - 1, y + reach); v++) out.fill(
        1, v * width + x0, v * width + x1);
    }
  }
}

/** Twin of `markBlank`. */
export function markBlankTwin(mask: Uint16Array, bits: number, image: Float32Array, out: Uint8Array): void {
  for (let j = 0; j < out.length; j++) if ((mask[j] & bits) !== 0 || image[j] - image[j] !== 0) out[j] = 1;
}
