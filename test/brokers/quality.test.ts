import { expect, test } from 'vitest';
import { judgeNight, type QualityReport } from '../../brokers/quality.ts';
import { encodeDiaObject, encodeDiaSource } from '../../schemas/avro.ts';
import { newDiaObject, type DiaSource } from '../../schemas/diaRows.ts';
import { assemblePacket } from '../../schemas/packet.ts';
import { mjdTaiOfDayObs } from '../../schemas/time.ts';
import { NIGHT, sampleId, sampleSource } from './sampleAlerts.ts';

const START = mjdTaiOfDayObs(NIGHT);

/** A FITS image of one pixel, as cutouts are. */
function cutout(): Buffer {
  const cards = ['SIMPLE  =                    T', 'BITPIX  =                  -32', 'NAXIS   =                    2',
    'NAXIS1  =                    1', 'NAXIS2  =                    1', 'END'];
  return Buffer.concat([Buffer.from(cards.map((card) => card.padEnd(80)).join('').padEnd(2880)), Buffer.alloc(2880)]);
}

function packet(counter: number, known: Partial<DiaSource> = {}, damaged: Partial<Parameters<typeof assemblePacket>[0]> = {}): Buffer {
  const source = sampleSource(counter, {
    diaObjectId: 5n, midpointMjdTai: START + 0.5, timeProcessedMjdTai: START + 0.6, snr: 12, psfFluxErr: 8, ...known,
  });
  const diaObject = newDiaObject({ diaObjectId: 5n, validityStartMjdTai: START, ra: 150, dec: -2.5, nDiaSources: 1 });
  return assemblePacket({
    diaSourceId: source.diaSourceId, observationReason: null, targetName: null, diaSource: encodeDiaSource(source),
    prvDiaSources: null, prvDiaForcedSources: null, diaObject: encodeDiaObject(diaObject), ssSource: null, mpcOrbit: null,
    cutoutDifference: cutout(), cutoutScience: cutout(), cutoutTemplate: cutout(), ...damaged,
  });
}

const judge = (packets: readonly Uint8Array[], latencySeconds: number | null = 3): Promise<QualityReport> =>
  judgeNight(NIGHT, packets.map((each) => ({ packet: each, latencySeconds })));
const failing = ({ checks }: QualityReport): readonly string[] => checks.filter(({ passes }) => !passes).map(({ name }) => name);

test('a sound night passes, with its rates and latencies', async () => {
  const report = await judge([1, 2, 3].map((counter) => packet(counter)));
  expect(failing(report)).toEqual([]);
  expect(report).toMatchObject({ alerts: 3, visits: 1, passes: true, perVisit: { most: 3 }, latencySeconds: { p98: 3 } });
  expect(report.measuredShare).toMatchObject({ snr: 1, reliability: 0 });
});

test.each([
  ['positionOutOfRange', { ra: 361 }], ['errorNotPositive', { psfFluxErr: 0 }], ['snrOutOfRange', { snr: -1 }],
  ['reliabilityOutOfRange', { reliability: 1.5 }], ['timeOutsideNight', { midpointMjdTai: START - 0.1 }],
  ['idsDisagree', { visit: 2026112000002n }],
] as const)('%s is told with an example', async (name, known) => {
  const report = await judge([packet(1), packet(2, known)]);
  expect(failing(report)).toEqual([name]);
  expect(report.checks.find((each) => each.name === name)).toMatchObject({ value: 1, example: String(sampleId(2)) });
});

test('doubles, damage, lost cutouts, histories out of order and slow alerts are told', async () => {
  expect(failing(await judge([packet(1), packet(1)]))).toEqual(['doubled']);
  expect(failing(await judge([packet(1), packet(2).subarray(0, 700)]))).toEqual(['undecodable']);
  expect(failing(await judge([packet(1, {}, { cutoutScience: null })]))).toEqual(['cutoutDamaged']);
  expect(failing(await judge([packet(1, {}, { cutoutScience: Buffer.from('no FITS') })]))).toEqual(['cutoutDamaged']);
  const later = encodeDiaSource(sampleSource(9, { midpointMjdTai: START + 0.9 }));
  expect(failing(await judge([packet(1, {}, { prvDiaSources: [later] })]))).toEqual(['historyOutOfOrder']);
  expect(failing(await judge([packet(1)], 61))).toEqual(['latencyP98Seconds']);
  expect(failing(await judge([packet(1)], null))).toEqual([]); // Not known is not late.
});
