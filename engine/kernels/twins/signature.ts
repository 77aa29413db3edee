import type {
  LinearityTable, RoundedTask, SignatureAmp, SignaturePass, SignaturePlanes, SignatureTask,
} from '../signature.ts';
import { valueAt, type ReadPlane } from '../scaled.ts';

const { fround } = Math;

/** Rows of readout that share a usual count. */
export const USUAL_ROWS = 256;

/** Twin of `prepareSignature`, in single precision. */
export function signaturePassTwin(task: RoundedTask, out: SignaturePlanes): SignaturePass {
  const { amps, columns, rawWidth, rawX0, rawY0 } = task, row = () => new Float32Array(columns + 1);
  const ramps = amps.map((amp) => serialRamp(amp, task));
  const counts = amps.map(() => ({ saturatedCount: 0, suspectCount: 0 }));
  let signals = amps.map(row), before = amps.map(row), marked = 0, next = 0;
  const missing = { has: false };
  const runRow = (y: number, isNext: boolean): void => {
    const usuals = amps.map((amp, k) => fround(task.talks[k].usual[Math.floor(y / USUAL_ROWS)] - amp.levels[y]));
    const shifts = amps.map(({ crosstalk }) =>
      crosstalk.reduce((sum, { index, part }) => fround(sum + fround(part * usuals[index])), 0));
    amps.forEach((amp, k) => {
      fillSignals(task, amp, y, fround(amp.levels[y] + shifts[k]), signals[k]);
      amp.crosstalk.forEach(({ index, part }, i) => {
        const loud = loudnessOf(task, index, y), usual = task.talks[index].usual[Math.floor(y / USUAL_ROWS)];
        const start = (rawY0 + y) * rawWidth + rawX0;
        for (let x = 0; x < columns; x++) {
          if (loud[x >> 4] <= task.quiets[k][i]) continue;
          signals[k][x + 1] = signals[k][x + 1] - fround(part * (amps[index].pixels[start + x] - usual));
        }
      });
      const pixels = restored(task, amp, y, ramps[k], signals[k], isNext ? before[k] : signals[k]);
      marked += storeRow(task, amp, y, pixels, counts[k], out, missing);
    });
    [signals, before] = [before, signals];
  };
  return {
    room: null, counts: () => ({ marked, hasMissing: missing.has, amps: counts }), hasMissing: () => missing.has,
    run: (first, end) => {
      for (let y = first; y < end; y++) runRow(y, y > first || (first > 0 && next === first));
      next = end;
    },
  };
}

/** Of each 16 columns of an amp's row: how far their counts are from the usual one. */
function loudnessOf(task: RoundedTask, index: number, y: number): number[] {
  const { columns, rawWidth, rawX0, rawY0 } = task, { usual, reach } = task.talks[index];
  const start = (rawY0 + y) * rawWidth + rawX0, { pixels } = task.amps[index];
  return Array.from({ length: Math.ceil(columns / 16) }, (_, block) => {
    if (16 * block + 16 > columns) return 3;
    let farthest = 0;
    for (let x = start + 16 * block; x < start + 16 * block + 16; x++) {
      farthest = Math.max(farthest, Math.abs(pixels[x] - usual[Math.floor(y / USUAL_ROWS)]));
    }
    return farthest > 16 * reach ? 3 : farthest > 4 * reach ? 2 : farthest > reach ? 1 : 0;
  });
}

/** Signals of a row, the pixel before the first imaging one first (0 where there is none). */
function fillSignals(
  { rawWidth, rawX0, rawY0, columns }: SignatureTask, amp: SignatureAmp, y: number, level: number, out: Float32Array,
): void {
  const start = (rawY0 + y) * rawWidth + rawX0 - 1;
  for (let x = 0; x <= columns; x++) {
    out[x] = amp.pixels[start + x] - level;
    if (x > 0 && amp.columnLevels !== null) out[x] = out[x] - amp.columnLevels[x - 1];
  }
  if (rawX0 === 0) out[0] = 0;
}

/** Part of its charge that each pixel's packet leaves behind, from the pixel before the first imaging one on. */
export function serialRamp({ serialCti }: SignatureAmp, { rawX0, columns }: SignatureTask): Float32Array {
  return Float32Array.from({ length: columns + 1 }, (_, x) => serialCti * (rawX0 + x));
}

