import { ALERT_SCHEMA_VERSION, recordFields } from './alertSchema.ts';
import type { AlertRecordName, FieldKind } from './alertSchema.ts';
import { longAt, skipLong } from './avroLong.ts';

/** Index of a union [null, T] as it stands on the wire: the zigzag of 0 and of 1. */
export const NULL_BRANCH = 0;
export const VALUE_BRANCH = 2;

/** Finds where the encoded row that starts at `offset` ends, without decoding it. */
export type RecordEnd = (bytes: Uint8Array, offset: number) => number;

/**
 * A walker over the encoded rows of one record, for cutting a packet into the rows it was spliced from. Throws an
 * Error that names the field and the byte when the bytes end early, a length is negative, or a union branch does
 * not exist.
 */
export function recordEnd(name: AlertRecordName): RecordEnd {
  const fields = recordFields(name, ALERT_SCHEMA_VERSION);
  return (bytes, start) => {
    let offset = start;
    for (const field of fields) {
      try {
        if (field.isNullable && !isValuePresent(bytes, offset++)) continue;
        offset = valueEnd(bytes, offset, field.kind);
      } catch (cause) {
        throw new Error(`${name}.${field.name}: ${(cause as Error).message}`, { cause });
      }
    }
    return offset;
  };
}

/** Reads the branch of a union [null, T] at `offset`; it takes one byte. */
export function isValuePresent(bytes: Uint8Array, offset: number): boolean {
  if (offset >= bytes.length) throw new Error(`the bytes end at ${offset}`);
  const branch = bytes[offset];
  if (branch !== NULL_BRANCH && branch !== VALUE_BRANCH) throw new Error(`byte ${offset}: no such union branch`);
  return branch === VALUE_BRANCH;
}

/** Start and end of the bytes or string whose length stands at `offset`. */
export function sizedSpan(bytes: Uint8Array, offset: number): Readonly<{ start: number; end: number }> {
  const start = skipLong(bytes, offset, bytes.length);
  const size = longAt(bytes, offset, start);
  if (size < 0n) throw new Error(`byte ${offset}: length ${size}`);
  if (size > bytes.length - start) throw new Error(`byte ${offset}: length ${size}, ${bytes.length - start} left`);
  return { start, end: start + Number(size) };
}

function valueEnd(bytes: Uint8Array, offset: number, kind: FieldKind): number {
  switch (kind) {
    case 'boolean': return fixedEnd(bytes, offset, 1);
    case 'float': return fixedEnd(bytes, offset, 4);
    case 'double': return fixedEnd(bytes, offset, 8);
    case 'int':
    case 'long':
    case 'timestampMicros': return skipLong(bytes, offset, bytes.length);
    case 'string':
    case 'bytes': return sizedSpan(bytes, offset).end;
    default: throw new Error(`a row has no field of kind ${kind}`);
  }
}

function fixedEnd(bytes: Uint8Array, offset: number, size: number): number {
  if (offset + size > bytes.length) throw new Error(`the bytes end at ${bytes.length}`);
  return offset + size;
}
