import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { jetstream } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/nats-core';
import { compileFilter, type CompiledFilter } from '../../brokers/filters/expression.ts';
import { countMatches, filterHeaders, runFilterService, type FilterProgress } from '../../brokers/filters/service.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT, samplePacket } from './sampleAlerts.ts';

const ALERTS = streams.alerts(INSTRUMENT, NIGHT);
const FILTERED = streams.filtered(INSTRUMENT, NIGHT);
/** The counter of a sample alert is also its SNR, so that every third one matches. */
const filter = compileFilter({ user: 'ana', name: 'thirds', version: 1, expression: 'int(diaSource.snr) % 3 == 0' });
const SUBJECT = subjects.filtered('ana', 'thirds', INSTRUMENT, NIGHT);

let nats: TestNats;
beforeAll(async () => {
  nats = await startTestNats();
}, 30_000);
afterAll(() => nats.stop());
beforeEach(async () => {
  for (const name of [ALERTS, FILTERED]) await nats.jsm.streams.delete(name).catch(() => false);
  await nats.jsm.streams.add({ name: ALERTS, subjects: [subjects.alertsAll(INSTRUMENT, NIGHT)] });
  await nats.jsm.streams.add({ name: FILTERED, subjects: [subjects.filteredAll(INSTRUMENT, NIGHT)] });
});

async function publishAlerts(from: number, to: number): Promise<Buffer[]> {
  const packets: Buffer[] = [];
  for (let counter = from; counter < to; counter++) {
    packets.push(samplePacket(counter));
    await jetstream(nats.connection).publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), packets.at(-1));
  }
  return packets;
}

function run(
  connection: NatsConnection,
  filters: readonly CompiledFilter[],
  signal = new AbortController().signal,
  onProgress?: (progress: readonly FilterProgress[]) => void,
): Promise<readonly FilterProgress[]> {
  return runFilterService({
    connection,
    instrument: INSTRUMENT,
    dayObs: NIGHT,
    filters,
    signal,
    untilCaughtUp: true,
    ...(onProgress ? { onProgress } : {}),
  });
}

async function filteredMessages(): Promise<{ alertSequence: number; data: Uint8Array }[]> {
  const { state } = await nats.jsm.streams.info(FILTERED);
  const found = [];
  for (let seq = 1; seq <= state.last_seq; seq++) {
    const message = await nats.jsm.streams.getMessage(FILTERED, { seq });
    if (message === null) throw new Error(`no message ${seq}`);
    found.push({ alertSequence: Number(message.header.get(filterHeaders.alertSequence)), data: message.data });
  }
  return found;
}

test('runFilterService publishes exactly the matching packets, their bytes unchanged, in order', async () => {
  const packets = await publishAlerts(0, 30);
  const [progress] = await run(nats.connection, [filter]);
  const wanted = packets.flatMap((packet, i) => (i % 3 === 0 ? [{ alertSequence: i + 1, data: packet }] : []));
  const found = await filteredMessages();
  expect(found.map((each) => each.alertSequence)).toEqual(wanted.map((each) => each.alertSequence));
  expect(found.every((each, i) => Buffer.compare(each.data, wanted[i].data) === 0)).toBe(true);
  expect(progress).toMatchObject({
    evaluated: 30,
    matched: 10,
    published: 10,
    adopted: 0,
    errors: 0,
    alertSequence: 30,
  });
  expect(await countMatches(filter, packets)).toEqual({ evaluated: 30, matched: 10, undecided: 0, errors: 0 });
});

test('a filter whose connection dies in mid-stream goes on in a new one without loss or doubling', async () => {
  await publishAlerts(0, 300);
  const doomed = await nats.connectAgain();
  const dying = run(doomed, [filter], undefined, ([{ published }]) => {
    if (published > 0) void doomed.close(); // Nothing is drained, as when the process is killed.
  });
  await expect(dying).rejects.toThrow();
  await run(nats.connection, [filter]);
  await publishAlerts(300, 330);
  await run(nats.connection, [filter]);
  const sequences = (await filteredMessages()).map((each) => each.alertSequence);
  expect(sequences).toEqual(Array.from({ length: 110 }, (_, i) => 3 * i + 1));
});

test('two instances of a filter at work at once publish each match once', async () => {
  await publishAlerts(0, 200);
  const [a, b] = await Promise.all([
    run(nats.connection, [filter]),
    nats.connectAgain().then((other) => run(other, [filter])),
  ]);
  const sequences = (await filteredMessages()).map((each) => each.alertSequence);
  expect(sequences).toEqual(Array.from({ length: 67 }, (_, i) => 3 * i + 1));
  expect(a[0].published + b[0].published).toBe(67);
});

test('a match that another instance wrote between evaluation and publication is adopted, not doubled', async () => {
  await publishAlerts(0, 1);
  const js = jetstream(nats.connection);
  // Without a message id, as after the duplicate window: only the expected sequence can tell.
  const made = headers();
  made.set(filterHeaders.alertSequence, '1');
  let isWritten = false;
  const overtaken: CompiledFilter = {
    ...filter,
    evaluate: (alert) => {
      if (!isWritten) void js.publish(SUBJECT, 'by the other one', { headers: made });
      isWritten = true;
      return filter.evaluate(alert);
    },
  };
  expect((await run(nats.connection, [overtaken]))[0]).toMatchObject({ matched: 1, published: 0, adopted: 1 });
  expect((await filteredMessages()).map((each) => each.alertSequence)).toEqual([1]);
});

test('several filters share one pass and each resumes from its own last match', async () => {
  await publishAlerts(0, 10);
  const all = compileFilter({ user: 'ben', name: 'all', version: 1, expression: 'diaSource.snr >= 0.0' });
  await run(nats.connection, [filter]);
  const [thirds, every] = await run(nats.connection, [filter, all]);
  expect(every).toMatchObject({ evaluated: 10, published: 10 });
  expect(thirds).toMatchObject({ evaluated: 0, published: 0 }); // Alert 10 was its last match and the last alert.
});

test('an alert that cannot be decoded counts as an error and does not stop the filter', async () => {
  await publishAlerts(0, 1);
  await jetstream(nats.connection).publish(
    subjects.alerts(INSTRUMENT, NIGHT, 'r'),
    new Uint8Array([0, 0, 0, 4, 76, 9]),
  );
  await publishAlerts(3, 4);
  const [progress] = await run(nats.connection, [filter]);
  expect(progress).toMatchObject({ evaluated: 3, matched: 2, errors: 1, published: 2 });
});
