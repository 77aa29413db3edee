import fc from 'fast-check';
import { ALERT_SCHEMA_VERSION, recordFields } from '../../schemas/alertSchema.ts';
import type { AlertRecordName, FieldKind } from '../../schemas/alertSchema.ts';
import type { Alert, DiaForcedSource, DiaObject, DiaSource } from '../../schemas/diaRows.ts';
import type { MpcOrbit, SsObject, SsSource } from '../../schemas/ssRows.ts';

/** Rows with every field drawn over the whole range of its type, ends included. */
export const anyDiaSource = anyRow<DiaSource>('diaSource');
export const anyDiaObject = anyRow<DiaObject>('diaObject');
export const anyDiaForcedSource = anyRow<DiaForcedSource>('diaForcedSource');
export const anySsSource = anyRow<SsSource>('ssSource');
export const anyMpcOrbit = anyRow<MpcOrbit>('mpc_orbits');
export const anySsObject = anyRow<SsObject>('ssObject');

/** Short, because comparing bytes one by one is what takes the time; packet.test.ts has long ones. */
const anyCutout = fc.option(fc.uint8Array({ maxLength: 70, size: 'max' }).map((bytes) => Buffer.from(bytes)));

/** Alerts whose id is that of their diaSource, as every packet's is. */
export const anyAlert: fc.Arbitrary<Alert> = fc.record({
  observation_reason: fc.option(fc.string({ unit: 'grapheme' })),
  target_name: fc.option(fc.string({ unit: 'grapheme' })),
  diaSource: anyDiaSource,
  prvDiaSources: fc.option(fc.array(anyDiaSource, { maxLength: 4 })),
  prvDiaForcedSources: fc.option(fc.array(anyDiaForcedSource, { maxLength: 12 })),
  diaObject: fc.option(anyDiaObject),
  ssSource: fc.option(anySsSource),
  mpc_orbits: fc.option(anyMpcOrbit),
  cutoutDifference: anyCutout,
  cutoutScience: anyCutout,
  cutoutTemplate: anyCutout,
}).map((rest) => ({ diaSourceId: rest.diaSource.diaSourceId, ...rest }));

function anyRow<Row>(name: AlertRecordName): fc.Arbitrary<Row> {
  const values: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of recordFields(name, ALERT_SCHEMA_VERSION)) {
    const value = anyValue(field.kind);
    values[field.name] = field.isNullable ? fc.option(value) : value;
  }
  // The schema's fields are the row type's keys: alertRows.test.ts.
  return fc.record(values) as unknown as fc.Arbitrary<Row>;
}

function anyValue(kind: FieldKind): fc.Arbitrary<unknown> {
  switch (kind) {
    case 'long': return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    // Years 1 … 9999, which is what Python's datetime holds.
    case 'timestampMicros': return fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n });
    case 'int': return fc.integer();
    case 'float': return fc.float({ noNaN: true, noDefaultInfinity: true });
    case 'double': return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean': return fc.boolean();
    case 'string': return fc.string({ unit: 'grapheme' });
    default: throw new Error(`a row has no field of kind ${kind}`);
  }
}
