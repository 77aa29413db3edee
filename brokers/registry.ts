/** The alert schemas as a Confluent schema registry serves them, read-only: for deserializers that ask one. */
import { alertSchemaId, alertSchemaJson, alertSchemaVersion, alertSchemaVersions } from '../schemas/alertSchema.ts';

/** Subject under which all versions stand, as in Rubin's registry. */
export const ALERT_SUBJECT = 'alert-packet';

/** What answers a request: JSON text, or null when the path is none of the registry's. */
export type RegistryAnswer = Readonly<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json';
/** What a version writes, readers of every earlier one of its major can read: `vesper schema add` holds it to that. */
const COMPATIBILITY = 'FORWARD_TRANSITIVE';
/** What Confluent's registry can send; a client that accepts none of these gets 406. */
const ACCEPTABLE: ReadonlySet<string> = new Set([
  CONTENT_TYPE,
  'application/vnd.schemaregistry+json',
  'application/json',
  'application/*',
  '*/*',
]);

/**
 * Answers GET with Confluent's bodies and error codes on `/schemas`, `/schemas/types`,
 * `/schemas/ids/{id}[/schema|/subjects|/versions]`, `/subjects`, `/subjects/{subject}/versions`,
 * `/subjects/{subject}/versions/{version|latest}[/schema]`, `/config[/{subject}]` and `/mode[/{subject}]`.
 * Versions count from 1 in the order of release; ids are those in the packets' frames.
 *
 * @param path As in the request line, query and all.
 * @param accept The Accept header, if there was one.
 * @returns null when the path begins with none of these.
 */
export function answerRegistryRequest(method: string, path: string, accept?: string): RegistryAnswer | null {
  const segments = path
    .split('?', 1)[0]
    .split('/')
    .slice(1)
    .filter((segment, i, all) => segment !== '' || i < all.length - 1);
  const answer = answers.get(segments[0]);
  if (answer === undefined) return null;
  if (!accepts(accept)) return failure(406, 406, 'HTTP 406 Not Acceptable');
  if (method !== 'GET')
    return { ...failure(405, 405, 'HTTP 405 Method Not Allowed'), headers: { ...jsonHeaders, allow: 'GET' } };
  return answer(segments);
}

const jsonHeaders = { 'content-type': CONTENT_TYPE } as const;

/** By the first segment, in a Map: a request may name what every object has, such as `constructor`. */
const answers: ReadonlyMap<string, (segments: readonly string[]) => RegistryAnswer> = new Map([
  ['schemas', answerSchemas],
  ['subjects', answerSubjects],
  ['config', (segments) => answerSetting(segments, { compatibilityLevel: COMPATIBILITY })],
  ['mode', (segments) => answerSetting(segments, { mode: 'READONLY' })],
]);

function answerSchemas(segments: readonly string[]): RegistryAnswer {
  if (segments.length === 1) return success(alertSchemaVersions().map(registeredVersion));
  if (segments.length === 2 && segments[1] === 'types') return success(['AVRO']);
  if (segments[1] !== 'ids' || segments.length < 3 || segments.length > 4) return notFound();
  const [, , id, part] = segments;
  const version = /^\d{1,9}$/.test(id) ? alertSchemaVersion(Number(id)) : null;
  if (version === null) return failure(404, 40403, 'Schema not found');
  const schema = alertSchemaJson(version);
  switch (part) {
    case undefined: return success({ schema });
    case 'schema': return { status: 200, headers: jsonHeaders, body: schema };
    case 'subjects': return success([ALERT_SUBJECT]);
    case 'versions': return success([{ subject: ALERT_SUBJECT, version: alertSchemaVersions().indexOf(version) + 1 }]);
    default: return notFound();
  }
}

function answerSubjects(segments: readonly string[]): RegistryAnswer {
  if (segments.length === 1) return success([ALERT_SUBJECT]);
  const [, subject, list, wanted, part] = segments;
  if (segments.length > 5 || list !== 'versions' || (part !== undefined && part !== 'schema')) return notFound();
  if (subject !== ALERT_SUBJECT) return failure(404, 40401, 'Subject not found.');
  const versions = alertSchemaVersions();
  if (wanted === undefined) return success(versions.map((_, i) => i + 1));
  if (wanted !== 'latest' && !/^[1-9]\d{0,8}$/.test(wanted)) {
    return failure(
      422,
      42202,
      'The specified version is not a valid version id. ' +
        'Allowed values are between [1, 2^31-1] and the string "latest"',
    );
  }
  const number = wanted === 'latest' ? versions.length : Number(wanted);
  if (number > versions.length) return failure(404, 40402, `Version ${number} not found.`);
  const registered = registeredVersion(versions[number - 1], number - 1);
  return part === undefined ? success(registered) : { status: 200, headers: jsonHeaders, body: registered.schema };
}

function registeredVersion(version: ReturnType<typeof alertSchemaVersions>[number], index: number) {
  return {
    subject: ALERT_SUBJECT,
    version: index + 1,
    id: alertSchemaId(version),
    schemaType: 'AVRO',
    schema: alertSchemaJson(version),
  };
}

function answerSetting(segments: readonly string[], setting: object): RegistryAnswer {
  if (segments.length > 2) return notFound();
  if (segments.length === 2 && segments[1] !== ALERT_SUBJECT) return failure(404, 40401, 'Subject not found.');
  return success(setting);
}

function accepts(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  return accept.split(',').some((part) => ACCEPTABLE.has(part.split(';', 1)[0].trim().toLowerCase()));
}

function success(value: unknown): RegistryAnswer {
  return { status: 200, headers: jsonHeaders, body: JSON.stringify(value) };
}

function notFound(): RegistryAnswer {
  return failure(404, 404, 'HTTP 404 Not Found');
}

function failure(status: number, errorCode: number, message: string): RegistryAnswer {
  return { status, headers: jsonHeaders, body: JSON.stringify({ error_code: errorCode, message }) };
}
