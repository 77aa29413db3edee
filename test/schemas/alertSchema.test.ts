import { existsSync, readFileSync } from 'node:fs';
import avro from 'avsc';
import { describe, expect, test } from 'vitest';
import {
  ALERT_SCHEMA_ID, alertRecordSchema, alertSchemaId, alertSchemaJson, alertSchemaVersion, recordFields,
} from '../../schemas/alertSchema.ts';
import type { AlertRecordName } from '../../schemas/alertSchema.ts';

const RUBIN_FOLDER = new URL('../../../shared/reference/lsst-alert-v11_0/', import.meta.url);
const isRubinPresent = existsSync(RUBIN_FOLDER);
if (!isRubinPresent) console.warn('skipped: no ../shared/reference/lsst-alert-v11_0 to compare with');

// Counts of fields and of nullable ones that Rubin's alert_packet 11.0 has.
const RECORDS: readonly [AlertRecordName, number, number][] = [
  ['alert', 12, 10], ['diaSource', 98, 85], ['diaObject', 82, 71], ['diaForcedSource', 14, 6],
  ['ssSource', 39, 33], ['mpc_orbits', 53, 49], ['ssObject', 80, 65],
];

describe.skipIf(!isRubinPresent)('against Rubin’s files', () => {
  test.each(RECORDS)('%s has Rubin’s fields: names, order, types, defaults and attributes', (name) => {
    const rubin = JSON.parse(readFileSync(new URL(`lsst.v11_0.${name}.avsc`, RUBIN_FOLDER), 'utf8'));
    expect(withoutDocs(alertRecordSchema(name, '11.0'))).toEqual(withoutDocs(rubin));
  });

  test.each(RECORDS)('%s explains every field in words of its own', (name) => {
    const rubin = JSON.parse(readFileSync(new URL(`lsst.v11_0.${name}.avsc`, RUBIN_FOLDER), 'utf8'));
    const rubinDocs = new Set(rubin.fields.map((field: { doc?: string }) => field.doc));
    const docs = alertRecordSchema(name, '11.0').fields.map((field) => field.doc ?? '');
    expect(docs.filter((doc) => doc === '' || rubinDocs.has(doc))).toEqual([]);
  });
});

test.each(RECORDS)('%s has %i fields, %i of them nullable', (name, fieldCount, nullableCount) => {
  const fields = recordFields(name, '11.0');
  expect([fields.length, fields.filter((field) => field.isNullable).length]).toEqual([fieldCount, nullableCount]);
});

test('every nullable field of every record defaults to null, and no other field has a default', () => {
  for (const [name] of RECORDS) {
    for (const field of alertRecordSchema(name, '11.0').fields) {
      expect(field.default === null, `${name}.${field.name}`).toBe(Array.isArray(field.type));
    }
  }
});

test('the schema id of 11.0 is 1100, and an id that was never released has no version', () => {
  expect([ALERT_SCHEMA_ID, alertSchemaId('11.0'), alertSchemaVersion(1100)]).toEqual([1100, 1100, '11.0']);
  expect(alertSchemaVersion(1101)).toBeNull();
});

test('the resolved schema parses alone and inlines each record once, at its first use', () => {
  const json = alertSchemaJson('11.0');
  const type = avro.Type.forSchema(JSON.parse(json)) as avro.types.RecordType;
  expect(type.fields.map((field) => field.name)).toEqual(recordFields('alert', '11.0').map((field) => field.name));
  const inlined = ['diaSource', 'diaForcedSource', 'diaObject', 'ssSource', 'mpc_orbits']
    .map((name) => json.split(`"name":"${name}","doc"`).length - 1 + json.split(`"lsst.v11_0.${name}"`).length - 1);
  // diaSource is inlined once and referred to once, by prvDiaSources; the others are used in one place.
  expect(inlined).toEqual([2, 1, 1, 1, 1]);
});

function withoutDocs(record: object): object {
  return JSON.parse(JSON.stringify(record, (key, value) => (key === 'doc' ? undefined : value)));
}
