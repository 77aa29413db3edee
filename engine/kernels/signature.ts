/** A detector's instrument signature in one pass over its raw counts. */
import { bandsOf } from './bands.ts';
import { greatestFloatTo, leastFloatFrom } from './floats.ts';
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { pixelsOf, pointerToFloats, SCALED_BYTES, writeScaled, type ReadPlane } from './scaled.ts';
import { selectInPlace } from './select.ts';
import { USUAL_ROWS, serialRamp, signaturePassTwin } from './twins/signature.ts';

/** Linearity by a table: correction, ADU, at signals 0, 1/perAdu, 2/perAdu …; straight between, its ends beyond. */
export type LinearityTable = Readonly<{ values: Float32Array; perAdu: number }>;

/** One amp. Numbers are rounded to float32. */
export type SignatureAmp = Readonly<{
  /** Its readout, ADU. Read only. */
  pixels: Uint16Array;
  /** Lowest pixel of its box on the detector, and whether the readout runs against the detector's axes. */
  x0: number; y0: number; flipX: boolean; flipY: boolean;
  gain: number;
  /** [rows]: overscan level of each imaging row, ADU. */
  levels: Float32Array;
  /** [columns]: level of each imaging column beyond that of the row, in the order of reading, ADU. */
  columnLevels: Float32Array | null;
  /** [c₂, c₃]: S + c₂ S² + c₃ S³ of a signal S, ADU; [0, 0] for none. Then the table, where there is one. */
  polynomial: readonly [number, number];
  table: LinearityTable | null;
  /** Parts of other amps' signals that appear in this one, in amps of one detector; none of its own. */
  crosstalk: readonly Readonly<{ index: number; part: number }>[];
  /** Part of a packet's charge left behind at each transfer. */
  serialCti: number; parallelCti: number;
  /** Raw counts from which the bits are set; Infinity for never. A saturated pixel has to be a suspect one to count. */
  suspectAdu: number; saturationAdu: number;
  /** Whether it says nothing: all its pixels are missing. */
  isDead: boolean;
}>;

export type SignatureTask = Readonly<{
  /** All amps of the detector, which are read at the same time: equal places of their readouts talk across. */
  amps: readonly SignatureAmp[];
  /** Of every readout: its row length, first imaging pixel, imaging columns and rows. */
  rawWidth: number; rawX0: number; rawY0: number; columns: number; rows: number;
  /** [detector height × width]: ADU, electrons a second, relative response; null for none. Read only. */
  bias: ReadPlane | null; dark: ReadPlane | null; flat: ReadPlane | null;
  /** Time in which the dark's charge was collected. */
  darkSeconds: number;
  /** False leaves dark and flat to `finishSignature`; their defects are marked there. */
  isFinished: boolean;
  /**
   * What crosstalk of one amp's pixels may be in another to be taken for that of the usual signal around, ADU. Only the
   * pixels whose crosstalk differs by more are looked at one by one.
   */
  quietAdu: number;
  limits: SignatureLimits;
  saturatedBit: number; suspectBit: number; badBit: number;
  /** Set where the electrons come out NaN. */
  missingBits: number;
}>;

/** Beyond these a pixel is marked with `badBit`: |bias| in ADU, dark in electrons a second, response. */
export type SignatureLimits = Readonly<{ biasMax: number; darkMax: number; responseMin: number; responseMax: number }>;

export type SignatureCounts = Readonly<{
  /** Pixels that calibrations mark. */
  marked: number;
  /** Whether some pixels are NaN, or the bias would make them so. */
  hasMissing: boolean;
  amps: readonly Readonly<{ saturatedCount: number; suspectCount: number }>[];
}>;

/** Where the result goes, each [detector height × width]; the amps' boxes are overwritten. */
export type SignaturePlanes = Readonly<{
  image: Float32Array; mask: Uint16Array;
  /** Gets 1 / response where there is a flat and the task is finished; null when nobody asks. */
  inverse: Float32Array | null;
  width: number;
}>;

