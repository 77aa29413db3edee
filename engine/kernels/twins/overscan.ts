/** Twin of `overscanMedians`. */
export function overscanMediansTwin(
  pixels: Uint16Array, start: number, rawWidth: number, count: number, out: Int32Array,
): void {
  for (let row = 0; row < out.length >> 1; row++) {
    const from = start + row * rawWidth, values = pixels.slice(from, from + count).sort();
    const low = values[(count - 1) >> 1], high = values[count >> 1];
    // Deviations are doubled, as the median may lie between two counts, and end at what 16 bits hold.
    const deviations = values.map((value) => Math.min(Math.abs(2 * value - low - high), 65535)).sort();
    out[2 * row] = low + high;
    out[2 * row + 1] = deviations[(count - 1) >> 1] + deviations[count >> 1];
  }
}
