/** A new version of the alert schema: checked against the rules of compatibility, then added as a folder of its own. */
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  alertSchemaVersions, readRecords, resolvedAlertSchema, resolveRecords, versionFolder,
  type AlertSchemaVersion, type AvscRecord,
} from './alertSchema.ts';
import { buildType } from './avro.ts';

/**
 * Why readers of an older schema cannot read what is written with a newer one, or null when they can: by Avro's own
 * resolution, as every reader does it.
 */
export function forwardFault(older: object, newer: object): string | null {
  try {
    buildType(older).createResolver(buildType(newer));
    return null;
  } catch (error) {
    return (error as Error).message.split('\n', 1)[0];
  }
}

/**
 * Checks the records of a folder as the next version.
 *
 * Within a major version compatibility is forward and transitive: whoever has any older minor version reads what is
 * written with the new one. So fields may be added, and only fields with a default may go; names, kinds and the major
 * version in the namespace stay. A new major version may change anything.
 *
 * @param released Versions there are, oldest first, with their resolved schemas.
 * @returns What is wrong, one line each; empty when it may be added.
 */
export function releaseFaults(
  version: AlertSchemaVersion, schema: AvscRecord,
  released: ReadonlyMap<AlertSchemaVersion, object>,
): readonly string[] {
  const [major, minor] = version.split('.').map(Number);
  const same = [...released.keys()].filter((each) => Number(each.split('.')[0]) === major);
  const faults: string[] = [];
  if (released.has(version)) faults.push(`${version} is released already: what is released never changes`);
  if (!(minor >= 0 && minor <= 99)) faults.push(`${version}: a minor is at most 99, as ids are major · 100 + minor`);
  const last = same.at(-1);
  if (last !== undefined && Number(last.split('.')[1]) + 1 !== minor) faults.push(`${version} does not follow ${last}`);
  if (last === undefined && minor !== 0) faults.push(`${version}: a major version begins with minor 0`);
  if (schema.namespace !== `lsst.v${major}_${minor}`) {
    faults.push(`namespace ${schema.namespace} is not lsst.v${major}_${minor}`);
  }
  for (const older of same) {
    const fault = forwardFault(withoutNamespace(released.get(older) ?? {}), withoutNamespace(schema));
    if (fault !== null) faults.push(`readers of ${older} cannot read it: ${fault}`);
  }
  return faults;
}

/** Records are told apart by their names alone: the namespace of Rubin's schemas holds the version. */
function withoutNamespace(schema: object): object {
  return JSON.parse(JSON.stringify(schema, (key, value: unknown) => {
    if (key === 'namespace') return undefined;
    return typeof value === 'string' && /^lsst\.v\d+_\d+\.\w+$/.test(value) ? value.slice(value.lastIndexOf('.') + 1) : value;
  })) as object;
}

/** The released versions with their resolved schemas. */
export function releasedSchemas(): ReadonlyMap<AlertSchemaVersion, object> {
  return new Map(alertSchemaVersions().map((version) => [version, resolvedAlertSchema(version)]));
}

/**
 * Adds a folder of `.avsc` files as a version, whole or not at all.
 *
 * @throws Error of one line that says what is wrong with it.
 */
export function addAlertSchema(version: AlertSchemaVersion, folder: string): void {
  const records = readRecords(version, pathToFileURL(`${folder}/`));
  const schema = resolveRecords(version, (name) => {
    const record = records.get(name);
    if (record === undefined) throw new Error(`alert schema ${version} has no record ${name}`);
    return record;
  });
  try {
    buildType(schema);
  } catch (error) {
    throw new Error(`alert schema ${version} is no Avro schema: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  const faults = releaseFaults(version, schema, releasedSchemas());
  if (faults.length > 0) throw new Error(`alert schema ${version} cannot be added: ${faults.join('; ')}`);
  const target = fileURLToPath(versionFolder(version)).replace(/\/$/, '');
  if (existsSync(target)) throw new Error(`${target} exists already`);
  const part = `${target}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  for (const name of records.keys()) copyFileSync(`${folder}/${name}.avsc`, `${part}/${name}.avsc`);
  renameSync(part, target);
}
