/** The compiled codecs against avsc, which shares no code with them. */
import avro from 'avsc';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ALERT_SCHEMA_VERSION, alertRecordSchema, type AlertRecordName } from '../../schemas/alertSchema.ts';
import { encodeDiaForcedSource, encodeDiaObject, encodeDiaSource, encodeMpcOrbit } from '../../schemas/avro.ts';
import { lightCurveOf, POINT, SOURCE_POINT_SIZE } from '../../schemas/lightCurve.ts';
import { compileFieldReader } from '../../schemas/rowCodec.ts';
import { anyDiaForcedSource, anyDiaObject, anyDiaSource, anyMpcOrbit } from './alertArbitraries.ts';

const longs = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => { const bytes = Buffer.alloc(8); bytes.writeBigInt64LE(value); return bytes; },
  fromJSON: BigInt, toJSON: String, isValid: (value: unknown) => typeof value === 'bigint', compare: () => 0,
});

function avscBytes(name: AlertRecordName, row: object): Buffer {
  const isLong = (schema: unknown) => typeof schema === 'object' && schema !== null && 'type' in schema
    && schema.type === 'long';
  return avro.Type.forSchema(alertRecordSchema(name, ALERT_SCHEMA_VERSION) as avro.Schema, {
    registry: { long: longs }, wrapUnions: 'never', typeHook: (schema: unknown) => (isLong(schema) ? longs : undefined),
  } as Partial<avro.ForSchemaOptions>).toBuffer(row);
}

test.each([
  ['diaSource', anyDiaSource, encodeDiaSource], ['diaObject', anyDiaObject, encodeDiaObject],
  ['diaForcedSource', anyDiaForcedSource, encodeDiaForcedSource], ['mpc_orbits', anyMpcOrbit, encodeMpcOrbit],
] as readonly [AlertRecordName, fc.Arbitrary<object>, (row: never) => Buffer][])(
  'rows of %s have the bytes that avsc gives them', (name, rows, encode) => {
    fc.assert(fc.property(rows, (row) => {
      // The table pairs each record with its own rows.
      expect(Buffer.compare(encode(row as never), avscBytes(name, row))).toBe(0);
    }), { numRuns: 60 });
  });

test('a text longer than the scratch is written whole', () => {
  const [orbit] = fc.sample(anyMpcOrbit, { numRuns: 1, seed: 3 });
  const long = { ...orbit, designation: '☄'.repeat(5000) };
  expect(Buffer.compare(encodeMpcOrbit(long), avscBytes('mpc_orbits', long))).toBe(0);
});

test('a field reader finds the fields of a row anywhere in the bytes, and has NaN for null', () => {
  const names = ['reliability', 'midpointMjdTai', 'isNegative', 'detector'] as const;
  const read = compileFieldReader('diaSource', names);
  fc.assert(fc.property(anyDiaSource, fc.nat(9), (row, offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset, 7), encodeDiaSource(row)]);
    const values = new Float64Array(6);
    read(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset, values, 1);
    expect([...values]).toEqual([0, ...names.map((name) => (row[name] === null ? NaN : Number(row[name]))), 0]);
  }), { numRuns: 60 });
});

test('the point of a source has its fields in their places', () => {
  fc.assert(fc.property(anyDiaSource, (row) => {
    const curve = lightCurveOf('source', [{ id: row.diaSourceId, payload: encodeDiaSource(row) }]);
    const point = new Float64Array(SOURCE_POINT_SIZE);
    const ids = new BigInt64Array(1);
    curve.copyTo(point, ids, 0);
    expect(ids[0]).toBe(row.diaSourceId);
    const fields = {
      time: row.midpointMjdTai, psfFlux: row.psfFlux, psfFluxErr: row.psfFluxErr, scienceFlux: row.scienceFlux,
      scienceFluxErr: row.scienceFluxErr, ra: row.ra, dec: row.dec, raErr: row.raErr, decErr: row.decErr,
      raDecCov: row.ra_dec_Cov,
    };
    for (const [name, value] of Object.entries(fields)) {
      expect(point[POINT[name as keyof typeof fields]], name).toBe(value ?? NaN);
    }
  }), { numRuns: 60 });
});
