/** Progress events on PIPELINE: published without waiting, for people and metrics. */
import type { PipelineEvent } from '../../schemas/events.ts';
import { encodeEvent, envelope } from '../../schemas/events.ts';
import { messageId, subjects } from '../../schemas/subjects.ts';
import type { Visit } from '../../schemas/ids.ts';
import type { Log } from './log.ts';

/** @param atMs Wall clock of the fact, Unix ms; now by default. */
export type Report = (event: PipelineEvent, atMs?: number) => void;

/** Before a visit id is known, progress of a group goes under visit 0. */
const NO_VISIT = 0 as Visit; // A subject token, never a visit.

/**
 * A reporter that publishes in the background. A lost progress event harms nobody: what decides anything is in
 * COMMITS.
 *
 * @param now   Wall clock, Unix ms.
 * @param watch Sees every event as well, at once.
 */
export function progressReporter(
  log: Log, now: () => number, watch: Report,
): { report: Report; flush: () => Promise<void> } {
  const open = new Set<Promise<unknown>>();
  const report: Report = (event, atMs = now()) => {
    watch(event);
    const visit = 'visit' in event ? event.visit : NO_VISIT;
    const detector = 'detector' in event ? event.detector : 'all';
    const id = messageId({
      instrument: event.instrument, group: event.group, exposure: 'exposure' in event ? event.exposure : 0, snap: 0,
      // What is told once an entry is named by it.
      detector, event: event.type,
      attempt: 'attempt' in event ? event.attempt : 'commitSequence' in event ? event.commitSequence : 0,
    });
    const subject = subjects.pipeline(event.instrument, visit, detector, event.type);
    const sent = log.js
      .publish(subject, encodeEvent(envelope(id, event, atMs)), { msgID: id })
      .catch(() => undefined)
      .finally(() => open.delete(sent));
    open.add(sent);
  };
  return { report, flush: async () => { await Promise.all(open); } };
}
