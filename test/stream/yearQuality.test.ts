/** Association over a year, against the truth: sources on the right object, false merges, splits. */
import { expect, test } from 'vitest';
import { associateDetector } from '../../engine/stream/associateDetector.ts';
import { SkyState } from '../../engine/stream/skyState.ts';
import { decodeDiaObject, decodeDiaSource } from '../../schemas/avro.ts';
import { commitPosition } from '../../schemas/ids.ts';
import { NIGHT, yearOfVisits } from './yearOfVisits.ts';

// On the third sky two objects were once taken for their neighbours when they were young, and 1.1 % were wrong.
test.each([
  ['at the equator', 0, 20261120], ['at declination −75', -75, 20261120], ['with late neighbours', -75, 3010],
])(
  'a year of overlapping visits among neighbours at 1 to 5″ %s has 99.9 in 100 sources right', (_, dec, seed) => {
    const state = new SkyState();
    const visits = yearOfVisits(seed, 170, 50, dec);
    /** What each object was born of, and the first object of each thing. */
    const bornOf = new Map<bigint, number>(), firstObject = new Map<number, bigint>();
    const counts = { sources: 0, right: 0, merged: 0, split: 0 };
    visits.forEach(({ names, measurements, footprint, truth }, v) => {
      const { rows } = associateDetector(names, measurements, state, footprint, names.midpointMjdTai + 0.001);
      for (const payload of rows.diaSources) {
        const { diaSourceId, diaObjectId } = decodeDiaSource(payload);
        const thing = truth.get(diaSourceId);
        if (diaObjectId === null || thing === undefined) throw new Error(`source ${diaSourceId} has no object`);
        counts.sources++;
        if (diaObjectId === diaSourceId) {
          bornOf.set(diaObjectId, thing);
          if (firstObject.has(thing)) counts.split++;
          else firstObject.set(thing, diaObjectId);
        }
        if (bornOf.get(diaObjectId) !== thing) counts.merged++;
        if (firstObject.get(thing) === diaObjectId) counts.right++;
      }
      state.apply(commitPosition(NIGHT, v + 1), { rows: rows, corrected: null });
    });
    expect(counts.sources).toBeGreaterThan(10_000);
    const share = (count: number) => count / counts.sources;
    expect(share(counts.merged), `merged ${counts.merged} of ${counts.sources}`).toBeLessThanOrEqual(0.001);
    expect(share(counts.split), `split ${counts.split} of ${counts.sources}`).toBeLessThanOrEqual(0.001);
    expect(share(counts.right), `right ${counts.right} of ${counts.sources}`).toBeGreaterThanOrEqual(0.999);
    const rows = [...bornOf.keys()].map((id) => state.get(id)?.latest.row ?? decodeDiaObject(new Uint8Array()));
    expect(rows.reduce((sum, { nDiaSources }) => sum + nDiaSources, 0)).toBe(counts.sources);
  });
