import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { compileFilter, type CompiledFilter } from '../../brokers/filters/expression.ts';
import { decodeSelection, type VisitSelection } from '../../brokers/filters/selection.ts';
import { auditSelections } from '../../brokers/filters/selectionCheck.ts';
import { runFilterService, type FilterProgress } from '../../brokers/filters/service.ts';
import { closeLog, openLog, type Log } from '../../engine/stream/log.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { encodeDiaSource } from '../../schemas/avro.ts';
import { encodeEvent, envelope } from '../../schemas/events.ts';
import { asDetectorId, diaSourceIdOf, exposureOf, visitOf } from '../../schemas/ids.ts';
import { assemblePacket, splitPacket } from '../../schemas/packet.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { startTestNats, type TestNats } from '../support/nats.ts';
import { INSTRUMENT, NIGHT, sampleSource } from './sampleAlerts.ts';

const ALERTS = streams.alerts(INSTRUMENT, NIGHT);
const FILTERED = streams.filtered(INSTRUMENT, NIGHT);
const DETECTOR = asDetectorId(4);
const ranked = (user: string, name: string, expression: string, rank = 'diaSource.snr'): CompiledFilter =>
  compileFilter({ user, name, version: 1, expression, rank });
const best = ranked('ana', 'best', 'diaSource.snr >= 0.0');

let nats: TestNats;
let log: Log;
beforeAll(async () => {
  nats = await startTestNats();
  log = await openLog(nats.url, 'test', () => undefined);
}, 30_000);
afterAll(async () => {
  await closeLog(log);
  await nats.stop();
});
beforeEach(async () => {
  const wanted = [
    [ALERTS, subjects.alertsAll(INSTRUMENT, NIGHT)], [FILTERED, subjects.filteredAll(INSTRUMENT, NIGHT)],
    [streams.observatory(INSTRUMENT), subjects.observatoryAll(INSTRUMENT)],
    [streams.pipeline(INSTRUMENT), subjects.pipelineAll(INSTRUMENT)],
  ] as const;
  for (const [name, subject] of wanted) {
    await nats.jsm.streams.delete(name).catch(() => false);
    await nats.jsm.streams.add({ name, subjects: [subject] });
  }
});

/** Publishes an alert of a visit; its counter is also its SNR unless given. */
async function publish(visitNumber: number, counter: number, snr = counter): Promise<void> {
  const visit = visitOf(NIGHT, visitNumber);
  const diaSourceId = diaSourceIdOf(visit, DETECTOR, counter);
  const source = sampleSource(counter, { diaSourceId, visit: BigInt(visit), snr });
  const packet = assemblePacket({
    diaSourceId, observationReason: null, targetName: null, diaSource: encodeDiaSource(source), prvDiaSources: null,
    prvDiaForcedSources: null, diaObject: null, ssSource: null, mpcOrbit: null, cutoutDifference: null,
    cutoutScience: null, cutoutTemplate: null,
  });
  await jetstream(nats.connection).publish(subjects.alerts(INSTRUMENT, NIGHT, 'r'), packet);
}

async function publishInterleaved(visits: readonly number[], count: number): Promise<void> {
  for (let counter = 0; counter < count; counter++) for (const visit of visits) await publish(visit, counter);
}

const names = (visitNumber: number): object => ({
  instrument: INSTRUMENT, group: 'g', visit: visitOf(NIGHT, visitNumber), exposure: exposureOf(NIGHT, visitNumber),
});

async function tellReadout(visitNumber: number, readoutEndedMs: number): Promise<void> {
  const event = {
    ...names(visitNumber), type: 'DetectorRead', instrument: INSTRUMENT, dayObs: NIGHT, snap: 0, detector: DETECTOR,
    uri: 'raw.fits', bytes: 1, checksum: '0'.repeat(64), readoutEndedMs,
  };
  await jetstream(nats.connection).publish(
    subjects.observatory(INSTRUMENT, 'DetectorRead'), encodeEvent(envelope('id', event, readoutEndedMs)),
  );
}

async function tellCompleted(visitNumber: number, readoutEndedMs: number): Promise<void> {
  const event = { ...names(visitNumber), type: 'VisitCompleted', instrument: INSTRUMENT, readoutEndedMs };
  await jetstream(nats.connection).publish(
    subjects.pipeline(INSTRUMENT, visitOf(NIGHT, visitNumber), 'all', 'VisitCompleted'),
    encodeEvent(envelope('id', event, readoutEndedMs)),
  );
}

function run(
  filters: readonly CompiledFilter[], connection: NatsConnection = nats.connection,
  more: Readonly<{ signal?: AbortSignal; untilCaughtUp?: boolean }> = {},
): Promise<readonly FilterProgress[]> {
  return runFilterService({
    connection, instrument: INSTRUMENT, dayObs: NIGHT, filters, signal: more.signal ?? new AbortController().signal,
    untilCaughtUp: more.untilCaughtUp ?? true,
  });
}

/** Runs without end until `isDone`, then stops. */
async function runUntil(filters: readonly CompiledFilter[], isDone: () => Promise<boolean>): Promise<void> {
  const stop = new AbortController();
  const running = run(filters, nats.connection, { signal: stop.signal, untilCaughtUp: false });
  for (let tries = 0; tries < 200 && !(await isDone()); tries++) await sleep(50);
  stop.abort();
  await running;
}

async function selections(user = 'ana'): Promise<VisitSelection[]> {
  const found: VisitSelection[] = [];
  const subject = subjects.filtered(user, '_selection', INSTRUMENT, NIGHT);
  for await (const { data } of readStored(log, FILTERED, 1, undefined, subject)) found.push(decodeSelection(data));
  return found;
}

