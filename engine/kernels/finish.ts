/** Repulsion of charge undone, then dark and flat, in one pass over a detector's electrons. */
import { greatestFloatTo, leastFloatFrom } from './floats.ts';
import { kernelsOf, layOutWork, pointerTo } from './kernels.ts';
import type { SignatureLimits } from './signature.ts';
import { finishSignatureTwin } from './twins/finish.ts';

export type FinishTask = Readonly<{
  /**
   * Charge that passes between neighbours in a row (x) or a column (y), for each electron² by which their squared
   * charges differ.
   */
  flowX: number; flowY: number;
  /** [height × width]: electrons a second, relative response; null for none. Read only. */
  dark: Float32Array | null; flat: Float32Array | null;
  darkSeconds: number;
  /** As of `removeSignature`; `biasMax` is not asked. */
  limits: SignatureLimits;
  badBit: number; missingBits: number;
  /** Whether pixels may be NaN: without, neighbours need no second look. */
  hasMissing: boolean;
}>;

/**
 * Puts charge back that repulsion let over to neighbours (brighter-fatter): Q = F + flow(Q), where F is what was read
 * and flow the sum over neighbours of `flow` × (Q² − Q'²), by two rounds from Q = F; the cube of the share that
 * flows is left. A neighbour that is NaN or outside takes nothing. Then takes the dark off, divides by the flat
 * and marks what they say is bad. Single precision.
 *
 * @param image, mask [height × width], electrons; changed in place.
 * @param inverse Same shape: gets 1 / response where there is a flat; null when nobody asks.
 * @returns Pixels marked.
 */
export function finishSignature(
  task: FinishTask, image: Float32Array, mask: Uint16Array, width: number, height: number,
  inverse: Float32Array | null = null,
): number {
  const { fround } = Math, { biasMax, darkMax, responseMin, responseMax } = task.limits;
  const rounded: FinishTask = {
    ...task, flowX: fround(task.flowX), flowY: fround(task.flowY), darkSeconds: fround(task.darkSeconds),
    limits: {
      biasMax, darkMax: greatestFloatTo(darkMax), responseMin: leastFloatFrom(responseMin),
      responseMax: greatestFloatTo(responseMax),
    },
  };
  const { dark, flat, limits } = rounded, planes = [image, mask, dark, flat, inverse].filter((plane) => plane !== null);
  const kernels = kernelsOf(...planes), stride = Math.ceil(width / 16) * 64 + 64;
  const work = kernels && layOutWork(kernels, { limits: 16, ring: 4 * stride });
  if (kernels === null || work === null) return finishSignatureTwin(rounded, image, mask, width, height, inverse);
  new Float32Array(kernels.memory.buffer, work.limits, 4).set(
    [0, limits.darkMax, limits.responseMin, limits.responseMax],
  );
  const at = (plane: Float32Array | null) => (plane === null ? 0 : pointerTo(kernels, plane));
  return kernels.compiled.finishSignature(
    at(image), pointerTo(kernels, mask), width, height, at(dark), rounded.darkSeconds, at(flat), rounded.flowX,
    rounded.flowY, work.limits, task.badBit, task.missingBits, task.hasMissing ? 1 : 0,
    work.ring, stride, at(inverse),
  );
}
