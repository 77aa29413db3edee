/** Rows of the alert schema for people and programs: CSV, JSON, Parquet, or a table of some columns. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { ALERT_SCHEMA_VERSION, recordFields, type AlertRecordName, type FieldKind } from '../../schemas/alertSchema.ts';
import { table, toJson } from './output.ts';

export type RowFormat = 'table' | 'csv' | 'json' | 'parquet';
type Row = object;

/** Parquet's types of the schema's kinds. Ids are INT64, which every reader of Parquet keeps exact. */
const PARQUET: Readonly<Partial<Record<FieldKind, 'INT64' | 'INT32' | 'FLOAT' | 'DOUBLE' | 'BOOLEAN' | 'STRING'>>> = {
  long: 'INT64', timestampMicros: 'INT64', int: 'INT32', float: 'FLOAT', double: 'DOUBLE', boolean: 'BOOLEAN',
  string: 'STRING',
};

/** All fields in the order of the schema; an empty cell is null, ids are decimal, booleans true and false. */
export function csvOf(record: AlertRecordName, rows: readonly Row[]): string {
  const names = fieldNames(record);
  const lines = rows.map((row) => names.map((name) => csvCell(valueOf(row, name))).join(','));
  return `${[names.join(','), ...lines].join('\n')}\n`;
}

/** A Parquet file of all fields, each a nullable column of its own type. */
export async function parquetOf(record: AlertRecordName, rows: readonly Row[]): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const columnData = recordFields(record, ALERT_SCHEMA_VERSION).map(({ name, kind }) => ({
    name, type: PARQUET[kind] ?? 'STRING', nullable: true, data: rows.map((row) => valueOf(row, name)),
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData }));
}

/** A table of some fields, numbers with few digits. */
export function tableOf(names: readonly string[], rows: readonly Row[]): string {
  return table(names, rows.map((row) => names.map((name) => tableCell(name, valueOf(row, name)))));
}

/** Rows in one format; a table holds the columns named. */
export async function formatted(
  format: RowFormat, record: AlertRecordName, rows: readonly Row[], columns: readonly string[],
): Promise<string | Uint8Array> {
  switch (format) {
    case 'table': return `${tableOf(columns, rows)}\n`;
    case 'csv': return csvOf(record, rows);
    case 'json': return `${toJson(rows)}\n`;
    case 'parquet': return parquetOf(record, rows);
    default: throw new Error(`no format ${String(format)}`);
  }
}

/** To a file, as a whole or not at all, or to stdout. @throws in one line when Parquet has no file to go to. */
export function deliver(content: string | Uint8Array, out: string | null): void {
  if (out === null) {
    if (typeof content !== 'string') throw new Error('Parquet is written to a file: name it with --out FILE');
    process.stdout.write(content);
    return;
  }
  const part = `${out}.${process.pid}.part`;
  try {
    const file = openSync(part, 'w');
    try {
      const bytes = Buffer.from(content as Uint8Array); // From a string or bytes alike.
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
      fsyncSync(file);
    } finally { closeSync(file); }
    renameSync(part, out);
  } catch (error) {
    rmSync(part, { force: true });
    throw new Error(`cannot write ${out}: ${(error as Error).message}`, { cause: error });
  }
}

function fieldNames(record: AlertRecordName): string[] {
  return recordFields(record, ALERT_SCHEMA_VERSION).map(({ name }) => name);
}

function valueOf(row: Row, name: string): unknown {
  return (row as Readonly<Record<string, unknown>>)[name]; // Row types have no index signature.
}

function csvCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function tableCell(name: string, value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'number' || Number.isInteger(value)) return String(value);
  return value.toFixed(/^(ra|dec|.*MjdTai)$/.test(name) ? 6 : 2);
}
