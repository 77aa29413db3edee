import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALERT_SCHEMA_FOLDER, alertSchemaJson, resolvedAlertSchema } from '../../schemas/alertSchema.ts';
import { alertType } from '../../schemas/avro.ts';
import { containerBlock, containerHeader, ContainerError } from '../../schemas/container.ts';
import { readContainer, recode, writeContainer } from '../../schemas/containerFile.ts';
import { addAlertSchema, forwardFault, releaseFaults } from '../../schemas/schemaRelease.ts';
import { decompressSnappy, storeSnappy } from '../../schemas/snappy.ts';
import { anyAlert } from './alertArbitraries.ts';

const sync = Buffer.from('0123456789abcdef');
const schemaJson = alertSchemaJson('11.0');
const data = fc.sample(anyAlert, { numRuns: 4, seed: 20261120 }).map((alert) => alertType.toBuffer(alert));
const SHARED = fileURLToPath(new URL('../../../shared/data/', import.meta.url));
const real = ['lsst-packets', 'ztf-packets'].flatMap((folder) =>
  (existsSync(join(SHARED, folder)) ? readdirSync(join(SHARED, folder)).map((name) => join(SHARED, folder, name)) : []));
if (real.length === 0) console.warn('skipped: ../shared/data/{lsst,ztf}-packets are absent, so no test with real packets');

test.each(['null', 'deflate', 'snappy'] as const)('a container of codec %s gives back its data and their values', (codec) => {
  const found = readContainer(writeContainer(schemaJson, sync, codec, data));
  expect(found.codec).toBe(codec);
  expect(found.data.map((datum) => Buffer.compare(datum, data[found.data.indexOf(datum)]))).toEqual([0, 0, 0, 0]);
  for (const datum of found.data) expect(Buffer.compare(recode(found.type, datum), datum)).toBe(0);
});

test('a block of several data is cut into them', () => {
  const file = Buffer.concat([containerHeader('"string"', sync), containerBlock(Buffer.from('\u0002a\u0004bc'), sync, 2)]);
  expect(readContainer(file).data.map(String)).toEqual(['\u0002a', '\u0004bc']);
});

test.skipIf(real.length === 0).each(real)('%s: its packet is decoded by its own schema and encoded to the same bytes', (path) => {
  const { data: packets, type } = readContainer(readFileSync(path));
  expect(packets.length).toBe(1);
  expect(Buffer.compare(recode(type, packets[0]), packets[0])).toBe(0);
});

describe('damage', () => {
  const fault = (bytes: Uint8Array): string => {
    try { readContainer(bytes); } catch (error) {
      if (error instanceof ContainerError) return error.message;
      throw error;
    }
    return 'none';
  };

  test('a container without a datum is told, not read as an empty night', () => {
    expect(fault(containerHeader(schemaJson, sync))).toMatch(/byte 0: a container without a single datum/);
    const empty = Buffer.concat([containerHeader(schemaJson, sync), containerBlock(Buffer.alloc(0), sync, 0)]);
    expect(fault(empty)).toMatch(/without a single datum/);
  });

  test('a count that does not fit, a wrong marker, and a wrong checksum are told by their block', () => {
    const header = containerHeader('"string"', sync), text = Buffer.from('\u0002a\u0004bc');
    expect(fault(Buffer.concat([header, containerBlock(text, sync, 1)]))).toMatch(/3 bytes behind its 1 data/);
    expect(fault(Buffer.concat([header, containerBlock(text, sync, 3)]))).toMatch(/beyond byte 5/);
    const file = writeContainer(schemaJson, sync, 'snappy', data);
    const wrongSync = Buffer.from(file), wrongByte = Buffer.from(file);
    wrongSync[file.length - 1] ^= 1;
    wrongByte[file.length - 40] ^= 1;
    expect(fault(wrongSync)).toMatch(/sync marker/);
    expect(fault(wrongByte)).toMatch(/container damaged at byte \d+: snappy/);
    expect(fault(containerHeader('{"type": "nope"}', sync))).toMatch(/schema cannot be used/);
  });

  test('any one byte of a compressed container changed is read or refused, never another error', () => {
    for (const codec of ['deflate', 'snappy'] as const) {
      const short = writeContainer('"bytes"', sync, codec, [Buffer.from('\u0010abcdabcd')]);
      fc.assert(fc.property(fc.nat({ max: short.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const damaged = Buffer.from(short);
        damaged[at] = byte;
        fault(damaged);
      }), { numRuns: 400, seed: 1 });
    }
  });
});

test('snappy: copies that overlap, every kind of length, and what it is not', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200_000, size: 'max' }), (bytes) => {
    expect(Buffer.compare(decompressSnappy(storeSnappy(bytes)), bytes)).toBe(0);
  }), { numRuns: 20, seed: 2 });
  // By the format's description: "ab" as a literal, then ten bytes from two back (kind 1), then four from twelve (kind 2).
  const block = Buffer.of(16, 1 << 2, 0x61, 0x62, ((10 - 4) << 2) | 1, 2, ((4 - 1) << 2) | 2, 12, 0);
  expect(decompressSnappy(block).toString()).toBe('abababababababab');
  for (const bad of [[200], [4, 0], [4, 1, 9], [1, 4, 0x61, 0x62], [0xff, 0xff, 0xff, 0xff, 0x0f]]) {
    expect(() => decompressSnappy(Buffer.from(bad))).toThrow(/^snappy: /);
  }
});

