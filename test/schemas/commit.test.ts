/** Entries of COMMITS: read back as written, and those of the schema before still readable. */
import { readFileSync } from 'node:fs';
import avro from 'avsc';
import { expect, test } from 'vitest';
import {
  decodeCommitEntry, decodeRows, encodeCommitEntry, encodeRows, type AssociatedRowBytes, type CommitEntry,
} from '../../schemas/commit.ts';
import { asDayObs, asDetectorId, BEFORE_EVERYTHING, exposureOf, visitOf } from '../../schemas/ids.ts';

const night = asDayObs(20261001);
const ROWS: AssociatedRowBytes = {
  diaSources: [Buffer.of(1, 2)], diaObjects: [], diaForcedSources: [Buffer.of(3)], ssSources: [], mpcOrbits: [],
};

function entryOf(rows: AssociatedRowBytes | null): CommitEntry {
  return { instrument: 'minicam', dayObs: night, deferred: null, corrected: null, sealed: null, associated: {
    group: 'g', visit: visitOf(night, 1), exposure: exposureOf(night, 1), detector: asDetectorId(3), attempt: 0,
    band: 'r', physicalFilter: 'r_mini', exposureSeconds: 30, midpointMjdTai: 61315, readoutEndedMs: 1,
    timeProcessedMjdTai: 61315.1, knownPosition: BEFORE_EVERYTHING, outcome: 'alerts', inputs: { raw: 'ab' },
    detected: 1, droppedByReason: {}, withheld: [], summary: {}, diaSourceCount: 1, rows, rowsSpool: null,
    cutoutSpool: null,
  } };
}

/** The type of the schema before, as its file has it. */
function typeOf(version: string): avro.Type {
  const path = new URL(`../../schemas/commit/${version}/entry.avsc`, import.meta.url);
  return avro.Type.forSchema(JSON.parse(readFileSync(path, 'utf8')) as avro.Schema);
}

test('an entry and its rows come back as they were, with and without solar-system rows', () => {
  const bodies = { ...ROWS, ssSources: [Buffer.of(9)], mpcOrbits: [Buffer.of(8), Buffer.of(7)] };
  for (const rows of [ROWS, bodies, null]) {
    expect(decodeCommitEntry(encodeCommitEntry(entryOf(rows)))).toEqual(entryOf(rows));
    if (rows) expect(decodeRows(encodeRows(rows))).toEqual(rows);
  }
});

test('entries and rows of schema 1.0 are read, and have no solar-system rows', () => {
  const bytes = typeOf('1/0').toBuffer(entryOf(ROWS));
  expect(decodeCommitEntry(bytes)).toEqual(entryOf(ROWS));
  const { ssSources: _s, mpcOrbits: _o, ...three } = ROWS;
  const array = { type: 'array', items: 'bytes' };
  const old = avro.Type.forSchema({ type: 'record', name: 'Rows', fields: [
    { name: 'diaSources', type: array }, { name: 'diaObjects', type: array }, { name: 'diaForcedSources', type: array },
  ] } as avro.Schema);
  expect(decodeRows(old.toBuffer(three))).toEqual(ROWS);
});

test('what was pointed at, and why, comes back with its entry', () => {
  const entry = entryOf(ROWS), observation = { target: 'ELAIS-S1', reason: null };
  if (!entry.associated) throw new Error('it is an association');
  const told: CommitEntry = { ...entry, associated: { ...entry.associated, observation } };
  expect(decodeCommitEntry(encodeCommitEntry(told))).toEqual(told);
  expect(decodeCommitEntry(encodeCommitEntry(entry)).associated).not.toHaveProperty('observation');
});

test('a correction comes back as it was, with ids beyond 2⁵³', () => {
  const entry: CommitEntry = { instrument: 'minicam', dayObs: night, associated: null, deferred: null, sealed: null,
    corrected: {
      kind: 'merged', reason: 'two of one: "0.3″"', correctedMjdTai: 61315.5, toDiaObjectId: 3443564869490573312n,
      toSsObjectId: null, closedDiaObjectIds: [2n ** 63n - 1n], diaSources: [Buffer.of(1)],
      diaObjects: [Buffer.of(2, 3)],
      moved: [{ diaSourceId: 3443564869490573313n, fromDiaObjectId: null }], ssSources: [], mpcOrbits: [Buffer.of(4)],
      diaForcedSources: [Buffer.of(5)], precoveredDiaObjectIds: [3443564869490573312n],
    } };
  expect(decodeCommitEntry(encodeCommitEntry(entry))).toEqual(entry);
});

test('a correction of schema 1.2, which knows no late forced sources, is read as having none', () => {
  const corrected = {
    kind: 'closed', reason: 'an artefact', correctedMjdTai: 61315.5, toDiaObjectId: null, toSsObjectId: null,
    moved: [], closedDiaObjectIds: ['7'], diaSources: [], diaObjects: [], ssSources: [], mpcOrbits: [],
  };
  const bytes = typeOf('1/2').toBuffer({
    instrument: 'minicam', dayObs: night, associated: null, deferred: null, sealed: null, solarSystem: null, corrected });
  expect(decodeCommitEntry(bytes).corrected).toEqual({
    ...corrected, closedDiaObjectIds: [7n], diaForcedSources: [], precoveredDiaObjectIds: [] });
});

test('entries of schema 1.1 are read, with their solar-system rows', () => {
  const { ssSources, mpcOrbits, ...rows } = { ...ROWS, ssSources: [Buffer.of(9)], mpcOrbits: [Buffer.of(8)] };
  const { associated, ...facts } = entryOf(ROWS);
  const bytes = typeOf('1/1').toBuffer({
    ...facts, associated: { ...associated, rows }, solarSystem: { ssSources, mpcOrbits } });
  expect(decodeCommitEntry(bytes)).toEqual(entryOf({ ...rows, ssSources, mpcOrbits }));
});

test('a cut or lengthened entry is refused with its length', () => {
  const bytes = encodeCommitEntry(entryOf(ROWS));
  expect(() => decodeCommitEntry(bytes.subarray(0, bytes.length - 4))).toThrow(`entry of ${bytes.length - 4} bytes`);
  // The last three bytes are the nulls of fields that came with 1.1, 1.2 and 1.3: without them it says the same.
  expect(decodeCommitEntry(bytes.subarray(0, bytes.length - 3))).toEqual(entryOf(ROWS));
  expect(() => decodeCommitEntry(Buffer.concat([bytes, Buffer.of(1)]))).toThrow('cannot be decoded');
});
