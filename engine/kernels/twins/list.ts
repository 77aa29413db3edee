const { fround } = Math;

/** Twin of `listMasked`. */
export function listMaskedTwin(mask: Uint16Array, bits: number, indices: Int32Array): number {
  let found = 0;
  for (let i = 0; i < mask.length; i++) {
    if ((mask[i] & bits) === 0) continue;
    if (found < indices.length) indices[found] = i;
    found++;
  }
  return found;
}

/** Twin of `listSharp`, in single precision. */
export function listSharpTwin(
  image: Float32Array, variance: Float32Array, width: number, height: number, first: number, end: number,
  limit2: number, indices: Int32Array,
): number {
  let found = 0;
  for (let y = Math.max(first, 1); y < Math.min(end, height - 1); y++) {
    for (let i = y * width + 1, last = (y + 1) * width - 1; i < last; i++) {
      const beside = fround(image[i - 1] + image[i + 1]);
      const sum = fround(fround(beside + image[i - width]) + image[i + width]);
      const rise = fround(image[i] - fround(sum * 0.25));
      if (!(rise > 0 && fround(rise * rise) > fround(variance[i] * limit2))) continue;
      if (found < indices.length) indices[found] = i;
      found++;
    }
  }
  return found;
}

/** Twin of `listAtLeast`. */
export function listAtLeastTwin(plane: Float32Array, limit: number, indices: Int32Array): number {
  let found = 0;
  for (let i = 0; i < plane.length; i++) if (plane[i] >= limit) indices[found++] = i;
  return found;
}