describe('a new version', () => {
  const next = JSON.parse(schemaJson.replaceAll('v11_0', 'v11_1')) as { namespace: string; fields: object[] };
  const released = new Map([['11.0', resolvedAlertSchema('11.0')]] as const);
  const faults = (version: `${number}.${number}`, schema: unknown) => releaseFaults(version, schema as never, released).join('; ');

  test('may add a field, and every older reader reads it; may not take a required one away or change a kind', () => {
    const added = { ...next, fields: [...next.fields, { name: 'more', type: ['null', 'double'], default: null }] };
    expect(faults('11.1', added)).toBe('');
    const [id, ...rest] = next.fields;
    expect(faults('11.1', { ...next, fields: rest })).toMatch(/readers of 11\.0 cannot read it/);
    expect(faults('11.1', { ...next, fields: [{ ...id, type: 'string' }, ...rest] })).toMatch(/readers of 11\.0/);
    const [, nullable, ...others] = next.fields;
    expect(nullable).toMatchObject({ default: null });
    expect(faults('11.1', { ...next, fields: [id, ...others] })).toBe(''); // Readers have its default.
  });

  test('follows the one before, in its own namespace; a major one begins anew', () => {
    expect(faults('11.2', next)).toMatch(/11\.2 does not follow 11\.0; namespace lsst\.v11_1 is not lsst\.v11_2/);
    expect(faults('11.0', next)).toMatch(/11\.0 is released already/);
    expect(faults('12.0', { ...next, namespace: 'lsst.v12_0', fields: [] })).toBe('');
    expect(faults('12.1', { ...next, namespace: 'lsst.v12_1' })).toMatch(/begins with minor 0/);
  });

  test('forward means that an old reader reads new data, not that a new one reads old', () => {
    const older = { type: 'record', name: 'r', fields: [{ name: 'a', type: 'int' }] };
    const newer = { ...older, fields: [...older.fields, { name: 'b', type: 'int' }] };
    expect(forwardFault(older, newer)).toBeNull();
    expect(forwardFault(newer, older)).toMatch(/b/);
  });

  test('that is damaged is not added, in part neither', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vesper-schema-'));
    try {
      expect(() => addAlertSchema('11.1', folder)).toThrow(/^alert schema 11\.1: .*alert\.avsc/);
      mkdirSync(join(folder, 'x'));
      writeFileSync(join(folder, 'alert.avsc'), '{"type":"record","name":"other","fields":[]}');
      expect(() => addAlertSchema('11.1', folder)).toThrow(/is not the record alert/);
      const same = fileURLToPath(new URL('11/0/', ALERT_SCHEMA_FOLDER)).replace(/\/$/, '');
      expect(() => addAlertSchema('11.1', same)).toThrow(/namespace lsst\.v11_0 is not lsst\.v11_1/);
      expect(existsSync(new URL('11/1', ALERT_SCHEMA_FOLDER))).toBe(false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
