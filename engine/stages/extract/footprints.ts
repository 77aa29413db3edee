/** Pixels of footprints, one footprint after the other. */
import type { Footprints } from '../../kernels/footprints.ts';
import { REGION_FIELDS } from '../../kernels/label.ts';

/** A set of pixels. */
export type Pixels = Readonly<{
  /** y × width + x, in reading order unless they are of several sources. */
  indices: Int32Array;
  /** Filtered light of each. */
  light: Float32Array;
}>;

/** The pixels of the footprints that have `countMin` or more, in the footprints' order. */
export function pixelsOf(
  { regions, runs, rowStarts, light }: Footprints, width: number, countMin: number,
): Pixels[] {
  const next = new Int32Array(regions.count), starts: number[] = [];
  let total = 0;
  for (let n = 0; n < regions.count; n++) {
    const count = regions.boxes[REGION_FIELDS * n + 4];
    next[n] = count < countMin ? -1 : total;
    if (count < countMin) continue;
    starts.push(total);
    total += count;
  }
  const indices = new Int32Array(total), grouped = new Float32Array(total);
  for (let y = 0, from = 0; y + 1 < rowStarts.length; y++) {
    for (let run = 3 * rowStarts[y]; run < 3 * rowStarts[y + 1]; run += 3) {
      const x0 = runs[run], x1 = runs[run + 1], number = runs[run + 2];
      let to = next[number];
      if (to < 0) { from += x1 - x0; continue; }
      for (let index = y * width + x0; index < y * width + x1; index++) {
        indices[to] = index;
        grouped[to++] = light[from++];
      }
      next[number] = to;
    }
  }
  starts.push(total);
  return Array.from({ length: starts.length - 1 }, (_, k) => ({
    indices: indices.subarray(starts[k], starts[k + 1]), light: grouped.subarray(starts[k], starts[k + 1]),
  }));
}

/** Some of a set's pixels. @param chosen Their places in the set. */
export function choosePixels({ indices, light }: Pixels, chosen: Int32Array): Pixels {
  const some = { indices: new Int32Array(chosen.length), light: new Float32Array(chosen.length) };
  for (let k = 0; k < chosen.length; k++) {
    some.indices[k] = indices[chosen[k]];
    some.light[k] = light[chosen[k]];
  }
  return some;
}

/** All pixels of several sets. */
export function joinPixels(sets: readonly Pixels[]): Pixels {
  const count = sets.reduce((sum, { indices }) => sum + indices.length, 0);
  const joined = { indices: new Int32Array(count), light: new Float32Array(count) };
  let used = 0;
  for (const { indices, light } of sets) {
    joined.indices.set(indices, used);
    joined.light.set(light, used);
    used += indices.length;
  }
  return joined;
}