/** Rows in any order; those that follow each other should come so: deferred charge is put back from the one before. */
export type SignaturePass = Readonly<{
  /** Rows `first` … `end` − 1 of the readout, of all amps, in bands. */
  run(first: number, end: number): void;
  /** Of all rows since the pass was prepared. */
  counts(): SignatureCounts;
  /** As the counts have it. */
  hasMissing(): boolean;
  /** Byte offset of work memory that a kernel beside may have; null without kernels. */
  room: number | null;
}>;

/** Bytes of an amp's record and of the task's, as `assembly/signature.ts` reads them. */
const AMP_BYTES = 128, TASK_BYTES = 160, LOUDNESSES = 3;
/** Beyond what 16 bits hold. */
const NEVER_ADU = 65536;

/**
 * Raw counts to electrons, at their place on the detector, in this order: overscan levels off; other amps' crosstalk
 * off (all amps of a detector at once; that of pixels within `quietAdu` of the usual as the usual one); charge that
 * was deferred to the next row or column put back (first order: the square of the part deferred, 1e-6, is left); bias
 * off; linearity; gain; and, when `isFinished`, dark off and divided by the flat. All in single precision, 4e-3 ADU at
 * full scale. NaN where the flat is no response.
 *
 * @param roomBytes Work memory that a kernel beside needs while the pass runs.
 */
export function prepareSignature(task: SignatureTask, out: SignaturePlanes, roomBytes = 0): SignaturePass {
  const { bias, dark, flat } = task, { image, mask, inverse } = out;
  const planes = [bias, dark, flat].flatMap((plane) => (plane === null ? [] : [pixelsOf(plane)]));
  const kernels = kernelsOf(image, mask, ...(inverse === null ? [] : [inverse]), ...planes,
    ...task.amps.map(({ pixels }) => pixels)), rounded = roundedTask(task);
  return (kernels && prepareCompiled(kernels, rounded, out, roomBytes)) ?? signaturePassTwin(rounded, out);
}

/** All rows at once. */
export function removeSignature(task: SignatureTask, out: SignaturePlanes): SignatureCounts {
  const pass = prepareSignature(task, out);
  pass.run(0, task.rows);
  return pass.counts();
}

/** How an amp's signals are heard in others. */
export type Talk = Readonly<{
  /** Raw counts that are usual in each `USUAL_ROWS` rows. */
  usual: Uint16Array;
  /** Counts beside the usual one that all others may take for it; 0 for an amp that nobody hears. */
  reach: number;
}>;

/** A task as the kernels compute with it. */
export type RoundedTask = SignatureTask & Readonly<{
  talks: readonly Talk[];
  /** Of each amp's crosstalk: up to which loudness (0 … 2: 1, 4, 16 times the reach) the other's usual count serves. */
  quiets: readonly (readonly number[])[];
}>;

function roundedTask(task: SignatureTask): RoundedTask {
  const { fround } = Math, { biasMax, darkMax, responseMin, responseMax } = task.limits;
  const loudest = new Float64Array(task.amps.length);
  for (const { crosstalk } of task.amps) {
    for (const { index, part } of crosstalk) loudest[index] = Math.max(loudest[index], Math.abs(part));
  }
  return {
    ...task, darkSeconds: fround(task.darkSeconds), limits: {
      biasMax: greatestFloatTo(biasMax), darkMax: greatestFloatTo(darkMax), responseMin: leastFloatFrom(responseMin),
      responseMax: greatestFloatTo(responseMax),
    },
    amps: task.amps.map((amp) => ({
      ...amp, gain: fround(amp.gain), polynomial: [fround(amp.polynomial[0]), fround(amp.polynomial[1])],
      table: amp.table && { values: amp.table.values, perAdu: fround(amp.table.perAdu) },
      crosstalk: amp.crosstalk.map(({ index, part }) => ({ index, part: fround(part) })),
      serialCti: fround(amp.serialCti), parallelCti: fround(amp.parallelCti),
      suspectAdu: countFrom(amp.suspectAdu), saturationAdu: countFrom(amp.saturationAdu),
    })),
    talks: task.amps.map((amp, k) => talkOf(task, amp, loudest[k])),
    quiets: task.amps.map(({ crosstalk }) => crosstalk.map(({ index, part }) => {
      const share = Math.abs(part) / loudest[index];
      return share <= 1 / 16 ? 2 : share <= 1 / 4 ? 1 : 0;
    })),
  };
}

