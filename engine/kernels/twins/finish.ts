import type { FinishTask } from '../finish.ts';
import { defectBits, finishedPixel } from './signature.ts';

const { fround } = Math;

/** Twin of `finishSignature`, in single precision; the task's numbers are float32 already. */
export function finishSignatureTwin(
  task: FinishTask, image: Float32Array, mask: Uint16Array, width: number, height: number,
  inverse: Float32Array | null,
): number {
  const first = restored(task, image, image, width, height), second = restored(task, image, first, width, height);
  const { dark, flat, darkSeconds } = task;
  let marked = 0;
  for (let i = 0; i < image.length; i++) {
    if (flat !== null && inverse !== null) inverse[i] = 1 / flat[i];
    image[i] = finishedPixel(second[i], dark, flat, i, darkSeconds);
    const bits = defectBits(task, image[i], null, dark, flat, i);
    if (bits !== 0) marked++;
    mask[i] |= bits;
  }
  return marked;
}

/** base + x (2 q² − left² − right²) + y (2 q² − below² − above²). */
function restored(
  { flowX, flowY }: FinishTask, base: Float32Array, plane: Float32Array, width: number, height: number,
): Float32Array {
  const out = new Float32Array(plane.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const square = fround(plane[i] * plane[i]), two = fround(square + square);
      const of = (isInside: boolean, at: number): number =>
        (isInside && !Number.isNaN(plane[at]) ? fround(plane[at] * plane[at]) : square);
      const across = fround(fround(two - of(x > 0, i - 1)) - of(x + 1 < width, i + 1));
      const along = fround(fround(two - of(y > 0, i - width)) - of(y + 1 < height, i + width));
      out[i] = base[i] + fround(fround(flowX * across) + fround(flowY * along));
    }
  }
  return out;
}
