/** Alerts of a span of time as they were sent: from the streams, and where those have expired from the archive. */
import type { DayObs } from '../../schemas/ids.ts';
import { alertHeaders, streams } from '../../schemas/subjects.ts';
import { unixMsOfMjdTai } from '../../schemas/time.ts';
import type { Log } from '../../engine/stream/log.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { heldSequences, listNights } from '../../engine/stream/streams.ts';
import { sequenceAt } from '../consume.ts';
import { archivedNights, listArchive, neighboursOf, readEntry } from './reader.ts';

export type SentAlert = Readonly<{
  /** When ALERTS stored it; of the archive alone the midpoint of the exposure. Unix ms. */
  timeMs: number;
  packet: Uint8Array;
  /** Headers without those that the server acts on. */
  headers: readonly (readonly [name: string, value: string])[];
}>;

/** Alerts stored in `from` ≤ time < `to`, night by night, in the order of publication. */
export async function* sentAlerts(
  log: Log, dataDir: string, instrument: string, fromMs: number, toMs: number,
): AsyncGenerator<SentAlert> {
  const nights = new Set([...await listNights(log, instrument), ...await archivedNights(dataDir, instrument)]);
  for (const dayObs of [...nights].sort((a, b) => a - b)) {
    const held = await heldSequences(log, streams.alerts(instrument, dayObs));
    const isHeld = held !== null && held.first === 1 && held.last > 0;
    yield* isHeld ? ofStream(log, instrument, dayObs, fromMs, toMs) : ofArchive(dataDir, instrument, dayObs, fromMs, toMs);
  }
}

async function* ofStream(
  log: Log, instrument: string, dayObs: DayObs, fromMs: number, toMs: number,
): AsyncGenerator<SentAlert> {
  const stream = streams.alerts(instrument, dayObs);
  const first = await sequenceAt(log.jsm, stream, new Date(fromMs));
  for await (const message of readStored(log, stream, first)) {
    const timeMs = message.time.getTime();
    if (timeMs >= toMs) return;
    const headers: (readonly [string, string])[] = [];
    for (const [name, values] of message.headers ?? []) {
      if (!name.toLowerCase().startsWith('nats-')) for (const value of values) headers.push([name, value]);
    }
    yield { timeMs, packet: message.data, headers };
  }
}

async function* ofArchive(
  dataDir: string, instrument: string, dayObs: DayObs, fromMs: number, toMs: number,
): AsyncGenerator<SentAlert> {
  const entries = await listArchive(dataDir, instrument, dayObs);
  for (const [place, entry] of entries.entries()) {
    const timeMs = unixMsOfMjdTai(entry.mjdTai);
    if (timeMs < fromMs || timeMs >= toMs) continue;
    const neighbours = await neighboursOf(dataDir, instrument, dayObs, entry, place);
    yield {
      timeMs, packet: await readEntry(dataDir, instrument, dayObs, entry),
      headers: [
        [alertHeaders.diaSourceId, String(entry.diaSourceId)],
        ...(neighbours === null ? [] : [[alertHeaders.neighbours, neighbours] as const]),
      ],
    };
  }
}
