import type { FinishPass, FinishPlanes, FinishTask } from '../finish.ts';
import { valueAt } from '../scaled.ts';
import { defectBits, finishedPixel } from './signature.ts';

const { fround } = Math;

/** Twin of `prepareFinish`, in single precision; the task's numbers are float32 already. */
export function finishPassTwin(task: FinishTask, planes: FinishPlanes): FinishPass {
  const { image, mask, inverse, width } = planes, { dark, flat, darkSeconds } = task;
  const first = new Float32Array(image.length), second = new Float32Array(width);
  let marked = 0;
  const finishRow = (y: number): void => {
    restoreRow(task, planes, image, first, y, second);
    for (let x = 0, i = y * width; x < width; x++, i++) {
      if (flat !== null && inverse !== null) inverse[i] = 1 / valueAt(flat, i);
      image[i] = finishedPixel(second[x], dark, flat, i, darkSeconds);
      const bits = defectBits(task, image[i], null, dark, flat, i);
      if (bits !== 0) marked++;
      mask[i] |= bits;
    }
  };
  return {
    restore: (from, end) => {
      for (let y = from; y < end; y++) restoreRow(task, planes, image, image, y, first.subarray(y * width));
    },
    finish: (from, end) => { for (let y = from; y < end; y++) finishRow(y); },
    guard: () => {}, marked: () => marked,
  };
}

/** base + x (2 q² − left² − right²) + y (2 q² − below² − above²) of a row. */
function restoreRow(
  { flowX, flowY }: FinishTask, { width, height }: FinishPlanes, base: Float32Array, plane: Float32Array, y: number,
  out: Float32Array,
): void {
  for (let x = 0, i = y * width; x < width; x++, i++) {
    const square = fround(plane[i] * plane[i]), two = fround(square + square);
    const of = (isInside: boolean, at: number): number =>
      (isInside && !Number.isNaN(plane[at]) ? fround(plane[at] * plane[at]) : square);
    const across = fround(fround(two - of(x > 0, i - 1)) - of(x + 1 < width, i + 1));
    const along = fround(fround(two - of(y > 0, i - width)) - of(y + 1 < height, i + width));
    out[x] = base[i] + fround(fround(flowX * across) + fround(flowY * along));
  }
}
