/** Repulsion of charge undone, then dark and flat, in one pass over a detector's electrons. */
import { greatestFloatTo, leastFloatFrom } from './floats.ts';
import { kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { pixelsOf, pointerToFloats, SCALED_BYTES, writeScaled, type ReadPlane } from './scaled.ts';
import type { SignatureLimits } from './signature.ts';
import { finishPassTwin } from './twins/finish.ts';

export type FinishTask = Readonly<{
  /**
   * Charge that passes between neighbours in a row (x) or a column (y), for each electron² by which their squared
   * charges differ.
   */
  flowX: number; flowY: number;
  /** [height × width]: electrons a second, relative response; null for none. Read only. */
  dark: ReadPlane | null; flat: ReadPlane | null;
  darkSeconds: number;
  /** As of `removeSignature`; `biasMax` is not asked. */
  limits: SignatureLimits;
  badBit: number; missingBits: number;
  /** Whether pixels may be NaN: without, neighbours need no second look. */
  hasMissing: boolean;
}>;

/** Each [height × width]: electrons; bits; gets 1 / response where there is a flat, null when nobody asks. */
export type FinishPlanes = Readonly<{
  image: Float32Array; mask: Uint16Array; inverse: Float32Array | null; width: number; height: number;
}>;

/**
 * Row by row: a row is restored when it and those beside it have what was read, and finished in place once it and those
 * beside it are restored. `KEPT_ROWS` restored ones are kept in each half of the image, which has them in a row.
 */
export type FinishPass = Readonly<{
  restore(first: number, end: number): void; finish(first: number, end: number): void;
  /** From now on pixels may be NaN. */
  guard(): void;
  /** Pixels marked so far. */
  marked(): number;
}>;

export const KEPT_ROWS = 8;
/** Bytes of the task, as `assembly/finish.ts` reads it, with its limits. */
const TASK_BYTES = 64, LIMITS_BYTES = 64;

/**
 * Puts charge back that repulsion let over to neighbours (brighter-fatter): Q = F + flow(Q), where F is what was read
 * and flow the sum over neighbours of `flow` × (Q² − Q'²), by two rounds from Q = F; the cube of the share that
 * flows is left. A neighbour that is NaN or outside takes nothing. Then takes the dark off, divides by the flat
 * and marks what they say is bad. Single precision.
 *
 * @returns Pixels marked.
 */
export function finishSignature(task: FinishTask, planes: FinishPlanes): number {
  const { image, height } = planes, kernels = kernelsOf(image, planes.mask);
  const work = kernels && layOutWork(kernels, { room: finishRoomBytes(planes.width) });
  const pass = prepareFinish(task, planes, work?.room ?? null);
  for (let y = -1; y < height; y++) {
    if (y + 1 < height) pass.restore(y + 1, y + 2);
    if (y >= 0) pass.finish(y, y + 1);
  }
  return pass.marked();
}

/** @param room Byte offset of `finishRoomBytes` of work memory, kept while the pass runs; null outside the kernels'. */
export function prepareFinish(task: FinishTask, planes: FinishPlanes, room: number | null): FinishPass {
  const { image, mask, inverse } = planes, { dark, flat } = task;
  const read = [dark, flat].flatMap((plane) => (plane === null ? [] : [pixelsOf(plane)]));
  const kernels = kernelsOf(image, mask, ...(inverse === null ? [] : [inverse]), ...read);
  if (kernels === null || room === null) return finishPassTwin(roundedTask(task), planes);
  writeTask(kernels, roundedTask(task), planes, room);
  const guard = new Int32Array(kernels.memory.buffer, room + 52, 1);
  let marked = 0;
  return {
    restore: (first, end) => { kernels.compiled.restoreRows(room, first, end); },
    finish: (first, end) => { marked += kernels.compiled.finishRows(room, first, end); },
    guard: () => { guard[0] = 1; }, marked: () => marked,
  };
}

export function finishRoomBytes(width: number): number {
  return TASK_BYTES + LIMITS_BYTES + (2 * KEPT_ROWS + 3) * strideOf(width);
}

/** From one row of the work memory to the next: whole cache lines. */
function strideOf(width: number): number {
  return Math.ceil(width / 16) * 64 + 64;
}

function roundedTask(task: FinishTask): FinishTask {
  const { fround } = Math, { biasMax, darkMax, responseMin, responseMax } = task.limits;
  return {
    ...task, flowX: fround(task.flowX), flowY: fround(task.flowY), darkSeconds: fround(task.darkSeconds), limits: {
      biasMax, darkMax: greatestFloatTo(darkMax), responseMin: leastFloatFrom(responseMin),
      responseMax: greatestFloatTo(responseMax),
    },
  };
}

function writeTask(
  kernels: Kernels, task: FinishTask, { image, mask, inverse, width, height }: FinishPlanes, room: number,
): void {
  const { buffer } = kernels.memory, { limits, dark, flat } = task, stride = strideOf(width);
  const limitsAt = room + TASK_BYTES, rows = limitsAt + LIMITS_BYTES;
  new Float32Array(buffer, limitsAt, 4).set([0, limits.darkMax, limits.responseMin, limits.responseMax]);
  new Uint32Array(buffer, room, 16).set([
    pointerTo(kernels, image), pointerTo(kernels, mask), width, height, pointerToFloats(dark), 0,
    pointerToFloats(flat), 0, 0, limitsAt, task.badBit, task.missingBits,
    inverse === null ? 0 : pointerTo(kernels, inverse), task.hasMissing ? 1 : 0, rows, stride,
  ]);
  const { darkMax, responseMin, responseMax } = limits;
  const wanted = [[dark, -Infinity, darkMax], [flat, Math.max(responseMin, 0), responseMax]] as const;
  wanted.forEach(([plane, least, most], k) => {
    const line = rows + (2 * KEPT_ROWS + 1 + k) * stride;
    writeScaled(new DataView(buffer), limitsAt + 16 + k * SCALED_BYTES, plane, least, most, line);
  });
  new Float32Array(buffer, room + 20, 1).set([task.darkSeconds]);
  new Float32Array(buffer, room + 28, 2).set([task.flowX, task.flowY]);
}
