/** ALERTS on a real server: commit order, nothing lost or doubled when packing fails, and a new run goes on behind. */
import { expect, test } from 'vitest';
import { Distributor, type PackCommit } from '../../engine/stream/distributor.ts';
import type { StoredEntry } from '../../engine/stream/commitLog.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { openNightStreams } from '../../engine/stream/streams.ts';
import type { Packet } from '../../engine/stages/packet/packet.ts';
import {
  asDayObs, asDetectorId, BEFORE_EVERYTHING, exposureOf, partsOfCommitPosition, visitOf, type DayObs,
} from '../../schemas/ids.ts';
import { streams } from '../../schemas/subjects.ts';
import { serveLog } from '../support/log.ts';

const served = serveLog();

/** Commit `sequence` of a night, with `sequence` alerts. */
function commit(dayObs: DayObs, sequence: number): StoredEntry {
  return { sequence, bytes: new Uint8Array(), entry: { instrument: 'minicam', dayObs, deferred: null, corrected: null, sealed: null, associated: {
    group: 'g', visit: visitOf(dayObs, 1), exposure: exposureOf(dayObs, 1), detector: asDetectorId(sequence), attempt: 0, band: 'r',
    physicalFilter: 'r_mini', exposureSeconds: 30, midpointMjdTai: 61314.9, readoutEndedMs: 0, timeProcessedMjdTai: 61314.9,
    knownPosition: BEFORE_EVERYTHING, outcome: 'alerts', inputs: {}, detected: sequence, droppedByReason: {},
    withheld: [], summary: {}, diaSourceCount: sequence, rows: null, rowsSpool: null, cutoutSpool: null,
  } } };
}

const packets = (sequence: number): Packet[] => Array.from({ length: sequence }, (_, i): Packet => ({
  diaSourceId: BigInt(100 * sequence + i), diaObjectId: 1n, ra: 1, dec: 2, band: 'r', snr: 10, reliability: null,
  neighbours: null, bytes: Buffer.from(`packet ${sequence}/${i}`),
}));

function distributor(dayObs: DayObs, pack: PackCommit): { distributor: Distributor; failures: string[]; published: number[] } {
  const failures: string[] = [], published: number[] = [];
  const made = new Distributor({
    log: served.log, instrument: 'minicam', dayObs, pack, report: () => undefined, now: () => 1000,
    onPublished: ({ associated }) => { published.push(associated.detector); },
    onFailed: (error) => { failures.push(error.message); },
  });
  return { distributor: made, failures, published };
}

async function stored(dayObs: DayObs): Promise<string[]> {
  const found: string[] = [];
  for await (const message of readStored(served.log, streams.alerts('minicam', dayObs))) found.push(message.string());
  return found;
}

const all = (sequences: readonly number[]) => sequences.flatMap((n) => packets(n).map(({ bytes }) => Buffer.from(bytes).toString()));
const sequenceOf = (position: Parameters<PackCommit>[1]) => partsOfCommitPosition(position).sequence;

test('when one commit cannot be packed, none behind it goes out; the next run publishes all that is owed, once', async () => {
  const dayObs = asDayObs(20261001);
  await openNightStreams(served.log, 'minicam', dayObs);
  const broken = distributor(dayObs, async (_, position) => {
    if (sequenceOf(position) === 2) throw new Error('spool file is missing');
    return packets(sequenceOf(position));
  });
  await broken.distributor.resume();
  for (const sequence of [1, 2, 3]) broken.distributor.enqueue(commit(dayObs, sequence));
  await broken.distributor.drain();
  expect(broken).toMatchObject({ failures: ['spool file is missing'], published: [1] });
  expect(await stored(dayObs)).toEqual(all([1]));

  const next = distributor(dayObs, async (_, position) => packets(sequenceOf(position)));
  await next.distributor.resume();
  for (const sequence of [1, 2, 3]) next.distributor.enqueue(commit(dayObs, sequence));
  await next.distributor.drain();
  expect(next).toMatchObject({ failures: [], published: [1, 2, 3] });
  expect(await stored(dayObs)).toEqual(all([1, 2, 3]));
});

test('a distributor that died within a commit is continued behind its last alert', async () => {
  const dayObs = asDayObs(20261002);
  await openNightStreams(served.log, 'minicam', dayObs);
  const first = distributor(dayObs, async (_, position) => packets(sequenceOf(position)).slice(0, 3));
  await first.distributor.resume();
  first.distributor.enqueue(commit(dayObs, 5));
  await first.distributor.drain();
  const second = distributor(dayObs, async (_, position) => packets(sequenceOf(position)));
  await second.distributor.resume();
  for (const sequence of [5, 6]) second.distributor.enqueue(commit(dayObs, sequence));
  await second.distributor.drain();
  expect(await stored(dayObs)).toEqual(all([5, 6]));
});

test('of two distributors at work one is refused and publishes nothing out of order', async () => {
  const dayObs = asDayObs(20261003);
  await openNightStreams(served.log, 'minicam', dayObs);
  const pack: PackCommit = async (_, position) => packets(sequenceOf(position));
  const [a, b] = [distributor(dayObs, pack), distributor(dayObs, pack)];
  await Promise.all([a.distributor.resume(), b.distributor.resume()]);
  a.distributor.enqueue(commit(dayObs, 4));
  await a.distributor.drain();
  // `b` stands where the stream was before; its first commit is another one.
  b.distributor.enqueue(commit(dayObs, 7));
  await b.distributor.drain();
  expect(b.failures).toEqual([expect.stringMatching(/has alerts from another distributor/)]);
  expect(await stored(dayObs)).toEqual(all([4]));
});

test('a stream whose messages have all gone is read to its end at once', async () => {
  const dayObs = asDayObs(20261004);
  await openNightStreams(served.log, 'minicam', dayObs);
  const gone = distributor(dayObs, async (_, position) => packets(sequenceOf(position)));
  await gone.distributor.resume();
  gone.distributor.enqueue(commit(dayObs, 3));
  await gone.distributor.drain();
  await served.log.jsm.streams.purge(streams.alerts('minicam', dayObs));
  expect(await stored(dayObs)).toEqual([]);
});