async function delivered(user: string, name: string): Promise<bigint[]> {
  const ids: bigint[] = [];
  const subject = subjects.filtered(user, name, INSTRUMENT, NIGHT);
  for await (const { data } of readStored(log, FILTERED, 1, undefined, subject)) {
    ids.push(splitPacket(data).diaSourceId);
  }
  return ids;
}

const idsOf = (visitNumber: number, counters: readonly number[]): bigint[] =>
  counters.map((counter) => diaSourceIdOf(visitOf(NIGHT, visitNumber), DETECTOR, counter));
const down = (from: number, to: number): number[] => Array.from({ length: from - to + 1 }, (_, i) => from - i);

test('of interleaved visits each gives its user the 20 best, best first, and the rest is counted', async () => {
  await publishInterleaved([1, 2, 3], 30);
  const [progress] = await run([best]);
  expect(await delivered('ana', 'best')).toEqual([1, 2, 3].flatMap((visit) => idsOf(visit, down(29, 10))));
  expect(progress).toMatchObject({ evaluated: 90, matched: 90, published: 60, adopted: 0, dropped: 30, late: 0 });
  expect(await auditSelections(log, INSTRUMENT, NIGHT)).toEqual({
    selections: 3, matched: 90, selected: 60, dropped: 30, late: 0, waiting: 0, delivered: 60, violations: [],
  });
});

test('two filters of a user share the 20, another user has 20 of his own, one without a rank has no cap', async () => {
  await publishInterleaved([1], 40);
  const all = compileFilter({ user: 'ana', name: 'all', version: 1, expression: 'diaSource.snr >= 0.0' });
  const progress = await run([
    best, ranked('ana', 'worst', 'diaSource.snr < 5.0', '-diaSource.snr'), ranked('ben', 'best', 'true'), all,
  ]);
  expect(progress.map(({ published }) => published)).toEqual([15, 5, 20, 40]);
  expect(await delivered('ana', 'worst')).toEqual(idsOf(1, [0, 1, 2, 3, 4]));
  expect((await auditSelections(log, INSTRUMENT, NIGHT)).violations).toEqual([]);
});

test('a visit is selected from when it is completed, while another one goes on', async () => {
  await publishInterleaved([1, 2], 5);
  await tellCompleted(1, Date.now());
  await runUntil([best], async () => (await delivered('ana', 'best')).length === 5);
  expect(await selections()).toMatchObject([{ visit: visitOf(NIGHT, 1), closedBy: 'visitCompleted', resumeFrom: 2 }]);
  await publish(2, 5);
  await run([best]); // A second run takes up the open visit with what the first had seen of it.
  expect(await delivered('ana', 'best')).toEqual([...idsOf(1, down(4, 0)), ...idsOf(2, down(5, 0))]);
  expect(await auditSelections(log, INSTRUMENT, NIGHT)).toMatchObject({ matched: 11, waiting: 0, violations: [] });
});

test('50 s after its readout a visit is selected from without being completed, and what follows is late', async () => {
  await publishInterleaved([1], 3);
  await tellReadout(1, Date.now() - 49_000);
  await runUntil([best], async () => (await delivered('ana', 'best')).length === 3);
  expect(await selections()).toMatchObject([{ closedBy: 'deadline', filters: [{ matched: 3, late: 0 }] }]);
  await publish(1, 3);
  expect((await run([best]))[0]).toMatchObject({ matched: 1, published: 0, late: 1 });
  const audit = await auditSelections(log, INSTRUMENT, NIGHT);
  expect(audit).toMatchObject({ matched: 4, selected: 3, late: 1, violations: [] });
});

test('alerts that ALERTS stored after T + 50 s are late, however long the service was down', async () => {
  await tellReadout(1, Date.now() - 60_000);
  await tellCompleted(1, Date.now() - 60_000);
  await publishInterleaved([1], 3);
  await run([best]);
  expect(await selections()).toMatchObject([{ filters: [{ matched: 3, selected: [], dropped: 0, late: 3 }] }]);
});

test('a service that dies between record and delivery goes on in a new one without loss or doubling', async () => {
  await publishInterleaved([1, 2], 30);
  const doomed = await nats.connectAgain();
  const dying = run([best], doomed);
  dying.catch(() => undefined);
  while ((await delivered('ana', 'best')).length < 3) await sleep(1);
  await doomed.close(); // Nothing is drained, as when the process is killed.
  await dying.catch(() => undefined);
  await run([best]);
  expect(await delivered('ana', 'best')).toEqual([1, 2].flatMap((visit) => idsOf(visit, down(29, 10))));
  expect((await auditSelections(log, INSTRUMENT, NIGHT)).violations).toEqual([]);
});

test('two instances at once make one selection of each visit and deliver it once', async () => {
  await publishInterleaved([1, 2, 3], 30);
  await Promise.all([run([best]), nats.connectAgain().then((other) => run([best], other))]);
  expect(await selections()).toHaveLength(3);
  expect(await auditSelections(log, INSTRUMENT, NIGHT)).toMatchObject({ selected: 60, delivered: 60, violations: [] });
});

test('an audit finds an alert that was delivered without a selection, and one that was not delivered', async () => {
  await publishInterleaved([1], 3);
  await run([best]);
  const entry = await nats.jsm.streams.getMessage(FILTERED, { seq: 2 });
  if (entry === null) throw new Error('the first alert of the selection is message 2');
  await nats.jsm.streams.deleteMessage(FILTERED, 2);
  expect((await auditSelections(log, INSTRUMENT, NIGHT)).violations).toEqual([
    expect.stringMatching(/^selection 1 of ana, visit 2026112000001: ana\.best@1 selected 3, delivered 2/),
  ]);
});
