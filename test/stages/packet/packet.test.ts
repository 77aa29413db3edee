import { describe, expect, test } from 'vitest';
import {
  buildPackets, type HistoryRow, type PacketHistory, type PacketInput,
} from '../../../engine/stages/packet/packet.ts';
import type { Cutouts } from '../../../engine/stages/packet/spool.ts';
import { mpcOrbitRow } from '../../../engine/ephemerides/orbit.ts';
import { parseOrbits } from '../../../engine/ephemerides/orbitFile.ts';
import {
  encodeDiaForcedSource, encodeDiaObject, encodeDiaSource, encodeMpcOrbit, encodeSsSource,
} from '../../../schemas/avro.ts';
import {
  newDiaForcedSource, newDiaObject, newDiaSource, type DiaForcedSource, type DiaObject, type DiaSource,
} from '../../../schemas/diaRows.ts';
import { decodeAlert } from '../../../schemas/packet.ts';
import { ALERT_SCHEMA_VERSION, recordFields } from '../../../schemas/alertSchema.ts';
import type { SsSource } from '../../../schemas/ssRows.ts';

const NOW = 61364;

function source(diaSourceId: bigint, diaObjectId: bigint | null, midpointMjdTai = NOW): DiaSource {
  return newDiaSource({
    diaSourceId, diaObjectId, visit: 2026112000042n, detector: 4, midpointMjdTai, band: 'r', ra: 150, dec: 2,
    x: 1, y: 2, bboxSize: 21, timeProcessedMjdTai: midpointMjdTai + 0.001, snr: 12.5, reliability: 0.75,
  });
}

function forced(diaForcedSourceId: bigint, diaObjectId: bigint, midpointMjdTai = NOW): DiaForcedSource {
  return newDiaForcedSource({
    diaForcedSourceId, diaObjectId, visit: 2026112000042n, detector: 4, midpointMjdTai, band: 'r', ra: 150, dec: 2,
    timeProcessedMjdTai: midpointMjdTai + 0.001, psfFlux: 3, psfFluxErr: 1,
  });
}

function object(diaObjectId: bigint): DiaObject {
  return newDiaObject({ diaObjectId, ra: 150, dec: 2, validityStartMjdTai: NOW, nDiaSources: 2 });
}

const asHistory = {
  sources: (rows: readonly DiaSource[]): HistoryRow<DiaSource>[] =>
    rows.map((row) => ({ row, payload: encodeDiaSource(row) })),
  forced: (rows: readonly DiaForcedSource[]): HistoryRow<DiaForcedSource>[] =>
    rows.map((row) => ({ row, payload: encodeDiaForcedSource(row) })),
};

function cutoutsOf(id: bigint): Cutouts {
  const n = Number(id);
  return { difference: Uint8Array.of(n, 1), science: Uint8Array.of(n, 2), template: Uint8Array.of(n, 3), neighbours: null };
}

/** A commit of a known object (7), a new one (31) and a withheld source between them. */
function commit(history: PacketHistory, more: Partial<PacketInput> = {}): PacketInput {
  const sources = [source(30n, 7n), source(31n, null), source(32n, 32n)];
  return {
    rows: {
      diaSources: sources.map((row) => encodeDiaSource(row)),
      diaObjects: [object(7n), object(32n)].map((row) => encodeDiaObject(row)),
      diaForcedSources: [forced(90n, 6n), forced(91n, 7n)].map((row) => encodeDiaForcedSource(row)),
      ssSources: [], mpcOrbits: [],
    },
    withheld: [{ index: 1 }],
    history: new Map([[7n, history]]),
    cutouts: new Map([30n, 32n].map((id) => [id, cutoutsOf(id)])),
    observationReason: 'field_survey', targetName: null, ...more,
  };
}

const history: PacketHistory = {
  diaSources: asHistory.sources([source(3n, 7n, NOW - 1), source(2n, 7n, NOW - 20), source(1n, 7n, NOW - 20)]),
  diaForcedSources: asHistory.forced([forced(11n, 7n, NOW - 2), forced(10n, 7n, NOW - 5)]),
};

/** An ssSource of which only names and place are told. */
function ssSource(diaSourceId: bigint, designation: string): SsSource {
  const told = { diaSourceId, ssObjectId: 5n, designation, eclLambda: 1, eclBeta: 2, galLon: 3, galLat: 4 };
  const names = recordFields('ssSource', ALERT_SCHEMA_VERSION).map(({ name }) => name);
  // Every field that is not told may be null.
  return { ...Object.fromEntries(names.map((name) => [name, null])), ...told } as SsSource;
}

