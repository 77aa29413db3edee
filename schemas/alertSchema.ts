import { readdirSync, readFileSync } from 'node:fs';

/**
 * The released alert schemas, as kept in `alert/<major>/<minor>/*.avsc`: one file a record, wire-compatible
 * with Rubin's alert_packet of the same version. A released folder is never edited; a change is a new folder.
 */
export type AlertSchemaVersion = `${number}.${number}`;

/** The records of the alert schema. `ssObject` belongs to the schema but no packet carries one. */
export type AlertRecordName =
  'alert' | 'diaSource' | 'diaObject' | 'diaForcedSource' | 'ssSource' | 'mpc_orbits' | 'ssObject';

/** What one field holds, the null branch left aside. `timestampMicros` is a long since 1970, UTC. */
export type FieldKind =
  'long' | 'int' | 'float' | 'double' | 'boolean' | 'string' | 'bytes' | 'timestampMicros' | 'record' | 'array';

/** One field of a record, in wire order. A nullable one is the union [null, kind] with default null. */
export type SchemaField = Readonly<{ name: string; kind: FieldKind; isNullable: boolean }>;

/** Avro schema JSON as parsed: only what this module has to look into. */
type AvscType = string | readonly AvscType[] | Readonly<{ type: AvscType; [attribute: string]: unknown }>;
type AvscField = Readonly<{ name: string; type: AvscType; default?: null; doc?: string }>;
export type AvscRecord = Readonly<{
  type: 'record'; namespace: string; name: string; doc?: string; fields: readonly AvscField[];
}>;

/** The version that packets are written in. */
export const ALERT_SCHEMA_VERSION: AlertSchemaVersion = '11.0';

/** The Confluent schema id of that version: major · 100 + minor. */
export const ALERT_SCHEMA_ID = alertSchemaId(ALERT_SCHEMA_VERSION);

const RECORD_NAMES: readonly AlertRecordName[] =
  ['alert', 'diaSource', 'diaObject', 'diaForcedSource', 'ssSource', 'mpc_orbits', 'ssObject'];

/** Folder of the released schemas: `alert/<major>/<minor>`. */
export const ALERT_SCHEMA_FOLDER = new URL('./alert/', import.meta.url);
const VERSIONS: readonly AlertSchemaVersion[] = releasedVersions();

const recordsByVersion = new Map(VERSIONS.map((version) => [version, readRecords(version, versionFolder(version))]));

/** The id that stands in the frame of a packet of this version: major · 100 + minor. */
export function alertSchemaId(version: AlertSchemaVersion): number {
  const [major, minor] = version.split('.');
  return Number(major) * 100 + Number(minor);
}

/** The version that a schema id names, or null when this build does not carry it. */
export function alertSchemaVersion(schemaId: number): AlertSchemaVersion | null {
  return VERSIONS.find((version) => alertSchemaId(version) === schemaId) ?? null;
}

/** The versions that this build can read, oldest first. */
export function alertSchemaVersions(): readonly AlertSchemaVersion[] {
  return VERSIONS;
}

/** One record of a version as its `.avsc` file states it: other records are referred to by full name. */
export function alertRecordSchema(name: AlertRecordName, version: AlertSchemaVersion): AvscRecord {
  const record = recordsByVersion.get(version)?.get(name);
  if (record === undefined) throw new Error(`alert schema ${version} has no record ${name}`);
  return record;
}

/**
 * The whole schema of a packet as one self-contained record: each nested record is written out where it is
 * first used and referred to by full name after that, as avsc, fastavro and a Confluent registry expect.
 */
export function resolvedAlertSchema(version: AlertSchemaVersion): AvscRecord {
  return resolveRecords(version, (name) => alertRecordSchema(name, version));
}

