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

/** Rows `first` … `end` − 1 of the readout, and the runs of detector rows whose neighbours are complete after them. */
export type Band = Readonly<{ first: number; end: number; runs: readonly (readonly [number, number])[] }>;

/** Bands of `size` rows of readout; each detector row is in one run. */
export function bandsOf(rows: Int32Array, size: number): Band[] {
  const last = rows.reduce((most, row) => Math.max(most, row), 0), { length } = rows;
  const runs: [number, number][][] = Array.from({ length: Math.floor(last / size) + 1 }, () => []);
  for (let y = 0; y < length; y++) {
    const complete = Math.max(rows[y], rows[Math.max(y - 1, 0)], rows[Math.min(y + 1, length - 1)]);
    const ofBand = runs[Math.floor(complete / size)], run = ofBand.at(-1);
    if (run !== undefined && run[1] === y) run[1]++; else ofBand.push([y, y + 1]);
  }
  return runs.map((ofBand, k) => ({ first: k * size, end: Math.min((k + 1) * size, last + 1), runs: ofBand }));
}
