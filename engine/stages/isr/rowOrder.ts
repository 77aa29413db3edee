/** In which order a detector's rows come as its amps are read, so that what needs a row can follow at once. */
import type { Detector } from '../../../schemas/camera.ts';

/**
 * The readout row of all amps that lie in each row of the detector.
 *
 * @returns [height]; null where amps leave pixels free or reach one row of the detector at different times.
 */
export function readoutRows({ amps, width, height }: Detector): Int32Array | null {
  const rows = new Int32Array(height).fill(-1), covered = new Int32Array(height);
  for (const { detectorBox: { x0, x1, y0, y1 }, flipY } of amps) {
    for (let y = y0; y < y1; y++) {
      const row = flipY ? y1 - 1 - y : y - y0;
      if (rows[y] >= 0 && rows[y] !== row) return null;
      rows[y] = row;
      covered[y] += x1 - x0;
    }
  }
  return covered.every((columns) => columns === width) ? rows : null;
}

/** Detector rows `[first, end)`. */
export type Run = readonly [number, number];

/**
 * Rows `first` … `end` − 1 of the readout, and runs of detector rows: `own` are theirs, `runs[k]` those all of whose
 * neighbours up to k + 1 rows away are there after this band and were not before.
 */
export type Band = Readonly<{ first: number; end: number; own: readonly Run[]; runs: readonly (readonly Run[])[] }>;

/** Bands of `size` rows of readout; each detector row is in one run of its own and of each of the `reach` distances. */
export function bandsOf(rows: Int32Array, size: number, reach = 1): Band[] {
  const last = rows.reduce((most, row) => Math.max(most, row), 0), { length } = rows;
  const bands = Array.from({ length: Math.floor(last / size) + 1 }, (_, k) => {
    const [own, ...runs] = Array.from({ length: 1 + reach }, (): [number, number][] => []);
    return { first: k * size, end: Math.min((k + 1) * size, last + 1), own, runs };
  });
  let complete = rows;
  for (let distance = 0; distance <= reach; distance++) {
    for (let y = 0; y < length; y++) {
      const band = bands[Math.floor(complete[y] / size)], runs = distance === 0 ? band.own : band.runs[distance - 1];
      const run = runs.at(-1);
      if (run !== undefined && run[1] === y) run[1]++; else runs.push([y, y + 1]);
    }
    const before = complete;
    complete = before.map((row, y) => Math.max(row, before[Math.max(y - 1, 0)], before[Math.min(y + 1, length - 1)]));
  }
  return bands;
}

/** Whether rows beside each other on the detector are read at most one after another. */
export function isContinuous(rows: Int32Array): boolean {
  return rows.every((row, y) => y === 0 || Math.abs(row - rows[y - 1]) <= 1);
}
