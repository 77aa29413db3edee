/** Publishing and reading back the facts of the observatory. */
import type { ObservatoryEvent } from '../../schemas/events.ts';
import { encodeEvent, envelope } from '../../schemas/events.ts';
import { parseObservatoryEvent } from '../../schemas/eventValidation.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import type { Log } from './log.ts';
import { readStored } from './readStream.ts';
import { lastOnSubject } from './streams.ts';

/** Publishes one fact and waits until the log has it. A repeated one is harmless. */
export async function publishObservatory(
  log: Log, event: ObservatoryEvent, id: string, now: () => number,
): Promise<void> {
  const subject = subjects.observatory(event.instrument, event.type);
  await log.js.publish(subject, encodeEvent(envelope(id, event, now())), { msgID: id });
}

export type StoredObservatoryEvent = Readonly<{ sequence: number; event: ObservatoryEvent }>;

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
      const { data } = parseObservatoryEvent(message.data);
      if (data.dayObs === dayObs && data.instrument === instrument) {
        events.push({ sequence: message.seq, event: data });
      }
    } catch (error) {
      onMalformed(`${stream} ${message.seq}: ${(error as Error).message}`);
    }
  }
  return events;
}

/** The last night that was opened, or null. */
export async function lastNightOpened(
  log: Log, instrument: string,
): Promise<Extract<ObservatoryEvent, { type: 'NightOpened' }> | null> {
  const message = await lastOnSubject(
    log, streams.observatory(instrument), subjects.observatory(instrument, 'NightOpened'),
  );
  if (!message) return null;
  const { data } = parseObservatoryEvent(message.data);
  return data.type === 'NightOpened' ? data : null;
}
