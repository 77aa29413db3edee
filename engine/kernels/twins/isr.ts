import type { AmpCounts, AmpTask, FlatLimits, VarianceRow } from '../isr.ts';

const { fround, sqrt } = Math;

/** Twin of `assembleAmp`. */
export function assembleAmpTwin(task: AmpTask, image: Float32Array, mask: Uint16Array, width: number): AmpCounts {
  const { pixels, columns, rows, gain, levels, bias, suspectAdu, saturationAdu } = task, step = task.flipX ? -1 : 1;
  let saturatedCount = 0, suspectCount = 0, lowestAdu = 65535, highestAdu = 0;
  for (let i = 0; i < rows; i++) {
    let from = (task.rawY0 + i) * task.rawWidth + task.rawX0;
    let to = (task.flipY ? task.y0 + rows - 1 - i : task.y0 + i) * width
      + (task.flipX ? task.x0 + columns - 1 : task.x0);
    for (let j = 0; j < columns; j++, from++, to += step) {
      const counts = pixels[from];
      if (counts < lowestAdu) lowestAdu = counts;
      if (counts > highestAdu) highestAdu = counts;
      let bits = 0;
      if (counts >= suspectAdu) {
        if (counts >= saturationAdu) { bits = task.saturatedBit; saturatedCount++; } else {
          bits = task.suspectBit; suspectCount++;
        }
      }
      const electrons = (counts - levels[i] - (bias === null ? 0 : bias[to])) * gain;
      image[to] = electrons;
      mask[to] = electrons === electrons ? bits : bits | task.missingBits;
    }
  }
  return { saturatedCount, suspectCount, lowestAdu, highestAdu };
}

/** Twin of `divideByFlat`. */
export function divideByFlatTwin(
  image: Float32Array, mask: Uint16Array, flat: Float32Array,
  { responseMin, responseMax, badBit, missingBits }: FlatLimits,
): number {
  let marked = 0;
  for (let i = 0; i < image.length; i++) {
    const response = flat[i], isLit = response > 0;
    image[i] = isLit ? image[i] / response : NaN;
    if (isLit && response >= responseMin && response <= responseMax) continue;
    mask[i] |= isLit ? badBit : missingBits;
    marked++;
  }
  return marked;
}

/** Twin of `excessSums`, in single precision. */
export function excessSumsTwin(image: Float32Array, start: number, sky: Float32Array, out: Float32Array): void {
  const last = out.length - 1;
  const excess = (x: number): number => {
    const value = fround(image[start + x] - sky[x]);
    return value === value ? value : 0;
  };
  for (let x = 0; x <= last; x++) {
    const here = excess(x), before = excess(x > 0 ? x - 1 : 0), after = excess(x < last ? x + 1 : last);
    out[x] = fround(before + fround(here + here)) + after;
  }
}

/** Twin of `varianceRow`, in single precision. */
export function varianceRowTwin(row: VarianceRow): void {
  const { image, variance, flat, start, sky, below, here, above, readVariance } = row;
  const bright = fround(row.brightSigma), source = fround(row.smoothSigma);
  for (let x = 0, i = start; x < sky.length; x++, i++) {
    const response = flat === null ? 1 : flat[i], level = sky[x] > 0 ? sky[x] : 0, value = image[i];
    const sigma = fround(sqrt(fround(level + readVariance[x])));
    const smooth = fround(fround(fround(below[x] + fround(here[x] + here[x])) + above[x]) * 0.0625);
    let expected = level;
    if (fround(value - sky[x]) > fround(bright * sigma)) expected = value;
    else if (smooth > fround(source * sigma)) expected = fround(level + smooth);
    variance[i] = value === value ? fround(expected + fround(readVariance[x] / response)) / response : NaN;
  }
}
