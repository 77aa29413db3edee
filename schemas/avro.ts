import avro from 'avsc';
import { ALERT_SCHEMA_VERSION, alertRecordSchema, recordFields, resolvedAlertSchema } from './alertSchema.ts';
import type { AlertRecordName, SchemaField } from './alertSchema.ts';
import type { DiaForcedSource, DiaObject, DiaSource } from './diaRows.ts';
import type { MpcOrbit, SsObject, SsSource } from './ssRows.ts';

/** avsc copies these bytes before it asks for the next long, so one buffer serves all. */
const longScratch = Buffer.alloc(8);

/** Microseconds since 1970 of the years 1 … 9999: Python clients (fastavro) fail on a packet with one outside. */
const TIMESTAMP_MIN = BigInt(Date.parse('0001-01-01T00:00:00Z')) * 1000n;
const TIMESTAMP_MAX = BigInt(Date.parse('9999-12-31T23:59:59Z')) * 1000n + 999_999n;

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
export const encodeDiaSource = encoder<DiaSource>('diaSource');
export const encodeDiaObject = encoder<DiaObject>('diaObject');
export const encodeDiaForcedSource = encoder<DiaForcedSource>('diaForcedSource');
export const encodeSsSource = encoder<SsSource>('ssSource');
export const encodeMpcOrbit = encoder<MpcOrbit>('mpc_orbits');
export const encodeSsObject = encoder<SsObject>('ssObject');

/**
 * Avro bytes to rows. Throws an Error that names the record when the bytes are too few or too many, or hold a
 * union branch that the schema lacks. Avro has no checksum: other damage gives other values.
 */
export const decodeDiaSource = decoder<DiaSource>('diaSource');
export const decodeDiaObject = decoder<DiaObject>('diaObject');
export const decodeDiaForcedSource = decoder<DiaForcedSource>('diaForcedSource');
export const decodeSsSource = decoder<SsSource>('ssSource');
export const decodeMpcOrbit = decoder<MpcOrbit>('mpc_orbits');
export const decodeSsObject = decoder<SsObject>('ssObject');

function encoder<Row extends object>(name: AlertRecordName): (row: Row) => Buffer {
  const type = buildType(alertRecordSchema(name, ALERT_SCHEMA_VERSION));
  const fields = recordFields(name, ALERT_SCHEMA_VERSION);
  return (row) => {
    // A row type has no index signature, but its keys are the schema's names (kept by a test).
    const values = row as Readonly<Record<string, unknown>>;
    for (const field of fields) {
      const value = values[field.name];
      if (value === null && field.isNullable) continue;
      const fault = faultOf(field, value);
      if (fault !== null) throw new Error(`${name}.${field.name}: ${String(value)} is ${fault}`);
    }
    return type.toBuffer(row);
  };
}

function decoder<Row extends object>(name: AlertRecordName): (bytes: Uint8Array) => Row {
  const type = buildType(alertRecordSchema(name, ALERT_SCHEMA_VERSION));
  return (bytes) => {
    try {
      return type.fromBuffer(asBuffer(bytes)) as Row; // The type was built from the schema that Row mirrors.
    } catch (cause) {
      throw new Error(`${name}: ${(cause as Error).message} (${bytes.length} bytes)`, { cause });
    }
  };
}

/** What is wrong with `value` for this field, or null. */
function faultOf(field: SchemaField, value: unknown): string | null {
  switch (field.kind) {
    case 'float':
      if (typeof value !== 'number') return 'not a number';
      return Number.isFinite(Math.fround(value)) ? null : 'not a finite float32';
    case 'double':
      if (typeof value !== 'number') return 'not a number';
      return Number.isFinite(value) ? null : 'not a finite number';
    case 'int':
      return typeof value === 'number' && (value | 0) === value ? null : 'not a 32-bit integer';
    case 'long':
      return typeof value === 'bigint' && BigInt.asIntN(64, value) === value ? null : 'not a 64-bit bigint';
    case 'timestampMicros':
      if (typeof value !== 'bigint') return 'not a bigint';
      return value >= TIMESTAMP_MIN && value <= TIMESTAMP_MAX ? null : 'not in the years 1 … 9999';
    case 'boolean':
      return typeof value === 'boolean' ? null : 'not a boolean';
    case 'string':
      return typeof value === 'string' ? null : 'not a string';
    default:
      throw new Error(`a row has no field of kind ${field.kind}`);
  }
}

function buildType(schema: object): avro.Type {
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

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
