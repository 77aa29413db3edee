/** Known solar-system objects are taken first, and make no diaObject. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { associate } from '../../../engine/stages/associate/associate.ts';
import { associateConfig } from '../../../engine/stages/associate/config.ts';
import { matchBodies, type PredictedBody } from '../../../engine/stages/associate/knownBodies.ts';
import { ARCSEC, context, known, measured } from './rows.ts';

function body(ssObjectId: bigint, ra: number, dec: number): PredictedBody {
  return { ssObjectId, ra, dec, raErr: null, decErr: null, ra_dec_Cov: null };
}

test('a source within 1″ of a prediction is the body; one beyond, and one that fades, are not', () => {
  const inside = measured(0, 10, 0.9 * ARCSEC), outside = measured(1, 20, 1.1 * ARCSEC);
  const fading = measured(2, 30, 0, { psfFlux: -1000, isNegative: true });
  const matches = matchBodies([inside, outside, fading], [body(1n, 10, 0), body(2n, 20, 0), body(3n, 30, 0)],
    associateConfig);
  expect(matches).toEqual([{ diaSourceId: inside.diaSourceId, ssObjectId: 1n, distanceRank: 1 }]);
});

test('two bodies that pass each other keep their own sources, and ranks tell who lies nearer', () => {
  const first = measured(0, 10 + 0.1 * ARCSEC, 0), second = measured(1, 10 + 0.7 * ARCSEC, 0);
  const matches = matchBodies([first, second], [body(1n, 10, 0), body(2n, 10 + 0.45 * ARCSEC, 0)], associateConfig);
  expect(matches.map(({ ssObjectId, distanceRank }) => [ssObjectId, distanceRank])).toEqual([[1n, 1], [2n, 1]]);
  // The first body's source lies 0.5″ off, the second's 0.1″ from the first body: it is the nearer one to both.
  const crossed = [measured(0, 10 - 0.5 * ARCSEC, 0), measured(1, 10 + 0.1 * ARCSEC, 0)];
  const close = matchBodies(crossed, [body(1n, 10, 0), body(2n, 10 + 0.15 * ARCSEC, 0)], associateConfig);
  expect(close.map(({ ssObjectId, distanceRank }) => [ssObjectId, distanceRank])).toEqual([[1n, 2], [2n, 1]]);
});

test('a body takes its source from a diaObject at the same place, and makes none', () => {
  const moving = measured(0, 150, 2), star = measured(1, 150 + 5 * ARCSEC, 2), lone = measured(2, 151, 2);
  const result = associate([moving, star, lone], [known(7n, 150, 2), known(8n, 150 + 5 * ARCSEC, 2)], {
    ...context, bodies: new Map([[moving.diaSourceId, 99n]]),
  });
  expect(result.diaSources.map(({ row, isNew }) => [row.ssObjectId, row.diaObjectId, isNew]))
    .toEqual([[99n, null, false], [null, 8n, false], [null, lone.diaSourceId, true]]);
  expect(result.diaObjects.map(({ row }) => row.diaObjectId)).toEqual([8n, lone.diaSourceId]);
  expect(result.withheld).toEqual([]);
});

test('a flagged source that is a known body is not withheld', () => {
  const flagged = measured(0, 150, 2, { pixelFlags_saturatedCenter: true });
  expect(associate([flagged], [], { ...context, bodies: new Map([[flagged.diaSourceId, 99n]]) }).withheld).toEqual([]);
});

test('the order of sources and bodies does not matter', () => {
  const offset = fc.double({ min: -4, max: 4, noNaN: true }), place = fc.record({ east: offset, north: offset });
  fc.assert(fc.property(fc.array(place, { maxLength: 12 }), fc.array(place, { maxLength: 12 }), (sources, bodies) => {
    const rows = sources.map(({ east, north }, i) => measured(i, 10 + east * ARCSEC, north * ARCSEC));
    const predicted = bodies.map(({ east, north }, i) => body(BigInt(i + 1), 10 + east * ARCSEC, north * ARCSEC));
    const matches = matchBodies(rows, predicted, associateConfig);
    expect(matchBodies(rows.toReversed(), predicted.toReversed(), associateConfig)).toEqual(matches);
    expect(new Set(matches.map(({ ssObjectId }) => ssObjectId)).size).toBe(matches.length);
  }), { numRuns: 100, seed: 20261122 });
});
