import type { SharpnessBits } from '../sharpness.ts';

const { fround, sqrt } = Math;

/** Twin of `fillSharpness`, in single precision. */
export function fillSharpnessTwin(
  image: Float32Array, variance: Float32Array, mask: Uint16Array, width: number, height: number,
  { unusable, replaced }: SharpnessBits, limit: number, out: Float32Array, indices: Int32Array,
): number {
  let found = 0;
  out.fill(0);
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * width + 1, end = (y + 1) * width - 1; i < end; i++) {
      if (((around(mask, i) | around(mask, i - width) | around(mask, i + width)) & unusable) !== 0) continue;
      let sum = 0, count = 0;
      if ((mask[i - 1] & replaced) === 0) { sum = fround(sum + image[i - 1]); count++; }
      if ((mask[i + 1] & replaced) === 0) { sum = fround(sum + image[i + 1]); count++; }
      if ((mask[i - width] & replaced) === 0) { sum = fround(sum + image[i - width]); count++; }
      if ((mask[i + width] & replaced) === 0) { sum = fround(sum + image[i + width]); count++; }
      if (count === 0) continue;
      const noise = fround(sqrt(fround(variance[i] * fround(1 + fround(1 / count)))));
      const value = fround(fround(image[i] - fround(sum / count)) / noise);
      out[i] = value === value ? value : 0;
      if (value > limit) { if (found < indices.length) indices[found] = i; found++; }
    }
  }
  return found;
}

/** Bits of a pixel and those beside it. */
function around(mask: Uint16Array, i: number): number {
  return mask[i] | mask[i - 1] | mask[i + 1];
}
