/**
 * Chosen columns of encoded rows, without decoding the others: for filters, which look at few of some hundred. A reader
 * is generated once for its columns as straight-line code; walking all fields of a diaSource takes a third of a
 * microsecond.
 */
import { ALERT_SCHEMA_VERSION, recordFields, type AlertRecordName, type SchemaField } from './alertSchema.ts';
import { longAt, skipLong } from './avroLong.ts';
import { recordEnd } from './recordEnd.ts';

/** Bytes being read, a view of the same, and where the reader is. */
export type RowCursor = { readonly bytes: Uint8Array; readonly view: DataView; offset: number };

/** Reads the row at the cursor and moves behind it. Keys are the columns asked for; null where the row has null. */
export type RowReader = (cursor: RowCursor) => Readonly<Record<string, unknown>>;

export function rowCursor(bytes: Uint8Array, offset: number): RowCursor {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset };
}

/**
 * A reader of some columns of a record of the current schema; names that the record lacks are ignored. int, float and
 * double come as numbers, long and timestamps as bigint.
 *
 * The reader throws an Error that names the field and the byte when the bytes end early, a length is negative, or a
 * union branch does not exist.
 */
export function rowReader(name: AlertRecordName, columns: ReadonlySet<string>): RowReader {
  const fields = recordFields(name, ALERT_SCHEMA_VERSION);
  const wanted = fields.filter((field) => columns.has(field.name));
  const literal = wanted.map((field) => `${JSON.stringify(field.name)}: null`).join(', ');
  const targetOf = (field: SchemaField): string | null =>
    (columns.has(field.name) ? `row[${JSON.stringify(field.name)}]` : null);
  const lines: string[] = [];
  for (let i = 0; i < fields.length; i++) {
    const skipped = skippedRun(fields.slice(i, i + SKIPPED_TOGETHER), columns);
    if (skipped.length > 1) {
      lines.push(skippedLine(skipped));
      i += skipped.length - 1;
    } else {
      const line = fields[i].isNullable ? nullableLine : valueLine;
      lines.push(line(fields[i], targetOf(fields[i])));
    }
  }
  // The names are those of the schema's files; nothing that a user or a packet says gets here.
  const read = new Function('cursor', 'long', 'text', [
    'const bytes = cursor.bytes, view = cursor.view;', `const row = {${literal}};`,
    'let o = cursor.offset, bad = 0, b = 0, s = 0;', ...lines,
    'if ((bad & -3) !== 0 || !(o <= bytes.length)) return null;', 'cursor.offset = o;', 'return row;',
  ].join('\n')) as (cursor: RowCursor, long: typeof longAt, text: typeof textAt) => ReturnType<RowReader> | null;
  const walk = recordEnd(name);
  return (cursor) => {
    let row: ReturnType<RowReader> | null = null;
    try {
      row = read(cursor, longAt, textAt);
    } catch {
      // Beyond the end of the bytes; told below.
    }
    if (row !== null) return row;
    walk(cursor.bytes, cursor.offset);
    throw new Error(`${name}: the row at byte ${cursor.offset} cannot be read`);
  };
}

/** Fields passed over together when all have values, or none: their branches then lie in known places. */
const SKIPPED_TOGETHER = 4;

function skippedRun(fields: readonly SchemaField[], columns: ReadonlySet<string>): readonly SchemaField[] {
  const end = fields.findIndex(({ name, kind, isNullable }) => columns.has(name) || !isNullable || !(kind in FIXED_BYTES));
  return end < 0 ? fields : fields.slice(0, end);
}

function skippedLine(fields: readonly SchemaField[]): string {
  let offset = 0;
  const branches = fields.map(({ kind }) => {
    const at = offset;
    offset += 1 + FIXED_BYTES[kind as keyof typeof FIXED_BYTES]; // `skippedRun` has seen to it.
    return `bytes[o + ${at}]`;
  });
  const each = fields.map((field) => nullableLine(field, null)).join(' ');
  const areNull = fields.map((_, i) => `bytes[o + ${i}]`).join(' | ');
  return `if ((${branches.map((branch) => `(${branch} ^ 2)`).join(' | ')}) === 0) o += ${offset}; `
    + `else if ((${areNull}) === 0) o += ${fields.length}; else { ${each} }`;
}

