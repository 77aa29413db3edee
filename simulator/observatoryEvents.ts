/** The events of a planned night and their message ids. */
import type { Camera } from '../schemas/camera.ts';
import type { ExposureNames, NightArguments, ObservatoryEvent } from '../schemas/events.ts';
import type { DayObs, DetectorId } from '../schemas/ids.ts';
import { productPaths } from '../schemas/products.ts';
import { messageId } from '../schemas/subjects.ts';
import { taiSecondsOfMjd } from '../schemas/time.ts';
import { nightConfig } from './config.ts';
import type { PlannedVisit } from './schedule.ts';

/** An event with the id under which it is published. */
export type IdentifiedEvent = Readonly<{ event: ObservatoryEvent; id: string }>;

export type EventMaker = Readonly<{
  nightOpened: (nightArguments: NightArguments) => IdentifiedEvent;
  nextVisitAnnounced: (plan: PlannedVisit) => IdentifiedEvent;
  nextVisitCanceled: (plan: PlannedVisit) => IdentifiedEvent;
  exposureStarted: (plan: PlannedVisit) => IdentifiedEvent;
  exposureEnded: (plan: PlannedVisit) => IdentifiedEvent;
  detectorRead: (
    plan: PlannedVisit, detector: DetectorId, file: Readonly<{ bytes: number; checksum: string }>,
    readoutEndedMs: number, attempt: number,
  ) => IdentifiedEvent;
  nightClosed: (visits: number) => IdentifiedEvent;
}>;

type LightOfVisit = Pick<PlannedVisit, 'band' | 'physicalFilter' | 'exposureSeconds'>;

export function createEventMaker(instrument: string, camera: Camera, dayObs: DayObs): EventMaker {
  const identified = (group: string, exposure: number, event: ObservatoryEvent, snap = 0): IdentifiedEvent => ({
    event, id: messageId({ instrument, group, exposure, snap, detector: 'all', event: event.type, attempt: 1 }),
  });
  const ofNight = (event: ObservatoryEvent): IdentifiedEvent => identified(String(dayObs), 0, event);
  const ofVisit = (plan: PlannedVisit, event: ObservatoryEvent): IdentifiedEvent =>
    identified(plan.group, plan.exposure, event, plan.snap ?? 0);
  const names = (plan: PlannedVisit): ExposureNames =>
    ({ instrument, dayObs, group: plan.group, visit: plan.visit, exposure: plan.exposure, snap: plan.snap ?? 0 });
  const light = ({ band, physicalFilter, exposureSeconds }: PlannedVisit): LightOfVisit =>
    ({ band, physicalFilter, exposureSeconds });
  return {
    nightOpened: (nightArguments) =>
      ofNight({ type: 'NightOpened', instrument, dayObs, simulated: true, arguments: nightArguments }),
    nightClosed: (visits) => ofNight({ type: 'NightClosed', instrument, dayObs, visits }),
    nextVisitAnnounced: (plan) => ofVisit(plan, announcement(instrument, dayObs, plan)),
    nextVisitCanceled: (plan) => ofVisit(plan, { type: 'NextVisitCanceled', instrument, dayObs, groupId: plan.group }),
    exposureStarted: (plan) =>
      ofVisit(plan, { type: 'ExposureStarted', ...names(plan), ...light(plan), startMjdTai: plan.startMjdTai }),
    exposureEnded: (plan) => ofVisit(plan, {
      type: 'ExposureEnded', ...names(plan), ...light(plan), midpointMjdTai: plan.midpointMjdTai,
      detectors: camera.detectors.map((detector) => detector.id),
    }),
    detectorRead: (plan, detector, { bytes, checksum }, readoutEndedMs, attempt) => ({
      event: {
        type: 'DetectorRead', ...names(plan), detector,
        uri: productPaths.raw(instrument, dayObs, plan.exposure, detector), bytes, checksum, readoutEndedMs,
      },
      id: messageId({
        instrument, group: plan.group, exposure: plan.exposure, snap: plan.snap ?? 0, detector, event: 'DetectorRead',
        attempt,
      }, checksum),
    }),
  };
}

/**
 * Rubin's next-visit event. Its times are simulated, so that a night's announcements are the same whenever it is run.
 */
function announcement(instrument: string, dayObs: DayObs, plan: PlannedVisit): ObservatoryEvent {
  const startTime = taiSecondsOfMjd(plan.startMjdTai);
  return {
    type: 'NextVisitAnnounced', dayObs, salIndex: 1, scriptSalIndex: plan.sequenceNumber, groupId: plan.group,
    coordinateSystem: 2, position: [plan.commanded.raDeg, plan.commanded.decDeg], startTime,
    rotationSystem: 2, cameraAngle: plan.commanded.cameraAngleDeg, filters: plan.physicalFilter, dome: 1,
    duration: plan.exposureSeconds + nightConfig.readoutSeconds, nimages: 1, instrument, survey: plan.field.name,
    totalCheckpoints: 1, private_sndStamp: startTime - nightConfig.announceAheadSeconds,
  };
}
