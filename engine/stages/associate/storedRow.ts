import { ALERT_SCHEMA_VERSION, recordFields } from '../../../schemas/alertSchema.ts';

type StoredRecord = 'diaSource' | 'diaObject' | 'diaForcedSource';

const floatFields: Readonly<Record<StoredRecord, readonly string[]>> = {
  diaSource: floatFieldsOf('diaSource'),
  diaObject: floatFieldsOf('diaObject'),
  diaForcedSource: floatFieldsOf('diaForcedSource'),
};

/**
 * The row with its `float` fields rounded as Avro will round them, so that it equals what anyone decodes from its
 * payload. All that follows is computed from such rows: a night that is resumed from stored payloads must not differ
 * in the last bit from one that kept the rows in memory. Copies; all else is left as it is.
 */
export function asStored<Row extends object>(record: StoredRecord, row: Row): Row {
  const stored = { ...row };
  // The row types mirror the schema, so a field of kind float holds a number or null.
  const values = stored as Record<string, unknown>;
  for (const field of floatFields[record]) {
    const value = values[field];
    if (typeof value === 'number') values[field] = Math.fround(value);
  }
  return stored;
}

function floatFieldsOf(record: StoredRecord): readonly string[] {
  const fields = recordFields(record, ALERT_SCHEMA_VERSION);
  return fields.filter((field) => field.kind === 'float').map((field) => field.name);
}
