/** The projection while its store fails: nothing waits for it, nothing is left out, and the operator is told once. */
import { expect, test } from 'vitest';
import type { Apdb } from '../../apdb/apdb.ts';
import { openMemoryApdb } from '../../apdb/memory/memoryApdb.ts';
import { Projector } from '../../engine/stream/projector.ts';
import { Spool } from '../../engine/stream/spool.ts';
import type { CommitEntry } from '../../schemas/commit.ts';
import { asDetectorId, BEFORE_EVERYTHING, commitPosition, exposureOf, visitOf } from '../../schemas/ids.ts';
import { commitOf, NIGHT } from '../apdb/commits.ts';
import { correctionOf } from '../apdb/corrections.ts';

const seen = { object: 1, ra: 0.5, dec: -10, isVersion: true, isForced: true };

function associatedEntry(sequence: number): CommitEntry {
  const rows = { ssSources: [], mpcOrbits: [], ...commitOf(NIGHT, sequence, [seen]) };
  return { instrument: 'minicam', dayObs: NIGHT, deferred: null, sealed: null, corrected: null, associated: {
    group: 'g', visit: visitOf(NIGHT, sequence), exposure: exposureOf(NIGHT, sequence), attempt: 0,
    detector: asDetectorId(rows.detector), band: 'r', physicalFilter: 'r', exposureSeconds: 30,
    midpointMjdTai: rows.midpointMjdTai, readoutEndedMs: 1, timeProcessedMjdTai: 61365,
    knownPosition: BEFORE_EVERYTHING, outcome: 'alerts', inputs: {}, detected: 1, droppedByReason: {}, withheld: [],
    summary: rows.summary, diaSourceCount: 1, rows, rowsSpool: null, cutoutSpool: null,
  } };
}

test('a store that fails, once after it has written, ends with every entry once and in order', async () => {
  const whole = openMemoryApdb(), stored = openMemoryApdb();
  let calls = 0;
  const failing: Apdb = {
    ...stored,
    project: async (commits) => {
      calls++;
      if (calls === 1) throw new Error('the server is away');
      await stored.project(commits);
      if (calls === 2) throw new Error('the connection broke after the commit'); // Nobody knows that it is written.
    },
  };
  const troubles: (string | null)[] = [], positions: number[] = [];
  const projector = new Projector(failing, (position) => positions.push(position), (why) => troubles.push(why));
  const commits = [1, 2].map((sequence) => commitOf(NIGHT, sequence, [seen]));
  const correction = correctionOf(commitPosition(NIGHT, 3), commits, [], {}, {
    kind: 'closed', closedDiaObjectIds: [1n] });
  await whole.project([...commits, correction]);
  const spool = new Spool('/nonexistent', 'minicam', NIGHT); // Rows are in the entries.
  const entries: CommitEntry[] = [associatedEntry(1), associatedEntry(2), {
    instrument: 'minicam', dayObs: NIGHT, associated: null, deferred: null, sealed: null,
    corrected: correction.corrected,
  }];
  entries.forEach((entry, i) => projector.enqueue({ sequence: i + 1, entry, bytes: new Uint8Array() }, spool));
  await projector.drain();
  expect(await stored.digest()).toEqual(await whole.digest());
  expect(positions.at(-1)).toBe(commitPosition(NIGHT, 3));
  expect(troubles).toEqual(['the server is away', null]);
});
