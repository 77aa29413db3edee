import avro from 'avsc';
import { ALERT_SCHEMA_VERSION, resolvedAlertSchema } from './alertSchema.ts';
import type { DiaForcedSource, DiaObject, DiaSource } from './diaRows.ts';
import { compileDecoder, compileEncoder } from './rowCodec.ts';
import type { MpcOrbit, SsObject, SsSource } from './ssRows.ts';

/** avsc copies these bytes before it asks for the next long, so one buffer serves all. */
const longScratch = Buffer.alloc(8);

/** Every Avro long, timestamps included, is a bigint. avsc packs and unpacks; here it meets 8 little-endian bytes. */
const bigintLong = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    longScratch.writeBigInt64LE(value);
    return longScratch;
  },
  fromJSON: (value: number | string) => BigInt(value),
  toJSON: (value: bigint) => value.toString(),
  isValid: (value: unknown) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});

/**
 * avsc's type of a whole packet datum, for what has to encode or resolve one in a single piece; packets on the
 * hot path are spliced (`packet.ts`). It checks less than the row codecs below: it lets NaN pass.
 */
export const alertType = buildType(resolvedAlertSchema(ALERT_SCHEMA_VERSION));

/**
 * Rows to Avro bytes, in the wire format of alert schema 11.0: no header, no schema inside.
 *
 * The bytes are a function of the row's values alone, so equal rows give equal bytes. Throws an Error that names
 * the record and the field when a value is missing, of another type, out of range, NaN, infinite, or too large for
 * a float32. A number in a `float` field is rounded to the nearest float32. Keys that the schema lacks are ignored.
 */
export const encodeDiaSource = compileEncoder<DiaSource>('diaSource');
export const encodeDiaObject = compileEncoder<DiaObject>('diaObject');
export const encodeDiaForcedSource = compileEncoder<DiaForcedSource>('diaForcedSource');
export const encodeSsSource = compileEncoder<SsSource>('ssSource');
export const encodeMpcOrbit = compileEncoder<MpcOrbit>('mpc_orbits');
export const encodeSsObject = compileEncoder<SsObject>('ssObject');

/**
 * Avro bytes to rows. Throws an Error that names the record when the bytes are too few or too many, or hold a
 * union branch that the schema lacks. Avro has no checksum: other damage gives other values.
 */
export const decodeDiaSource = compileDecoder<DiaSource>('diaSource');
export const decodeDiaObject = compileDecoder<DiaObject>('diaObject');
export const decodeDiaForcedSource = compileDecoder<DiaForcedSource>('diaForcedSource');
export const decodeSsSource = compileDecoder<SsSource>('ssSource');
export const decodeMpcOrbit = compileDecoder<MpcOrbit>('mpc_orbits');
export const decodeSsObject = compileDecoder<SsObject>('ssObject');

/** avsc's type of a schema, with every long a bigint. */
export function buildType(schema: object): avro.Type {
  return avro.Type.forSchema(schema as avro.Schema, {
    registry: { long: bigintLong },
    wrapUnions: 'never',
    omitRecordMethods: true,
    // avsc would build its own long for {"type": "long", "logicalType": …}, which does not ask the registry.
    typeHook: (inner: unknown) => (isLongWithAttributes(inner) ? bigintLong : undefined),
  } as Partial<avro.ForSchemaOptions>);
}

function isLongWithAttributes(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'long';
}