/** The same of records that are not released yet: those of a folder that `readRecords` has read. */
export function resolveRecords(
  version: AlertSchemaVersion, recordOf: (name: AlertRecordName) => AvscRecord,
): AvscRecord {
  const written = new Set<string>();
  const resolveRecord = (record: AvscRecord): AvscRecord => {
    written.add(`${record.namespace}.${record.name}`);
    return { ...record, fields: record.fields.map((field) => ({ ...field, type: resolveType(field.type) })) };
  };
  const resolveType = (type: AvscType): AvscType => {
    if (typeof type === 'string') {
      const isRecord = type.includes('.') && !written.has(type);
      return isRecord ? resolveRecord(recordOf(nameOfFullName(type, version))) : type;
    }
    if (isUnion(type)) return type.map(resolveType);
    return type.type === 'array' ? { ...type, items: resolveType(type.items as AvscType) } : type;
  };
  return resolveRecord(recordOf('alert'));
}

/** `resolvedAlertSchema` as JSON text: what the registry serves and what a container's header carries. */
export function alertSchemaJson(version: AlertSchemaVersion): string {
  return JSON.stringify(resolvedAlertSchema(version));
}

/** The fields of one record, in wire order. */
export function recordFields(name: AlertRecordName, version: AlertSchemaVersion): readonly SchemaField[] {
  return alertRecordSchema(name, version).fields.map((field) => {
    const isNullable = isUnion(field.type);
    return { name: field.name, kind: kindOf(isUnion(field.type) ? field.type[1] : field.type), isNullable };
  });
}

function kindOf(type: AvscType): FieldKind {
  if (typeof type === 'string') {
    // Full names have a dot, primitives have none; the primitives in use are all kinds.
    return type.includes('.') ? 'record' : type as FieldKind;
  }
  if (isUnion(type)) throw new Error('a union inside a union is not Avro');
  if (type.logicalType === 'timestamp-micros') return 'timestampMicros';
  return kindOf(type.type);
}

function isUnion(type: AvscType): type is readonly AvscType[] {
  return Array.isArray(type);
}

function nameOfFullName(fullName: string, version: AlertSchemaVersion): AlertRecordName {
  const name = RECORD_NAMES.find((candidate) => fullName.endsWith(`.${candidate}`));
  if (name === undefined) throw new Error(`alert schema ${version} refers to ${fullName}, which it lacks`);
  return name;
}

/** Folder of a version, whether it exists or not. */
export function versionFolder(version: AlertSchemaVersion): URL {
  return new URL(`${version.replace('.', '/')}/`, ALERT_SCHEMA_FOLDER);
}

/** The versions that have a folder, oldest first. */
function releasedVersions(): readonly AlertSchemaVersion[] {
  const numbersIn = (folder: URL): number[] =>
    readdirSync(folder).filter((name) => /^\d{1,4}$/.test(name)).map(Number).sort((a, b) => a - b);
  return numbersIn(ALERT_SCHEMA_FOLDER).flatMap((major) =>
    numbersIn(new URL(`${major}/`, ALERT_SCHEMA_FOLDER)).map((minor): AlertSchemaVersion => `${major}.${minor}`));
}

/**
 * The records of a folder of `.avsc` files, one a record.
 *
 * @throws Error of one line that names the file that is missing, is not JSON, or is another record.
 */
export function readRecords(version: AlertSchemaVersion, folder: URL): ReadonlyMap<AlertRecordName, AvscRecord> {
  return new Map(RECORD_NAMES.map((name) => {
    const file = new URL(`${name}.avsc`, folder);
    let record: AvscRecord;
    try {
      record = JSON.parse(readFileSync(file, 'utf8')) as AvscRecord; // Looked at below, and by avsc when it is used.
    } catch (error) {
      throw new Error(`alert schema ${version}: ${file.pathname}: ${(error as Error).message}`, { cause: error });
    }
    if (record.type !== 'record' || record.name !== name || !Array.isArray(record.fields)) {
      throw new Error(`alert schema ${version}: ${file.pathname} is not the record ${name}`);
    }
    return [name, record];
  }));
}