describe('buildPackets', () => {
  test('makes one packet a source that is not withheld, in the order of the commit', () => {
    const packets = buildPackets(commit(history));
    expect(packets.map(({ bytes, ...header }) => { void bytes; return header; })).toEqual([
      { diaSourceId: 30n, diaObjectId: 7n, ra: 150, dec: 2, band: 'r', snr: 12.5, reliability: 0.75, neighbours: null },
      { diaSourceId: 32n, diaObjectId: 32n, ra: 150, dec: 2, band: 'r', snr: 12.5, reliability: 0.75, neighbours: null },
    ]);
    expect(packets.map(({ bytes }) => decodeAlert(bytes).diaSourceId)).toEqual([30n, 32n]);
  });

  test('a packet holds its rows, its history oldest first, this visit forced at its object, and its cutouts', () => {
    const alert = decodeAlert(buildPackets(commit(history))[0].bytes);
    expect(alert.diaSource).toEqual(source(30n, 7n));
    expect(alert.diaObject).toEqual(object(7n));
    expect(alert.prvDiaSources?.map((row) => row.diaSourceId)).toEqual([1n, 2n, 3n]);
    expect(alert.prvDiaForcedSources?.map((row) => row.diaForcedSourceId)).toEqual([10n, 11n, 91n]);
    expect([alert.observation_reason, alert.target_name, alert.ssSource, alert.mpc_orbits])
      .toEqual(['field_survey', null, null, null]);
    expect([alert.cutoutDifference, alert.cutoutScience, alert.cutoutTemplate].map((bytes) => [...bytes!]))
      .toEqual([[30, 1], [30, 2], [30, 3]]);
  });

  test('the first packet of a new object has no history, and says so with null', () => {
    const alert = decodeAlert(buildPackets(commit(history))[1].bytes);
    expect([alert.prvDiaSources, alert.prvDiaForcedSources]).toEqual([null, null]);
  });

  test('a solar-system object has its ssSource and its orbit, and neither diaObject nor history', () => {
    const orbits = parseOrbits('designation,epochMjdTt,q,e,i,node,argperi,timeOfPerihelionMjdTt\n'
      + '2026 AB,61000,2,0.1,5,1,2,60900\n').orbits;
    const input = commit(history);
    const body = { ...source(30n, null), ssObjectId: 5n };
    const rows = {
      ...input.rows, diaSources: [encodeDiaSource(body), ...input.rows.diaSources.slice(1)],
      ssSources: [encodeSsSource(ssSource(30n, '2026 AB'))], mpcOrbits: [encodeMpcOrbit(mpcOrbitRow(orbits[0]))],
    };
    const [packet] = buildPackets({ ...input, rows });
    expect(packet.diaObjectId).toBeNull();
    const alert = decodeAlert(packet.bytes);
    expect(alert.diaSource).toEqual(body);
    expect(alert.ssSource).toEqual(ssSource(30n, '2026 AB'));
    expect(alert.mpc_orbits).toEqual(mpcOrbitRow(orbits[0]));
    expect([alert.diaObject, alert.prvDiaSources, alert.prvDiaForcedSources]).toEqual([null, null, null]);
    expect(() => buildPackets({ ...input, rows: { ...rows, mpcOrbits: [] } })).toThrow('lacks the ssSource or orbit');
  });

  test('history reaches back 360 days and no further', () => {
    const old = {
      diaSources: asHistory.sources([source(1n, 7n, NOW - 360), source(2n, 7n, NOW - 360.001)]),
      diaForcedSources: asHistory.forced([forced(10n, 7n, NOW - 360.001)]),
    };
    const alert = decodeAlert(buildPackets(commit(old))[0].bytes);
    expect(alert.prvDiaSources?.map((row) => row.diaSourceId)).toEqual([1n]);
    expect(alert.prvDiaForcedSources?.map((row) => row.diaForcedSourceId)).toEqual([91n]);
  });

  test('the bytes do not depend on the order in which history is held', () => {
    const reversed = {
      diaSources: [...history.diaSources].reverse(), diaForcedSources: [...history.diaForcedSources].reverse(),
    };
    expect(buildPackets(commit(reversed))).toEqual(buildPackets(commit(history)));
  });

  test('a commit without cutouts makes packets with none', () => {
    const alert = decodeAlert(buildPackets(commit(history, { cutouts: null }))[0].bytes);
    expect([alert.cutoutDifference, alert.cutoutScience, alert.cutoutTemplate]).toEqual([null, null, null]);
  });

  test.each([
    ['a source to pack that has no diaObject',
      commit(history, { withheld: [] }), /diaSource 31 to be packed.*diaObject null/],
    ['a spool that lacks its cutouts', commit(history, { cutouts: new Map() }), /no cutouts of diaSource 30/],
    ['a history that holds the source itself',
      commit({ ...history, diaSources: asHistory.sources([source(30n, 7n)]) }), /before diaSource 30 holds it already/],
    ['a history that holds this visit forced',
      commit({ ...history, diaForcedSources: asHistory.forced([forced(91n, 7n)]) }), /Source 91 holds it already/],
  ])('refuses %s', (_, input, message) => {
    expect(() => buildPackets(input)).toThrow(message);
  });
});
