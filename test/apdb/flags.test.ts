import { expect, test } from 'vitest';
import { DIA_SOURCE_FLAGS, flagsOf } from '../../apdb/flags.ts';
import { recordFields } from '../../schemas/alertSchema.ts';
import { newDiaSource } from '../../schemas/diaRows.ts';

test('the flags are the boolean fields of alert schema 11.0, in its order', () => {
  const booleans = recordFields('diaSource', '11.0').filter(({ kind }) => kind === 'boolean').map(({ name }) => name);
  expect(DIA_SOURCE_FLAGS).toEqual(booleans);
  expect(DIA_SOURCE_FLAGS.length).toBeLessThan(53); // Exact as a number.
});

test('a bit is set for true alone', () => {
  const known = {
    diaSourceId: 1n, visit: 1n, detector: 1, midpointMjdTai: 61000, ra: 0, dec: 0, x: 0, y: 0,
    timeProcessedMjdTai: 61000, bboxSize: 1,
  };
  expect(flagsOf(newDiaSource(known))).toBe(0);
  expect(flagsOf(newDiaSource({ ...known, centroid_flag: true, isNegative: false, glint_trail: true })))
    .toBe(1 + 2 ** (DIA_SOURCE_FLAGS.length - 1));
});