/** Imaging pixels with the charge that came late put back. */
function restored(
  { columns }: SignatureTask, { serialCti, parallelCti }: SignatureAmp, y: number, ramp: Float32Array,
  row: Float32Array, before: Float32Array,
): Float32Array {
  if (serialCti === 0 && parallelCti === 0) return row.subarray(1);
  const out = new Float32Array(columns), kept = fround(1 + fround(parallelCti * (y + 1)));
  const deferred = fround(parallelCti * y);
  for (let x = 0; x < columns; x++) {
    const a = fround(row[x + 1] * fround(ramp[x + 1] + kept)), b = fround(before[x + 1] * deferred);
    out[x] = fround(a - b) - fround(row[x] * ramp[x]);
  }
  return out;
}

function storeRow(
  task: SignatureTask, amp: SignatureAmp, y: number, pixels: Float32Array,
  counts: { saturatedCount: number; suspectCount: number }, { image, mask, inverse, width }: SignaturePlanes,
  missing: { has: boolean },
): number {
  const { bias, columns, rows, rawWidth, rawX0, rawY0 } = task, [c2, c3] = amp.polynomial, step = amp.flipX ? -1 : 1;
  const dark = task.isFinished ? task.dark : null, flat = task.isFinished ? task.flat : null;
  let from = (rawY0 + y) * rawWidth + rawX0, marked = 0;
  let to = (amp.flipY ? amp.y0 + rows - 1 - y : amp.y0 + y) * width + (amp.flipX ? amp.x0 + columns - 1 : amp.x0);
  for (let x = 0; x < columns; x++, from++, to += step) {
    const raw = amp.pixels[from];
    let w = fround(pixels[x] - (bias === null ? 0 : valueAt(bias, to))), marks = 0;
    if (c2 !== 0 || c3 !== 0) w = fround(w + fround(fround(w * w) * fround(c2 + fround(c3 * w))));
    if (amp.table !== null) w = fround(w + tableValue(amp.table, w));
    image[to] = amp.isDead ? NaN : finishedPixel(fround(w * amp.gain), dark, flat, to, task.darkSeconds);
    if (!amp.isDead && flat !== null && inverse !== null) inverse[to] = 1 / valueAt(flat, to);
    if (raw >= amp.suspectAdu) {
      if (raw >= amp.saturationAdu) { marks = task.saturatedBit; counts.saturatedCount++; } else {
        marks = task.suspectBit;
        counts.suspectCount++;
      }
    }
    const defect = defectBits(task, image[to], bias, dark, flat, to);
    if (defect !== 0 && !amp.isDead) marked++;
    if (defect === task.missingBits) missing.has = true;
    mask[to] = marks | defect;
  }
  return marked;
}

function tableValue({ values, perAdu }: LinearityTable, signal: number): number {
  const last = values.length - 1, place = Math.min(Math.max(fround(signal * perAdu), 0), last);
  const node = Math.min(Math.trunc(place) || 0, last - 1);
  return fround(values[node] + fround(fround(place - node) * fround(values[node + 1] - values[node])));
}

/** Dark off, flat divided. Float32 numbers in and out. */
export function finishedPixel(
  electrons: number, dark: ReadPlane | null, flat: ReadPlane | null, at: number, seconds: number,
): number {
  let value = electrons;
  if (dark !== null) value = fround(value - fround(valueAt(dark, at) * seconds));
  if (flat === null) return value;
  const response = valueAt(flat, at);
  return response > 0 ? fround(value * fround(1 / response)) : NaN;
}

/** Bits of a pixel that its calibrations do not want. */
export function defectBits(
  { limits, badBit, missingBits }: Pick<SignatureTask, 'limits' | 'badBit' | 'missingBits'>, value: number,
  bias: ReadPlane | null, dark: ReadPlane | null, flat: ReadPlane | null, at: number,
): number {
  if (Number.isNaN(value)) return missingBits;
  if (bias !== null && !(Math.abs(valueAt(bias, at)) <= limits.biasMax)) return badBit;
  if (dark !== null && !(valueAt(dark, at) <= limits.darkMax)) return badBit;
  if (flat === null) return 0;
  const response = valueAt(flat, at);
  return response >= limits.responseMin && response <= limits.responseMax ? 0 : badBit;
}
