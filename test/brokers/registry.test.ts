import { expect, test } from 'vitest';
import { answerRegistryRequest } from '../../brokers/registry.ts';
import { resolvedAlertSchema } from '../../schemas/alertSchema.ts';

function get(path: string, accept?: string): { status: number; body: unknown } {
  const answer = answerRegistryRequest('GET', path, accept);
  if (answer === null) throw new Error(`${path} is not the registry's`);
  return { status: answer.status, body: JSON.parse(answer.body) };
}

test('the id in a packet’s frame leads to the schema it was written with', () => {
  const { status, body } = get('/schemas/ids/1100');
  expect(status).toBe(200);
  expect(JSON.parse((body as { schema: string }).schema)).toEqual(resolvedAlertSchema('11.0'));
});

test('a subject’s latest version names its id and schema', () => {
  expect(get('/subjects')).toEqual({ status: 200, body: ['alert-packet'] });
  expect(get('/subjects/alert-packet/versions')).toEqual({ status: 200, body: [1] });
  const latest = get('/subjects/alert-packet/versions/latest');
  expect(latest.body).toMatchObject({ subject: 'alert-packet', version: 1, id: 1100 });
  expect(get('/subjects/alert-packet/versions/1')).toEqual(latest);
  expect(get('/schemas/ids/1100/versions').body).toEqual([{ subject: 'alert-packet', version: 1 }]);
});

test('whoever wants the schema alone, all schemas, or the rules gets them', () => {
  const latest = get('/subjects/alert-packet/versions/latest').body as { schema: string };
  expect(get('/schemas').body).toEqual([latest]);
  expect(get('/schemas/ids/1100/schema').body).toEqual(JSON.parse(latest.schema));
  expect(get('/subjects/alert-packet/versions/1/schema').body).toEqual(JSON.parse(latest.schema));
  expect(get('/schemas/ids/1100/subjects').body).toEqual(['alert-packet']);
  expect(get('/config').body).toEqual({ compatibilityLevel: 'FORWARD_TRANSITIVE' });
  expect(get('/config/alert-packet')).toEqual(get('/config'));
  expect(get('/mode').body).toEqual({ mode: 'READONLY' });
});

test.each([
  ['/schemas/ids/1', 404, 40403],
  ['/schemas/ids/x', 404, 40403],
  ['/schemas/ids/99999999999', 404, 40403],
  ['/subjects/other/versions', 404, 40401],
  ['/subjects/alert-packet/versions/2', 404, 40402],
  ['/subjects/alert-packet/versions/0', 422, 42202],
  ['/subjects/alert-packet/versions/a', 422, 42202],
  ['/schemas/ids', 404, 404],
  ['/config/other', 404, 40401],
  ['/subjects/alert-packet/versions/1/secret', 404, 404],
  ['/subjects/alert-packet', 404, 404],
  ['/schemas/ids/1100/secret', 404, 404],
])('%s is answered %i with error_code %i, as Confluent’s registry does', (path, status, code) => {
  const answer = get(path);
  expect(answer.status).toBe(status);
  expect(answer.body).toMatchObject({ error_code: code, message: expect.any(String) });
});

test('a client that accepts nothing that the registry sends gets 406; Confluent’s own Accept header does not', () => {
  expect(get('/subjects', 'text/html').status).toBe(406);
  const confluent =
    'application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5';
  expect(get('/subjects', confluent).status).toBe(200);
});

test('nothing can be registered or deleted, and other paths are not the registry’s', () => {
  expect(answerRegistryRequest('POST', '/subjects/alert-packet/versions')?.status).toBe(405);
  expect(answerRegistryRequest('DELETE', '/subjects/alert-packet')?.status).toBe(405);
  for (const path of ['/', '/constructor', '/__proto__', '/toString']) {
    expect(answerRegistryRequest('GET', path)).toBeNull();
  }
});
