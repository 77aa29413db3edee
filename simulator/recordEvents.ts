/** What the observatory says during a recorded night: announcements, shutters, readouts, commands, telemetry. */
import type { Camera } from '../schemas/camera.ts';
import type { ObservatoryEvent } from '../schemas/events.ts';
import type { DayObs, DetectorId, Exposure } from '../schemas/ids.ts';
import { TAI_MINUS_UTC_SECONDS, taiSecondsOfMjd } from '../schemas/time.ts';
import { nightConfig } from './config.ts';
import { altitudeDeg, zenithAt } from './ephemeris.ts';
import { detectorFault, isVisitCanceled, isVisitRepointed, type NightFaults } from './faults.ts';
import { createEventMaker, type IdentifiedEvent } from './observatoryEvents.ts';
import { fromTangent, skyOfVector, tangentPlane, unitVector } from './projection.ts';
import { normal, randomStream } from './random.ts';
import { groupOf, type PlannedVisit } from './schedule.ts';

/** Orders that the control system gave, and what the summit measured: facts beside those that the engine follows. */
export type SummitEvent =
  | Readonly<{
      type: 'ControlCommanded'; instrument: string; dayObs: DayObs;
      component: 'mount' | 'camera' | 'dome' | 'scheduler'; command: string;
      parameters: Readonly<Record<string, string | number>>;
    }>
  | Readonly<{
      type: 'TelemetrySampled'; instrument: string; dayObs: DayObs;
      outsideTemperatureC: number; mirrorTemperatureC: number; cameraTemperatureC: number;
      windSpeedMetrePerSecond: number;
      windDirectionDeg: number; humidityPercent: number; pressureHpa: number; mountAltitudeDeg: number;
      mountAzimuthDeg: number; trackingErrorArcsec: number;
    }>;

/** One line of a recording's events. `obs` is what the engine follows. */
export type TimedEvent = Readonly<{
  mjdTai: number; channel: 'obs' | 'control' | 'telemetry'; id: string; event: ObservatoryEvent | SummitEvent
}>;

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
  const say = (mjdTai: number, { event, id }: IdentifiedEvent): void => {
    timed.push({ mjdTai, channel: 'obs', id, event });
  };
  const command = (
    mjdTai: number, component: 'mount' | 'camera' | 'dome' | 'scheduler', name: string,
    parameters: Readonly<Record<string, string | number>> = {},
  ): void => {
    const id = `${camera.name}.${dayObs}.${component}.${name}.${timed.length}`;
    timed.push(
      {
        mjdTai, channel: 'control', id,
        event: { type: 'ControlCommanded', instrument: camera.name, dayObs, component, command: name, parameters },
      },
    );
  };
  if (plans.length === 0) return timed;
  const first = plans[0].startMjdTai - 300 / DAY_SECONDS, last = plans[plans.length - 1];
  say(first, events.nightOpened({ visits, cadenceSeconds: nightConfig.cadenceSeconds, camera: camera.name, seed }));
  for (const component of ['camera', 'mount', 'dome', 'scheduler'] as const) command(first, component, 'enable');
  command(first + 10 / DAY_SECONDS, 'dome', 'open');
  let band: string | null = null;
  for (const plan of plans) {
    if (plan.band !== band) {
      command(plan.startMjdTai - 125 / DAY_SECONDS, 'camera', 'setFilter', { filter: plan.physicalFilter });
    }
    band = plan.band;
    if ((plan.snap ?? 0) === 0) announce(question, events, plan, say);
    // A visit is numbered as its first exposure.
    if (isVisitCanceled(question.faults, seed, plan.visit as number as Exposure)) continue;
    if ((plan.snap ?? 0) === 0) {
      command(
        plan.startMjdTai - 6 / DAY_SECONDS, 'mount', 'slew',
        { raDeg: plan.commanded.raDeg, decDeg: plan.commanded.decDeg },
      );
    }
    command(plan.startMjdTai, 'camera', 'takeImage', { exposureSeconds: plan.exposureSeconds, snap: plan.snap ?? 0 });
    expose(question, events, plan, say);
  }
  const end = last.startMjdTai + (last.exposureSeconds + 60) / DAY_SECONDS;
  say(end, events.nightClosed(visits));
  for (const component of ['scheduler', 'mount', 'camera', 'dome'] as const) command(end, component, 'disable');
  for (let mjd = first, k = 0; mjd < end; mjd += 30 / DAY_SECONDS, k++) timed.push(telemetry(question, plans, mjd, k));
  return timed.map((event, order) => ({ event, order }))
    .sort((a, b) => a.event.mjdTai - b.event.mjdTai || a.order - b.order).map(({ event }) => event);
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

/** Air that cools through the night, a mirror that lags behind it, wind in gusts, and where the mount looked. */
function telemetry(
  { camera, dayObs, seed }: EventQuestion, plans: readonly PlannedVisit[], mjdTai: number, index: number,
): TimedEvent {
  const random = randomStream(seed, 'telemetry', dayObs, index), night = randomStream(seed, 'weather', dayObs);
  const base = 9 + 3 * normal(night), wind = Math.abs(6 + 3 * normal(night));
  const from = 360 * ((normal(night) / 10 + 1) % 1);
  const hours = (mjdTai - plans[0].startMjdTai) * 24, plan = plans.findLast((p) => p.startMjdTai <= mjdTai) ?? plans[0];
  const zenith = zenithAt(mjdTai), place = unitVector(plan.actual.raDeg, plan.actual.decDeg);
  const altitude = altitudeDeg(place, zenith);
  const east: readonly [number, number] = [-zenith[1], zenith[0]], norm = Math.hypot(...east);
  const towardsEast = (place[0] * east[0] + place[1] * east[1]) / norm;
  const northZ = Math.hypot(zenith[0], zenith[1]);
  const towardsNorth = (place[2] - zenith[2] * Math.sin((altitude * Math.PI) / 180)) / northZ;
  const round = (value: number, digits = 2): number => Number(value.toFixed(digits));
  return {
    mjdTai, channel: 'telemetry', id: `${camera.name}.${dayObs}.telemetry.${index}`,
    event: {
      type: 'TelemetrySampled', instrument: camera.name, dayObs,
      outsideTemperatureC: round(base - 0.35 * hours + 0.1 * normal(random)),
      mirrorTemperatureC: round(base + 0.6 - 0.3 * hours + 0.03 * normal(random)),
      cameraTemperatureC: round(-100 + 0.05 * normal(random)),
      windSpeedMetrePerSecond: round(Math.abs(wind + 1.5 * normal(random))),
      windDirectionDeg: round((from + 8 * normal(random) + 360) % 360, 1),
      humidityPercent: round(Math.max(2, 25 + 2 * hours + normal(random)), 1),
      pressureHpa: round(742 + 0.2 * normal(random)), mountAltitudeDeg: round(altitude, 4),
      mountAzimuthDeg: round(((Math.atan2(towardsEast, towardsNorth) * 180) / Math.PI + 360) % 360, 4),
      trackingErrorArcsec: round(Math.abs(0.05 * normal(random)), 3),
    },
  };
}
