/** How far a night has got, folded from the events that its log holds; so a restarted night repeats nothing. */
import type { ObservatoryEvent } from '../schemas/events.ts';

/** How often each fact is in the log. */
export type NightProgress = ReadonlyMap<string, number>;

export const NOTHING_DONE: NightProgress = new Map();

/** Folds a night's events, in any order. */
export function progressOf(events: Iterable<ObservatoryEvent>): NightProgress {
  const progress = new Map<string, number>();
  for (const event of events) progress.set(factOf(event), (progress.get(factOf(event)) ?? 0) + 1);
  return progress;
}

/** Times that the log holds this fact. */
export function timesDone(progress: NightProgress, event: ObservatoryEvent): number {
  return progress.get(factOf(event)) ?? 0;
}

export function timesRead(progress: NightProgress, group: string, detector: number): number {
  return progress.get(`DetectorRead.${group}.${detector}`) ?? 0;
}

function factOf(event: ObservatoryEvent): string {
  switch (event.type) {
    case 'NightOpened': case 'NightClosed': return `${event.type}.${event.dayObs}`;
    case 'NextVisitAnnounced': case 'NextVisitCanceled': return `${event.type}.${event.groupId}`;
    case 'ExposureStarted': case 'ExposureEnded': return `${event.type}.${event.group}`;
    case 'ControlCommanded': return `${event.type}.${event.component}.${event.command}.${event.commandedMjdTai}`;
    case 'TelemetrySampled': return `${event.type}.${event.sampledMjdTai}`;
    case 'DetectorRead': return `${event.type}.${event.group}.${event.detector}`;
  }
}
