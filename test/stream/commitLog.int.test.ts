/** COMMITS on a real server: one writer at a time, nothing lost or doubled whatever is killed or repeated. */
import { expect, test } from 'vitest';
import { asDayObs, asDetectorId, exposureOf, visitOf } from '../../schemas/ids.ts';
import { encodeCommitEntry, NightDigest, type CommitEntry } from '../../schemas/commit.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { CommitLog, CommitRefused, isNightSealed, readCommits } from '../../engine/stream/commitLog.ts';
import { listNights, openNightStreams } from '../../engine/stream/streams.ts';
import { serveLog } from '../support/log.ts';

const served = serveLog();

function deferral(dayObs: number, detector: number): CommitEntry {
  const day = asDayObs(dayObs);
  return { instrument: 'minicam', dayObs: day, associated: null, corrected: null, sealed: null, deferred: {
    group: 'g', visit: visitOf(day, 1), exposure: exposureOf(day, 1), detector: asDetectorId(detector), attempt: 0,
    stage: 'isr', code: 'FRAME_CONSTANT', reason: 'every amp reads one value',
    deferredMjdTai: 61314.9, readoutEndedMs: null,
  } };
}

async function detectorsIn(dayObs: number): Promise<(number | 'seal')[]> {
  const found: (number | 'seal')[] = [];
  for await (const { entry } of readCommits(served.log, 'minicam', asDayObs(dayObs))) {
    found.push(entry.deferred ? entry.deferred.detector : 'seal');
  }
  return found;
}

test('of two writers the second is refused, reads what the first wrote, and may go on behind it', async () => {
  const day = 20261001;
  const a = await CommitLog.open(served.log, 'minicam', asDayObs(day), () => undefined);
  const b = await CommitLog.open(served.log, 'minicam', asDayObs(day), () => undefined);
  await a.append(deferral(day, 1), 'one');
  const refused = await b.append(deferral(day, 2), 'two').catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(CommitRefused);
  expect((refused as CommitRefused).stored.map(({ entry }) => entry.deferred?.detector)).toEqual([1]);
  await b.append(deferral(day, 2), 'two');
  expect(await detectorsIn(day)).toEqual([1, 2]);
});

test('an entry that was stored although its acknowledgement was lost is adopted, not doubled', async () => {
  const day = 20261002;
  const a = await CommitLog.open(served.log, 'minicam', asDayObs(day), () => undefined);
  const b = await CommitLog.open(served.log, 'minicam', asDayObs(day), () => undefined);
  // `a` stands for this writer before it lost the acknowledgement, `b` for the same writer's retry.
  const { sequence } = await a.append(deferral(day, 1), 'one');
  expect((await b.append(deferral(day, 1), 'one')).sequence).toBe(sequence);
  expect(await detectorsIn(day)).toEqual([1]);
});

test('the first entry of a night is fenced like every other', async () => {
  const day = 20261003;
  const writers = await Promise.all(
    [1, 2, 3].map(() => CommitLog.open(served.log, 'minicam', asDayObs(day), () => undefined)),
  );
  const results = await Promise.allSettled(writers.map((writer, i) => writer.append(deferral(day, i), `entry-${i}`)));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(await detectorsIn(day)).toHaveLength(1);
});

test('a seal holds the count and digest of all entries, and ends the night', async () => {
  const day = 20261004;
  const commits = await CommitLog.open(served.log, 'minicam', asDayObs(day), () => undefined);
  const digest = new NightDigest();
  for (const detector of [1, 2, 3]) digest.add((await commits.append(deferral(day, detector), `d${detector}`)).bytes);
  expect(await isNightSealed(served.log, 'minicam', asDayObs(day))).toBe(false);
  expect((await commits.seal()).entry.sealed).toEqual({
    entries: 3, digest: digest.hex(), nextStream: 'COMMITS_minicam_20261005',
  });
  expect(await isNightSealed(served.log, 'minicam', asDayObs(day))).toBe(true);
  await expect(commits.append(deferral(day, 4), 'd4')).rejects.toThrow('night 20261004 of minicam is sealed');
  const reopened = await CommitLog.open(served.log, 'minicam', asDayObs(day), () => undefined);
  expect(reopened.isSealed).toBe(true);
});

test('no message of COMMITS can be deleted or purged', async () => {
  const stream = streams.commits('minicam', asDayObs(20261001));
  await expect(served.log.jsm.streams.deleteMessage(stream, 1)).rejects.toThrow();
  await expect(served.log.jsm.streams.purge(stream)).rejects.toThrow();
});

test('an entry that is none, and one of another night, are refused by place in one line', async () => {
  const night = (dayObs: number) => CommitLog.open(served.log, 'othercamera', asDayObs(dayObs), () => undefined);
  for (const [dayObs, bytes, said] of [
    [20260901, Buffer.from('not an entry'), /^COMMITS_othercamera_\d+, entry 1: commit entry of 12 bytes cannot be/],
    [20260902, encodeCommitEntry(deferral(20260901, 1)), /^COMMITS_othercamera_\d+, entry 1 is one of night 2026090/],
  ] as const) {
    const commits = await night(dayObs);
    await served.log.js.publish(subjects.commits('othercamera', asDayObs(dayObs)), bytes);
    await expect(night(dayObs)).rejects.toThrow(said);
    await expect(isNightSealed(served.log, 'othercamera', asDayObs(dayObs))).rejects.toThrow(said);
    await expect(commits.seal()).rejects.toThrow(said);
  }
});

test('a stream that exists with another configuration is refused by name', async () => {
  const name = streams.alerts('othercam', asDayObs(20261001));
  await served.log.jsm.streams.add({ name, subjects: ['alerts.othercam.20261001.>'], max_msgs: 5 });
  await expect(openNightStreams(served.log, 'othercam', asDayObs(20261001)))
    .rejects.toThrow(new RegExp(`stream ${name} has .* needed`));
});

test('nights are listed oldest first, of the instrument asked for alone', async () => {
  await openNightStreams(served.log, 'mini', asDayObs(20250101));
  expect(await listNights(served.log, 'mini')).toEqual([20250101]);
  expect(await listNights(served.log, 'minicam')).toEqual([20261001, 20261002, 20261003, 20261004]);
});
