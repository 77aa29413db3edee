/** Twin of `spreadMask`, of all rows. */
export function spreadMaskTwin(
  mask: Uint16Array, width: number, height: number, bits: number, radius: number, reaches: Int32Array, out: Uint16Array,
): void {
  const isSet = (j: number): boolean => (mask[j] & bits) !== 0;
  for (let y = 0, j = 0; y < height; y++) {
    for (let x = 0; x < width; x++, j++) {
      const own = mask[j] & bits;
      if (own === 0) continue;
      out[j] |= own;
      const isInside = x > 0 && x + 1 < width && y > 0 && y + 1 < height
        && isSet(j - 1) && isSet(j + 1) && isSet(j - width) && isSet(j + width);
      if (isInside) continue;
      for (let v = Math.max(0, y - radius); v <= Math.min(height - 1, y + radius); v++) {
        const reach = reaches[Math.abs(v - y)];
        for (let u = Math.max(0, x - reach); u <= Math.min(width - 1, x + reach); u++) out[v * width + u] |= own;
      }
    }
  }
}
