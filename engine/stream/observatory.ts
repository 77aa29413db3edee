/** Publishing and reading back the facts of the observatory. */
import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import { encodeEvent, envelope } from '../../schemas/events.ts';
import { parseObservatoryEvent } from '../../schemas/eventValidation.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { streamConfig } from './config.ts';
import type { Log } from './log.ts';
import { readStored } from './readStream.ts';
import { lastSequence } from './streams.ts';

/** Publishes one fact and waits until the log has it. A repeated one is harmless. */
export async function publishObservatory(
  log: Log, event: ObservatoryEvent, id: string, now: () => number,
): Promise<void> {
  const subject = subjects.observatory(event.instrument, event.type);
  const bytes = encodeEvent(envelope(id, event, now()));
  for (let attempt = 1; ; attempt++) {
    try {
      await log.js.publish(subject, bytes, { msgID: id });
      return;
    } catch (error) {
      // A fact that comes twice is harmless, so one that was not answered is sent again.
      if (error instanceof JetStreamApiError || attempt >= streamConfig.sendAttemptsMax) {
        throw new Error(`OBSERVATORY did not take ${event.type}: ${(error as Error).message}`, { cause: error });
      }
      await sleep(streamConfig.sendAgainMs);
    }
  }
}

/** A fact as the log holds it: its place there, and the id that it was told under. */
export type StoredObservatoryEvent = Readonly<{ sequence: number; id: string; event: ObservatoryEvent }>;

/**
 * Facts of one night in order, from its opening on.
 *
 * @param onMalformed Called with a one-line reason for every message that is not a valid event; it is passed over.
 */
export async function readObservatory(
  log: Log, instrument: string, dayObs: DayObs, onMalformed: (reason: string) => void,
): Promise<StoredObservatoryEvent[]> {
  const events: StoredObservatoryEvent[] = [];
  const stream = streams.observatory(instrument);
  for await (const message of readStored(log, stream)) {
    try {
      const { id, data } = parseObservatoryEvent(message.data);
      if (data.dayObs === dayObs && data.instrument === instrument) {
        events.push({ sequence: message.seq, id, event: data });
      }
    } catch (error) {
      onMalformed(`${stream} ${message.seq}: ${(error as Error).message}`);
    }
  }
  return events;
}

/** The last night that was opened, or null. A malformed announcement of a night is passed over. */
export async function lastNightOpened(
  log: Log, instrument: string,
): Promise<Extract<ObservatoryEvent, { type: 'NightOpened' }> | null> {
  const stream = streams.observatory(instrument), subject = subjects.observatory(instrument, 'NightOpened');
  let last: Extract<ObservatoryEvent, { type: 'NightOpened' }> | null = null;
  if (await lastSequence(log, stream) === null) return null;
  for await (const message of readStored(log, stream, 1, undefined, subject)) {
    try {
      const { data } = parseObservatoryEvent(message.data);
      if (data.type === 'NightOpened') last = data;
    } catch { /* `readObservatory` tells the operator. */ }
  }
  return last;
}
