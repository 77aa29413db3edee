import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { jetstream } from '@nats-io/jetstream';
import { consumeAlerts, consumerState } from '../../brokers/consume.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';

const STREAM = 'ALERTS_test_20261120';
/** Milliseconds for a test in which messages come again: several acknowledgement waits of 5 s. */
const AFTER_ACK_WAIT = 20_000;
const never = new AbortController().signal;

let nats: TestNats;
beforeAll(async () => {
  nats = await startTestNats();
}, 30_000);
afterAll(() => nats.stop());
beforeEach(async () => {
  await nats.jsm.streams.delete(STREAM).catch(() => false);
  await nats.jsm.streams.add({ name: STREAM, subjects: ['alerts.test.>'] });
});

async function publish(from: number, to: number, band = 'r'): Promise<void> {
  for (let i = from; i < to; i++) await jetstream(nats.connection).publish(`alerts.test.${band}`, String(i));
}

async function consume(durable: string, more: object = {}): Promise<string[]> {
  const seen: string[] = [];
  const onAlert = (message: { string(): string }): void => {
    seen.push(message.string());
  };
  await consumeAlerts({
    connection: nats.connection,
    stream: STREAM,
    durable,
    signal: never,
    untilCaughtUp: true,
    onAlert,
    ...more,
  });
  return seen;
}

test('a durable consumer gets every message once and in order, over two sessions', async () => {
  await publish(0, 300);
  const first = await consume('broker');
  await publish(300, 310);
  const second = await consume('broker');
  expect([...first, ...second]).toEqual(Array.from({ length: 310 }, (_, i) => String(i)));
  expect(await consumerState(nats.connection, STREAM, 'broker')).toEqual({
    delivered: 310,
    owed: 0,
    redelivered: 0,
    lastSequence: 310,
  });
});

test(
  'an alert whose handler throws stays owed, and comes again',
  async () => {
    await publish(0, 5);
    const failing = consume('broker', {
      onAlert: (message: { seq: number }) => {
        if (message.seq === 3) throw new Error('my disk is full');
      },
    });
    await expect(failing).rejects.toThrow('my disk is full');
    expect(await consumerState(nats.connection, STREAM, 'broker')).toMatchObject({
      delivered: 2,
      owed: 3,
      lastSequence: 2,
    });
    expect(await consume('broker')).toEqual(['2', '3', '4']);
  },
  AFTER_ACK_WAIT,
);

test(
  'what a stopped consumer had not handled is owed to the next one',
  async () => {
    await publish(0, 50);
    const stop = new AbortController();
    await consume('broker', {
      signal: stop.signal,
      onAlert: (message: { seq: number }) => {
        if (message.seq === 10) stop.abort();
      },
    });
    expect(await consumerState(nats.connection, STREAM, 'broker')).toMatchObject({ delivered: 10, owed: 40 });
    expect(await consume('broker')).toHaveLength(40);
  },
  AFTER_ACK_WAIT,
);

test('a consumer can start at a sequence or a time, and what was before is not owed to it', async () => {
  await publish(0, 10);
  await sleep(5); // A Date has whole milliseconds: the messages above must be older than the one it names.
  const time = new Date();
  await publish(10, 15);
  expect(await consume('by-sequence', { from: { sequence: 9 } })).toEqual(['8', '9', '10', '11', '12', '13', '14']);
  expect(await consume('by-time', { from: { time } })).toEqual(['10', '11', '12', '13', '14']);
  expect(await consumerState(nats.connection, STREAM, 'by-time')).toMatchObject({ delivered: 5, owed: 0 });
});

test('a consumer of one subject is owed that subject alone', async () => {
  await publish(0, 4, 'g');
  await publish(4, 6, 'r');
  expect(await consume('red', { subject: 'alerts.test.r' })).toEqual(['4', '5']);
  await publish(6, 9, 'r');
  expect(await consumerState(nats.connection, STREAM, 'red')).toMatchObject({ delivered: 2, owed: 3 });
});

test('untilCaughtUp as a signal lets a live consumer finish what is there, then end', async () => {
  const drain = new AbortController();
  const ending = consume('live', { untilCaughtUp: drain.signal });
  await publish(0, 20);
  drain.abort();
  expect(await ending).toHaveLength(20);
});

test('consumerState is null for a consumer or a stream that does not exist', async () => {
  expect(await consumerState(nats.connection, STREAM, 'nobody')).toBeNull();
  expect(await consumerState(nats.connection, 'NOTHING', 'nobody')).toBeNull();
});
