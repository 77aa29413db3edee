/** Masks grown by a disc. */
import { bandsOf } from './bands.ts';
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import { spreadMaskTwin } from './twins/spread.ts';

/**
 * Sets `bits` in `out` wherever a pixel of `mask` that has one of `bits` lies within `radius`.
 *
 * @param mask   [height × width]. Read only.
 * @param radius Pixels, a whole number.
 * @param out    Same shape, another plane; bits are added to it.
 */
export function spreadMask(
  mask: Uint16Array, width: number, height: number, bits: number, radius: number, out: Uint16Array,
): void {
  const reaches = Int32Array.from({ length: radius + 1 }, (_, v) => Math.floor(Math.sqrt(radius * radius - v * v)));
  const kernels = kernelsOf(mask, out), work = kernels && layOutWork(kernels, { reaches: reaches.byteLength });
  if (kernels === null || work === null) { spreadMaskTwin(mask, width, height, bits, radius, reaches, out); return; }
  new Int32Array(kernels.memory.buffer, work.reaches, reaches.length).set(reaches);
  const from = pointerTo(kernels, mask), to = pointerTo(kernels, out);
  for (const { y0, y1 } of bandsOf(kernels, 0, height)) {
    kernels.compiled.spreadMask(from, width, height, y0, y1, bits, radius, work.reaches, to);
  }
}
