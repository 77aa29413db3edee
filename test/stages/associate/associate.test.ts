import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { associate, type AssociationResult } from '../../../engine/stages/associate/associate.ts';
import { associateConfig } from '../../../engine/stages/associate/config.ts';
import type { KnownDiaObject } from '../../../engine/stages/associate/features.ts';
import { decodeDiaForcedSource, decodeDiaObject, decodeDiaSource } from '../../../schemas/avro.ts';
import { partsOfDiaSourceId } from '../../../schemas/ids.ts';
import { ARCSEC, context, forcedCurve, known, measured, point } from './rows.ts';

function objectIds(result: AssociationResult): (bigint | null)[] {
  return result.diaSources.map(({ row }) => row.diaObjectId);
}

function withoutDec(object: KnownDiaObject): KnownDiaObject {
  return { ...object, place: { ...object.place, dec: NaN } };
}

describe('associate', () => {
  test('gives a source within 1″ to the known diaObject and makes a new one of another', () => {
    const near = measured(0, 150 + 0.5 * ARCSEC, 2), far = measured(1, 150 + 30 * ARCSEC, 2);
    const result = associate([near, far], [known(7n, 150, 2)], context);
    expect(objectIds(result)).toEqual([7n, far.diaSourceId]);
    expect(result.diaSources.map(({ isNew }) => isNew)).toEqual([false, true]);
    expect(result.diaObjects.map(({ row }) => [row.diaObjectId, row.nDiaSources]))
      .toEqual([[7n, 2], [far.diaSourceId, 1]]);
    expect(result.withheld).toEqual([]);
  });

  test('gives a blend to the nearer diaObject', () => {
    const source = measured(0, 150 + 0.4 * ARCSEC, 2);
    expect(objectIds(associate([source], [known(7n, 150, 2), known(8n, 150 + 1 * ARCSEC, 2)], context))).toEqual([7n]);
  });

  test('takes the cheapest pairs together where nearest first would tear them apart', () => {
    // Objects 7 and 8 at 0 and 0.5″, sources at 0.45 and 0.9″; C = 0.02 arcsec². Nearest first pairs 8 with the first
    // (0.05″) and 7 with the second (0.9″): χ² = 0.1 + 40.5. The other way, 0.45 and 0.4″: χ² = 10.1 + 8.
    const first = measured(0, 150 + 0.45 * ARCSEC, 0), second = measured(1, 150 + 0.9 * ARCSEC, 0);
    const result = associate([first, second], [known(7n, 150, 0), known(8n, 150 + 0.5 * ARCSEC, 0)], context);
    expect(objectIds(result)).toEqual([7n, 8n]);
  });

  test('gives each source at most one diaObject and each diaObject at most one source', () => {
    const sources = [measured(0, 150, 0), measured(1, 150 + 0.1 * ARCSEC, 0), measured(2, 150 + 0.2 * ARCSEC, 0)];
    const result = associate(sources, [known(7n, 150, 0)], context);
    expect(objectIds(result)).toEqual([7n, sources[1].diaSourceId, sources[2].diaSourceId]);
  });

  test.each([
    'centroid_flag', 'pixelFlags_crCenter', 'pixelFlags_nodataCenter', 'pixelFlags_interpolatedCenter',
    'pixelFlags_saturatedCenter', 'pixelFlags_suspectCenter', 'pixelFlags_streakCenter', 'glint_trail',
  ] as const)('keeps and withholds a lone source with %s, but matches it to a known diaObject', (flag) => {
    const lone = measured(0, 150, 2, { [flag]: true }), matched = measured(1, 151, 2, { [flag]: true });
    const result = associate([lone, matched], [known(7n, 151, 2)], context);
    expect(objectIds(result)).toEqual([null, 7n]);
    expect(result.withheld).toEqual([{ index: 0, diaSourceId: lone.diaSourceId, reason: `noObject:${flag}` }]);
    expect(result.diaObjects.length).toBe(1);
  });

  test('withholds a lone source of measured reliability below 0.1 only', () => {
    const sources = [0.05, 0.1, null].map((reliability, i) => measured(i, 150 + i, 2, { reliability }));
    const result = associate(sources, [], context);
    expect(result.withheld.map(({ index, reason }) => [index, reason])).toEqual([[0, 'noObject:reliability']]);
  });

  test('warns of more new diaObjects than the limit and loses none', () => {
    const sources = Array.from({ length: 4 }, (_, i) => measured(i, 150 + i, 2));
    const config = { ...associateConfig, newObjectsWarningCount: 3 };
    expect(associate(sources, [], context, config).warnings)
      .toEqual([{ code: 'NEW_OBJECTS_MANY', newObjects: 4, newObjectsWarningCount: 3 }]);
    expect(associate(sources, [], context, config).diaObjects.length).toBe(4);
    expect(associate(sources.slice(1), [], context, config).warnings).toEqual([]);
  });

  test('rows equal what their payloads decode to', () => {
    const forced = [{
      diaObjectId: 7n, ra: 150, dec: 2, psfFlux: 0.1, psfFluxErr: 0.3, scienceFlux: 1 / 3, scienceFluxErr: null,
    }];
    const sources = [measured(0, 150, 2, { psfFlux: 0.1 }), measured(1, 160, 2, { psfFlux: 1 / 3 })];
    const result = associate(sources, [known(7n, 150, 2)], { ...context, forced });
    for (const { row, payload } of result.diaSources) expect(decodeDiaSource(payload)).toEqual(row);
    for (const { row, payload } of result.diaObjects) expect(decodeDiaObject(payload)).toEqual(row);
    for (const { row, payload } of result.diaForcedSources) expect(decodeDiaForcedSource(payload)).toEqual(row);
    expect(result.diaSources[0].row.timeProcessedMjdTai).toBe(context.timeProcessedMjdTai);
  });

  test('numbers forced rows by their diaObjects above all diaSources, and counts them in the forced mean', () => {
    const forcedAt = (diaObjectId: bigint, psfFlux: number) =>
      ({ diaObjectId, ra: 150, dec: 2, psfFlux, psfFluxErr: 1, scienceFlux: null, scienceFluxErr: null });
    const object = {
      ...known(9n, 150, 2),
      forced: forcedCurve([{ diaForcedSourceId: 1n, midpointMjdTai: 61300, band: 'r', psfFlux: 10, psfFluxErr: 1 }]),
    };
    const forced = [forcedAt(9n, 20), forcedAt(7n, 5)];
    const result = associate([measured(0, 150, 2)], [object], { ...context, forced });
    const { visit, detector } = context;
    const ids = result.diaForcedSources.map(({ row }) => [row.diaObjectId, partsOfDiaSourceId(row.diaForcedSourceId)]);
    expect(ids).toEqual([[7n, { visit, detector, counter: 2 ** 23 }], [9n, { visit, detector, counter: 2 ** 23 + 1 }]]);
    expect(result.diaObjects[0].row.r_fpFluxMean).toBe(15);
  });

  test.each([
    ['a source without a position', () => associate([measured(0, NaN, 2)], [], context), /diaSource \d+ .*: ra NaN/],
    ['a source beyond the pole', () => associate([measured(0, 1, 90.1)], [], context), /has no position/],
    ['a source with a NaN error', () => associate([measured(0, 1, 2, { raErr: NaN })], [], context), /± NaN/],
    ['an object without a position', () => associate([], [withoutDec(known(7n, 1, 2))], context), /diaObject 7 has no/],
    ['an id that comes twice', () => associate([measured(0, 1, 2), measured(0, 3, 2)], [], context), /comes twice/],
    ['a source of another visit', () => associate([measured(0, 1, 2, { visit: 5n })], [], context), /is of visit 5/],
    ['a detector associated before', () => associate(
      [measured(0, 1, 2)], [known(measured(0, 1, 2).diaSourceId, 50, 2)], context,
    ), /exists already/],
  ])('refuses %s', (_, attempt, message) => {
    expect(attempt).toThrow(message);
  });

  test('gives the same bytes in whatever order sources, objects and forced fluxes come', () => {
    // A field of 4″ across RA 0, so that most sources compete; positions on a grid of 0.2″ make exact ties common.
    const place = fc.integer({ min: -10, max: 10 });
    const position = fc.tuple(place, place)
      .map(([i, j]) => ({ ra: (i * 0.2 * ARCSEC + 360) % 360, dec: j * 0.2 * ARCSEC }));
    fc.assert(fc.property(
      fc.array(position, { maxLength: 15 }), fc.array(position, { maxLength: 15 }), fc.infiniteStream(fc.nat()),
      (sourcePlaces, objectPlaces, order) => {
        const sources = sourcePlaces.map(({ ra, dec }, i) => measured(i, ra, dec, { glint_trail: i % 4 === 0 }));
        const objects = objectPlaces.map(({ ra, dec }, i) =>
          known(BigInt(i + 1), ra, dec, [point(BigInt(2 * i), 61000, 1, 1), point(BigInt(2 * i + 1), 61000, 3, 2)]));
        const forced = objects.map(({ last }) => ({
          diaObjectId: last.diaObjectId, ra: last.ra, dec: last.dec,
          psfFlux: 1, psfFluxErr: 1, scienceFlux: 1, scienceFluxErr: 1,
        }));
        const shuffle = <T>(list: readonly T[]): T[] => list.map((item) => [order.next().value, item] as const)
          .sort((a, b) => a[0] - b[0]).map(([, item]) => item);
        const result = associate(sources, objects, { ...context, forced });
        const shuffled = associate(shuffle(sources), shuffle(objects), { ...context, forced: shuffle(forced) });
        expect(shuffled).toEqual(result);
        expect(result.diaObjects.length + result.withheld.length).toBe(sources.length);
        for (const { index, diaSourceId } of result.withheld) {
          expect(result.diaSources[index].row).toMatchObject({ diaSourceId, diaObjectId: null });
        }
      },
    ), { numRuns: 200, seed: 20261120 });
  });
});
