/** Twin of `overscanMedians`. */
export function overscanMediansTwin(
  pixels: Uint16Array, start: number, rawWidth: number, count: number, deviationStep: number,
  out: Int32Array,
): void {
  for (let row = 0; row < out.length >> 1; row++) {
    const from = start + row * rawWidth, values = pixels.slice(from, from + count).sort();
    const low = values[(count - 1) >> 1], high = values[count >> 1];
    out[2 * row] = low + high;
    if (row % deviationStep !== 0) continue;
    // Deviations are doubled, as the median may lie between two counts, and end at what 16 bits hold.
    const deviations = values.map((value) => Math.min(Math.abs(2 * value - low - high), 65535)).sort();
    out[2 * row + 1] = deviations[(count - 1) >> 1] + deviations[count >> 1];
  }
}

/** Twin of `columnMedians`. */
export function columnMediansTwin(
  pixels: Uint16Array, start: number, rawWidth: number, count: number, out: Int32Array,
): void {
  const column = new Uint16Array(count);
  for (let x = 0; x < out.length; x++) {
    for (let k = 0; k < count; k++) column[k] = pixels[start + k * rawWidth + x];
    column.sort();
    out[x] = column[(count - 1) >> 1] + column[count >> 1];
  }
}