/** The least whole count that reaches a level. */
function countFrom(level: number): number {
  return Math.min(Math.max(Math.ceil(level), 0), NEVER_ADU);
}

/** Usual counts as medians of 32 pixels of the middle one of so many rows. */
function talkOf(task: SignatureTask, amp: SignatureAmp, loudest: number): Talk {
  const { rows, columns, rawWidth, rawX0, rawY0 } = task;
  const usual = new Uint16Array(Math.ceil(rows / USUAL_ROWS));
  if (loudest === 0) return { usual, reach: 0 };
  const step = Math.max(1, columns >> 5), sample = new Float32Array(Math.ceil(columns / step));
  for (let group = 0; group < usual.length; group++) {
    const y = Math.min(rows - 1, group * USUAL_ROWS + (USUAL_ROWS >> 1)), start = (rawY0 + y) * rawWidth + rawX0;
    for (let k = 0; k < sample.length; k++) sample[k] = amp.pixels[start + k * step];
    usual[group] = selectInPlace(sample, 0, sample.length, sample.length >> 1);
  }
  return { usual, reach: Math.min(Math.max(Math.floor(task.quietAdu / loudest), 1), 65535) };
}

/** Null when the work area has no room. */
function prepareCompiled(
  kernels: Kernels, task: RoundedTask, out: SignaturePlanes, roomBytes: number,
): SignaturePass | null {
  const { amps, rows, columns } = task, count = amps.length, stride = Math.ceil((columns + 1) / 16) * 64 + 64;
  const tables = amps.map(({ table }) => (table === null ? 0 : table.values.length));
  const entries = amps.map(({ crosstalk }) => crosstalk.length), groups = Math.ceil(rows / USUAL_ROWS);
  const loudBytes = count * LOUDNESSES * 4 * Math.ceil(columns / 512), usualBytes = 2 * groups;
  const work = layOutWork(kernels, {
    task: TASK_BYTES, limits: 16, amps: count * AMP_BYTES, levels: count * rows * 4, columnLevels: count * columns * 4,
    tables: 4 * sum(tables), entries: 12 * sum(entries), signals: (2 * count + 1) * stride,
    loud: loudBytes, line: stride, odd: stride, scaled: 3 * stride, ramps: count * stride, usual: count * usualBytes,
    room: roomBytes,
  });
  if (work === null) return null;
  const { buffer } = kernels.memory, view = new DataView(buffer), { bias, dark, flat } = task, { inverse } = out;
  const { biasMax, darkMax, responseMin, responseMax } = task.limits;
  new Float32Array(buffer, work.limits, 4).set([biasMax, darkMax, responseMin, responseMax]);
  new Uint8Array(buffer, work.loud, loudBytes).fill(0);
  let table = work.tables, entry = work.entries;
  amps.forEach((_, k) => {
    writeAmp(kernels, view, work.amps + k * AMP_BYTES, task, k, out.width, {
      levels: work.levels + k * rows * 4, columnLevels: work.columnLevels + k * columns * 4, table, entry,
      ramp: work.ramps + k * stride, usual: work.usual + k * usualBytes,
    });
    table += 4 * tables[k];
    entry += 12 * entries[k];
  });
  const words = [
    work.amps, count, task.rawWidth, columns, pointerTo(kernels, out.image), pointerTo(kernels, out.mask),
    pointerToFloats(bias), pointerToFloats(dark), 0, pointerToFloats(flat), work.limits, task.badBit, task.missingBits,
    task.saturatedBit, task.suspectBit, task.isFinished ? 1 : 0, work.signals, work.odd, work.loud, work.line, stride, 0, 0,
    inverse === null ? 0 : pointerTo(kernels, inverse),
  ];
  words.forEach((word, i) => view.setUint32(work.task + 4 * i, word, true));
  const wanted = [
    [bias, -biasMax, biasMax], [dark, -Infinity, darkMax], [flat, Math.max(responseMin, 0), responseMax],
  ] as const;
  wanted.forEach(([plane, least, most], k) => {
    writeScaled(view, work.task + 96 + k * SCALED_BYTES, plane, least, most, work.scaled + k * stride);
  });
  view.setFloat32(work.task + 32, task.darkSeconds, true);
  let marked = 0;
  const hasMissing = (): boolean => view.getUint32(work.task + 84, true) !== 0;
  return {
    hasMissing, room: work.room, run: (first, end) => {
      if (!holdsWork(kernels, work)) throw new Error('another kernel has taken the work area of this pass');
      for (const { y0, y1 } of bandsOf(kernels, first, end)) {
        marked += kernels.compiled.removeSignature(work.task, y0, y1);
      }
    },
    counts: () => ({
      marked, hasMissing: hasMissing(), amps: amps.map((_, k) => {
        const [saturatedCount, suspectCount] = new Int32Array(buffer, work.amps + k * AMP_BYTES + 72, 2);
        return { saturatedCount, suspectCount };
      }),
    }),
  };
}