/** One byte tells the branch: 0 is null, 2 is a value; what is neither is remembered in `bad`. */
function nullableLine(field: SchemaField, target: string | null): string {
  const size = FIXED_BYTES[field.kind as keyof typeof FIXED_BYTES];
  if (target === null && size !== undefined) return `b = bytes[o]; bad |= b; o += 1 + (b >> 1) * ${size};`;
  return `b = bytes[o++]; bad |= b; if (b === 2) { ${valueLine(field, target)} }`;
}

const FIXED_BYTES = { boolean: 1, float: 4, double: 8 } as const;

function valueLine({ kind }: SchemaField, target: string | null): string {
  const skipLongLine = 's = o; while (bytes[o] >= 128) o++; o++; if (o - s > 10) bad = 4;';
  switch (kind) {
    case 'boolean': return target === null ? 'o += 1;' : `${target} = bytes[o] === 1; o += 1;`;
    case 'float': return target === null ? 'o += 4;' : `${target} = view.getFloat32(o, true); o += 4;`;
    case 'double': return target === null ? 'o += 8;' : `${target} = view.getFloat64(o, true); o += 8;`;
    case 'int': return target === null ? skipLongLine : `${skipLongLine} ${target} = Number(long(bytes, s, o));`;
    case 'long':
    case 'timestampMicros': return target === null ? skipLongLine : `${skipLongLine} ${target} = long(bytes, s, o);`;
    case 'string': return `${skipLongLine} b = Number(long(bytes, s, o)); if (!(b >= 0)) bad = 4; `
      + `${target === null ? '' : `${target} = text(bytes, o, b); `}o += b;`;
    default: throw new Error(`a row has no field of kind ${kind}`);
  }
}

function textAt(bytes: Uint8Array, start: number, size: number): string {
  // Band letters and the like: one byte is by far the commonest.
  if (size === 1 && bytes[start] < 128) return String.fromCharCode(bytes[start]);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(size, bytes.length - start)).toString('utf8');
}

/** Moves over a nullable array of rows; gives its place and count, or null. @throws as the rows' reader. */
export function skipRows(cursor: RowCursor, skip: RowReader): Readonly<{ start: number; count: number }> | null {
  const start = cursor.offset;
  const branch = cursor.bytes[cursor.offset++];
  if (branch === 0) return null;
  if (branch !== 2) throw new Error(`byte ${start}: no such union branch`);
  let count = 0;
  for (let block = takeCount(cursor); block !== 0; block = takeCount(cursor)) {
    for (let i = 0; i < block; i++) skip(cursor);
    count += block;
  }
  return { start, count };
}

/** The rows of an array that `skipRows` has found. */
export function readRows(
  bytes: Uint8Array, { start, count }: Readonly<{ start: number; count: number }>, read: RowReader,
): readonly ReturnType<RowReader>[] {
  const cursor = rowCursor(bytes, start + 1);
  const rows: ReturnType<RowReader>[] = [];
  while (rows.length < count) {
    const block = takeCount(cursor);
    for (let i = 0; i < block; i++) rows.push(read(cursor));
  }
  return rows;
}

/** Count of a block; a negative one is followed by the block's size, which is passed over. */
function takeCount(cursor: RowCursor): number {
  const count = takeLong(cursor);
  if (count >= 0) return count;
  takeLong(cursor);
  return -count;
}

function takeLong(cursor: RowCursor): number {
  const start = cursor.offset;
  cursor.offset = skipLong(cursor.bytes, start, cursor.bytes.length);
  return Number(longAt(cursor.bytes, start, cursor.offset));
}
