/** What the observatory says during a recorded night: announcements, shutters, readouts, commands, telemetry. */
import type { Camera } from '../schemas/camera.ts';
import type { DayObs, DetectorId, Exposure } from '../schemas/ids.ts';
import { TAI_MINUS_UTC_SECONDS, taiSecondsOfMjd } from '../schemas/time.ts';
import { nightConfig } from './config.ts';
import { detectorFault, isVisitCanceled, isVisitRepointed, type NightFaults } from './faults.ts';
import { createEventMaker, type IdentifiedEvent } from './observatoryEvents.ts';
import { fromTangent, skyOfVector, tangentPlane, unitVector } from './projection.ts';
import { groupOf, type PlannedVisit } from './schedule.ts';
import {
  closingCommands, exposureCommands, openingCommands, telemetryAt, type SummitNight,
} from './summit.ts';

/** One line of a recording's events. */
export type TimedEvent = IdentifiedEvent & Readonly<{ mjdTai: number }>;

export type RecordedFile = Readonly<{ path: string; bytes: number; checksum: string }>;

export type EventQuestion = Readonly<{
  /** With the detectors of the recording alone. */
  camera: Camera; dayObs: DayObs; seed: number; plans: readonly PlannedVisit[]; faults: NightFaults; visits: number;
  fileOf: (exposure: Exposure, detector: DetectorId, isTruncated: boolean) => RecordedFile | null;
}>;

const DAY_SECONDS = 86400;

/** All events of the night in the order of their times. */
export function nightEvents(question: EventQuestion): TimedEvent[] {
  const { camera, dayObs, seed, plans, visits } = question, events = createEventMaker(camera.name, camera, dayObs);
  const timed: TimedEvent[] = [];
  const say = (mjdTai: number, identified: IdentifiedEvent): void => { timed.push({ mjdTai, ...identified }); };
  const order = (identified: IdentifiedEvent | null): void => {
    const event = identified?.event;
    if (identified && event?.type === 'ControlCommanded') say(event.commandedMjdTai, identified);
  };
  if (plans.length === 0) return timed;
  const night: SummitNight = { instrument: camera.name, dayObs, seed };
  const first = plans[0].startMjdTai - 300 / DAY_SECONDS, last = plans[plans.length - 1];
  say(first, events.nightOpened({
    visits, cadenceSeconds: nightConfig.cadenceSeconds, camera: camera.name, seed, source: 'recorded',
  }));
  openingCommands(night, first).forEach(order);
  let band: string | null = null;
  for (const plan of plans) {
    const { filter, slew, take } = exposureCommands(night, plan, band);
    order(filter);
    band = plan.band;
    if ((plan.snap ?? 0) === 0) announce(question, events, plan, say);
    // A visit is numbered as its first exposure.
    if (isVisitCanceled(question.faults, seed, plan.visit as number as Exposure)) continue;
    order(slew);
    order(take);
    expose(question, events, plan, say);
  }
  const end = last.startMjdTai + (last.exposureSeconds + 60) / DAY_SECONDS;
  say(end, events.nightClosed(visits));
  closingCommands(night, end).forEach(order);
  for (let mjd = first; mjd < end; mjd += nightConfig.telemetrySeconds / DAY_SECONDS) {
    const { actual } = plans.findLast((plan) => plan.startMjdTai <= mjd) ?? plans[0];
    say(mjd, telemetryAt(night, actual, mjd));
  }
  return timed.map((event, index) => ({ event, index }))
    .sort((a, b) => a.event.mjdTai - b.event.mjdTai || a.index - b.index).map(({ event }) => event);
}

type Events = ReturnType<typeof createEventMaker>;
type Say = (mjdTai: number, event: IdentifiedEvent) => void;

/** A repointed visit was announced elsewhere first; that announcement is withdrawn and its group never exposed. */
function announce({ seed, faults, plans }: EventQuestion, events: Events, plan: PlannedVisit, say: Say): void {
  const nimages = plans.filter((other) => other.visit === plan.visit).length, ahead = nightConfig.announceAheadSeconds;
  const at = plan.startMjdTai - ahead / DAY_SECONDS, first = plan.visit as number as Exposure; // As above.
  if (isVisitRepointed(faults, seed, first)) {
    const place = unitVector(plan.commanded.raDeg, plan.commanded.decDeg), { raDeg, decDeg } = skyOfVector(place);
    const moved = skyOfVector(fromTangent(tangentPlane(raDeg, decDeg), 0.07, 0.02));
    const wrong: PlannedVisit = {
      ...plan, group: groupOf(at - 90 / DAY_SECONDS), commanded: { ...plan.commanded, ...moved },
    };
    say(at - 4 / DAY_SECONDS, withSnaps(events.nextVisitAnnounced(wrong), nimages));
    say(at - 1 / DAY_SECONDS, events.nextVisitCanceled(wrong));
  }
  say(at, withSnaps(events.nextVisitAnnounced(plan), nimages));
  if (isVisitCanceled(faults, seed, first)) say(plan.startMjdTai - 8 / DAY_SECONDS, events.nextVisitCanceled(plan));
}

function withSnaps(identified: IdentifiedEvent, nimages: number): IdentifiedEvent {
  const { event, id } = identified;
  return event.type === 'NextVisitAnnounced' ? { id, event: { ...event, nimages } } : identified;
}

function expose({ camera, seed, faults, fileOf }: EventQuestion, events: Events, plan: PlannedVisit, say: Say): void {
  const ended = plan.startMjdTai + plan.exposureSeconds / DAY_SECONDS;
  const read = ended + nightConfig.readoutSeconds / DAY_SECONDS;
  say(plan.startMjdTai, events.exposureStarted(plan));
  say(ended, events.exposureEnded(plan));
  for (const { id } of camera.detectors) {
    const fault = detectorFault(faults, seed, plan.exposure, id), good = fileOf(plan.exposure, id, false);
    if (fault === 'neverRead' || !good) continue;
    const later = read + nightConfig.lateSeconds / DAY_SECONDS;
    const send = (mjdTai: number, file: RecordedFile, attempt: number): void => {
      const { event, id: messageId } = events.detectorRead(plan, id, file, unixMsOf(mjdTai), attempt);
      if (event.type === 'DetectorRead') say(mjdTai, { event: { ...event, uri: file.path }, id: messageId });
    };
    const broken = fault === 'truncated' ? fileOf(plan.exposure, id, true) : null;
    if (broken) send(read, broken, 1);
    send(fault === 'late' || broken ? later : read, good, broken ? 2 : 1);
    if (fault === 'twice') send(later, good, 2);
  }
}

/** Whole milliseconds, UTC. */
function unixMsOf(mjdTai: number): number {
  return Math.round((taiSecondsOfMjd(mjdTai) - TAI_MINUS_UTC_SECONDS) * 1000);
}