type AmpPlaces = Readonly<{
  levels: number; columnLevels: number; table: number; entry: number; ramp: number; usual: number;
}>;

function writeAmp(
  kernels: Kernels, view: DataView, start: number, task: RoundedTask, k: number, width: number, places: AmpPlaces,
): void {
  const { buffer } = kernels.memory, { rows, columns } = task, amp = task.amps[k], talk = task.talks[k];
  new Float32Array(buffer, places.levels, rows).set(amp.levels.subarray(0, rows));
  new Uint16Array(buffer, places.usual, talk.usual.length).set(talk.usual);
  if (amp.columnLevels) new Float32Array(buffer, places.columnLevels, columns).set(amp.columnLevels);
  if (amp.table) new Float32Array(buffer, places.table, amp.table.values.length).set(amp.table.values);
  if (amp.serialCti !== 0 || amp.parallelCti !== 0) {
    new Float32Array(buffer, places.ramp, columns + 1).set(serialRamp(amp, task));
  }
  amp.crosstalk.forEach(({ index, part }, i) => {
    view.setInt32(places.entry + 12 * i, index, true);
    view.setFloat32(places.entry + 12 * i + 4, part, true);
    view.setInt32(places.entry + 12 * i + 8, task.quiets[k][i], true);
  });
  const firstRow = amp.flipY ? amp.y0 + rows - 1 : amp.y0, from = 2 * (task.rawY0 * task.rawWidth + task.rawX0);
  const whole: readonly (readonly [number, number])[] = [
    [0, pointerTo(kernels, amp.pixels) + from], [4, places.levels], [8, amp.columnLevels ? places.columnLevels : 0],
    [12, firstRow * width + amp.x0], [16, amp.flipY ? -width : width], [20, amp.flipX ? 1 : 0],
    [36, amp.table ? places.table : 0], [56, amp.suspectAdu], [60, amp.saturationAdu], [64, places.entry],
    [68, amp.crosstalk.length], [72, 0], [76, 0], [80, places.ramp], [92, task.rawX0 > 0 ? 1 : 0],
    [108, places.usual], [112, talk.reach], [116, amp.isDead ? 1 : 0],
  ];
  for (const [offset, value] of whole) view.setUint32(start + offset, value, true);
  const real: readonly (readonly [number, number])[] = [
    [24, amp.gain], [28, amp.polynomial[0]], [32, amp.polynomial[1]], [40, amp.table?.perAdu ?? 0],
    [44, (amp.table?.values.length ?? 1) - 1], [48, amp.serialCti], [52, amp.parallelCti],
  ];
  for (const [offset, value] of real) view.setFloat32(start + offset, value, true);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
