/** `vesper schema list|check|add`: the versions of the alert schema, and containers of alerts from anywhere. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import {
  alertSchemaId, alertSchemaVersions, ALERT_SCHEMA_VERSION, type AlertSchemaVersion,
} from '../../schemas/alertSchema.ts';
import { ContainerError } from '../../schemas/container.ts';
import { readContainer, recode } from '../../schemas/containerFile.ts';
import { addAlertSchema } from '../../schemas/schemaRelease.ts';
import { print, printJson, table } from './output.ts';

export async function runSchemaList({ json }: Readonly<{ json: boolean }>): Promise<number> {
  const versions = alertSchemaVersions().map((version) => ({
    version, schemaId: alertSchemaId(version), isWritten: version === ALERT_SCHEMA_VERSION,
  }));
  if (json) printJson({ versions });
  else print(table(['version', 'schema id', 'packets'], versions.map(({ version, schemaId, isWritten }) => [
    version, String(schemaId), isWritten ? 'are written in it' : '-',
  ])));
  return 0;
}

/** Reads a container wholly; says whether it is sound, and whether its data are encoded again to the same bytes. */
export async function runSchemaCheck(path: string, { json }: Readonly<{ json: boolean }>): Promise<number> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new Error(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const checked = checkContainer(bytes);
  if (json) printJson({ file: path, ...checked });
  else print(`${basename(path)}: ${checked.fault ?? `${checked.data} data of ${checked.schema}, codec ${checked.codec}, `
    + `${checked.equal} encoded again to the same bytes`}`);
  return checked.fault === null && checked.equal === checked.data ? 0 : 1;
}

type Checked = Readonly<{
  schema: string | null; codec: string | null; data: number; equal: number; fault: string | null;
}>;

function checkContainer(bytes: Buffer): Checked {
  try {
    const { type, codec, data } = readContainer(bytes);
    const equal = data.filter((datum) => Buffer.compare(recode(type, datum), datum) === 0).length;
    return { schema: type.name ?? type.typeName, codec, data: data.length, equal, fault: null };
  } catch (error) {
    if (!(error instanceof ContainerError)) throw error;
    return { schema: null, codec: null, data: 0, equal: 0, fault: error.message };
  }
}

export async function runSchemaAdd(
  version: string, { from, json }: Readonly<{ from: string; json: boolean }>,
): Promise<number> {
  if (!/^[1-9]\d{0,3}\.(0|[1-9]\d?)$/.test(version)) {
    throw new Error(`a version is MAJOR.MINOR, not ${JSON.stringify(version)}`);
  }
  const added = version as AlertSchemaVersion; // By the line above.
  addAlertSchema(added, from);
  if (json) printJson({ version: added, schemaId: alertSchemaId(added) });
  else print(`alert schema ${added} is added and served as id ${alertSchemaId(added)}; packets are still written in `
    + `${ALERT_SCHEMA_VERSION} until ALERT_SCHEMA_VERSION names it (schemas/README.md)`);
  return 0;
}
