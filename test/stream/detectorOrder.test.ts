import fc from 'fast-check';
import { expect, test } from 'vitest';
import { associateDetector } from '../../engine/stream/associateDetector.ts';
import { SkyState } from '../../engine/stream/skyState.ts';
import { asDetectorId, commitPosition } from '../../schemas/ids.ts';
import { NIGHT, yearOfVisits } from './yearOfVisits.ts';

test('the rows of a visit do not depend on the order in which its detectors are committed', () => {
  const [earlier, visit] = yearOfVisits(7, 60, 2, -40);
  const first = associateDetector(earlier.names, earlier.measurements, new SkyState(), earlier.footprint, 61000.1).rows;
  // Detectors as strips of declination; between two of them lie 3″ of no pixels.
  const stripDeg = 0.02, gapDeg = 3 / 3600;
  const strips = Array.from({ length: 8 }, (_, k) => {
    const from = -40.08 + k * stripDeg, detector = asDetectorId(k);
    const measured = visit.measurements.measured
      .filter(({ dec }) => dec >= from + gapDeg && dec < from + stripDeg)
      .map((source) => ({ ...source, detector }));
    return {
      names: { ...visit.names, detector }, measurements: { ...visit.measurements, measured },
      footprint: { raDeg: 0, decDeg: from + stripDeg / 2, radiusDeg: 0.2 },
    };
  });
  const committed = (order: readonly number[]) => {
    const state = new SkyState();
    state.apply(commitPosition(NIGHT, 1), { rows: first, corrected: null });
    const rows = new Map<number, string[]>();
    order.forEach((k, i) => {
      const { names, measurements, footprint } = strips[k];
      const result = associateDetector(names, measurements, state, footprint, 61005.1).rows;
      state.apply(commitPosition(NIGHT, 2 + i), { rows: result, corrected: null });
      rows.set(k, [...result.diaSources, ...result.diaObjects].map((row) => Buffer.from(row).toString('hex')));
    });
    return [...rows].sort(([a], [b]) => a - b);
  };
  const inOrder = committed(strips.map((_, k) => k));
  expect(inOrder.flatMap(([, rows]) => rows).length).toBeGreaterThan(100);
  fc.assert(fc.property(fc.shuffledSubarray(strips.map((_, k) => k), { minLength: strips.length }), (order) => {
    expect(committed(order)).toEqual(inOrder);
  }), { numRuns: 20, seed: 20261120 });
});
