import type { LinearityTable, SignatureAmp, SignatureCounts, SignatureTask } from '../signature.ts';

const { fround } = Math;

/** Twin of `removeSignature`, in single precision; the task's numbers are float32 already. */
export function removeSignatureTwin(
  task: SignatureTask, image: Float32Array, mask: Uint16Array, width: number,
): SignatureCounts {
  const { amps, rows, columns } = task, row = () => new Float32Array(columns + 1);
  const signals = amps.map(row);
  let clean = amps.map(row), before = amps.map(row), marked = 0, hasMissing = false;
  const counts = amps.map(() => ({ saturatedCount: 0, suspectCount: 0 }));
  const ramps = amps.map((amp) => serialRamp(amp, task));
  for (let y = 0; y < rows; y++) {
    amps.forEach((amp, k) => fillSignals(task, amp, y, signals[k]));
    amps.forEach(({ crosstalk }, k) => {
      clean[k].set(signals[k]);
      for (const { index, part } of crosstalk) {
        for (let x = 0; x <= columns; x++) clean[k][x] = clean[k][x] - fround(part * signals[index][x]);
      }
    });
    amps.forEach((amp, k) => {
      const pixels = restored(task, amp, y, ramps[k], clean[k], y > 0 ? before[k] : clean[k]);
      marked += storeRow(task, amp, y, pixels, counts[k], image, mask, width);
    });
    [clean, before] = [before, clean];
  }
  if (marked > 0) hasMissing = image.some((value, i) => Number.isNaN(value) && (mask[i] & task.missingBits) !== 0);
  return { marked, hasMissing, amps: counts };
}

/** Signals of a row, the pixel before the first imaging one first (0 where there is none). */
function fillSignals(
  { rawWidth, rawX0, rawY0, columns }: SignatureTask, amp: SignatureAmp, y: number, out: Float32Array,
): void {
  const start = (rawY0 + y) * rawWidth + rawX0 - 1;
  for (let x = 0; x <= columns; x++) {
    out[x] = amp.pixels[start + x] - amp.levels[y];
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
  counts: { saturatedCount: number; suspectCount: number },
  image: Float32Array, mask: Uint16Array, width: number,
): number {
  const { bias, columns, rows, rawWidth, rawX0, rawY0 } = task, [c2, c3] = amp.polynomial, step = amp.flipX ? -1 : 1;
  const dark = task.isFinished ? task.dark : null, flat = task.isFinished ? task.flat : null;
  let from = (rawY0 + y) * rawWidth + rawX0, marked = 0;
  let to = (amp.flipY ? amp.y0 + rows - 1 - y : amp.y0 + y) * width + (amp.flipX ? amp.x0 + columns - 1 : amp.x0);
  for (let x = 0; x < columns; x++, from++, to += step) {
    const raw = amp.pixels[from];
    let w = fround(pixels[x] - (bias === null ? 0 : bias[to])), marks = 0;
    if (c2 !== 0 || c3 !== 0) w = fround(w + fround(fround(w * w) * fround(c2 + fround(c3 * w))));
    if (amp.table !== null) w = fround(w + tableValue(amp.table, w));
    image[to] = finishedPixel(fround(w * amp.gain), dark, flat, to, task.darkSeconds);
    if (raw >= amp.suspectAdu) {
      if (raw >= amp.saturationAdu) { marks = task.saturatedBit; counts.saturatedCount++; } else {
        marks = task.suspectBit;
        counts.suspectCount++;
      }
    }
    const defect = defectBits(task, image[to], bias, dark, flat, to);
    if (defect !== 0) marked++;
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
  electrons: number, dark: Float32Array | null, flat: Float32Array | null, at: number, seconds: number,
): number {
  let value = electrons;
  if (dark !== null) value = fround(value - fround(dark[at] * seconds));
  if (flat !== null) value = flat[at] > 0 ? fround(value / flat[at]) : NaN;
  return value;
}

/** Bits of a pixel that its calibrations do not want. */
export function defectBits(
  { limits, badBit, missingBits }: Pick<SignatureTask, 'limits' | 'badBit' | 'missingBits'>, value: number,
  bias: Float32Array | null, dark: Float32Array | null, flat: Float32Array | null, at: number,
): number {
  if (Number.isNaN(value)) return missingBits;
  if (bias !== null && !(Math.abs(bias[at]) <= limits.biasMax)) return badBit;
  if (dark !== null && !(dark[at] <= limits.darkMax)) return badBit;
  if (flat === null) return 0;
  return flat[at] >= limits.responseMin && flat[at] <= limits.responseMax ? 0 : badBit;
}
