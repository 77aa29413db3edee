import type { ObservatoryEvent, PipelineEvent } from '../../schemas/events.ts';
import { asDetectorId, exposureOf, visitOf } from '../../schemas/ids.ts';
import type { TimedEvent } from '../../brokers/dashboard/nightView.ts';
import { INSTRUMENT, NIGHT } from './sampleAlerts.ts';

/** End of readout of the first visit, Unix ms; visits follow every 10 s. */
export const FIRST_READOUT_MS = 1_795_170_000_000;

/**
 * The events of a night in which every detector goes through: 6 detected, 1 dropped, 5 alerts. Detector d is out
 * (d + 1) seconds after the end of readout.
 */
export function sampleNightEvents({ visits, detectors }: { visits: number; detectors: number }): TimedEvent[] {
  const events: TimedEvent[] = [];
  const add = (timeMs: number, event: ObservatoryEvent | PipelineEvent): void => {
    events.push({ event, timeMs });
  };
  const base = { instrument: INSTRUMENT, dayObs: NIGHT };
  add(FIRST_READOUT_MS - 40_000, {
    ...base,
    type: 'NightOpened',
    simulated: true,
    arguments: { visits, cadenceSeconds: 10, camera: 'minicam', seed: 1 },
  });
  for (let number = 1; number <= visits; number++) {
    const zero = FIRST_READOUT_MS + (number - 1) * 10_000;
    const group = `group-${number}`;
    const names = { ...base, group, visit: visitOf(NIGHT, number), exposure: exposureOf(NIGHT, number), snap: 0 };
    const glass = { band: 'r', physicalFilter: 'r_mini', exposureSeconds: 5 } as const;
    const all = Array.from({ length: detectors }, (_, i) => asDetectorId(i));
    add(zero - 30_000, {
      ...base,
      type: 'NextVisitAnnounced',
      groupId: group,
      salIndex: 1,
      scriptSalIndex: 1,
      coordinateSystem: 2,
      position: [150, -2],
      startTime: 1,
      rotationSystem: 2,
      cameraAngle: 0,
      filters: 'r',
      dome: 1,
      duration: 10,
      nimages: 1,
      survey: 'test',
      totalCheckpoints: 1,
      private_sndStamp: 1,
    });
    add(zero - 7000, { ...names, ...glass, type: 'ExposureStarted', startMjdTai: 61364 });
    add(zero - 2000, { ...names, ...glass, type: 'ExposureEnded', midpointMjdTai: 61364, detectors: all });
    for (const detector of all) {
      const read = { uri: `raw/${detector}.fits`, bytes: 1, checksum: 'a'.repeat(64) };
      add(zero, { ...names, ...read, type: 'DetectorRead', detector, readoutEndedMs: zero - detector });
      const of = { instrument: INSTRUMENT, group, visit: names.visit, exposure: names.exposure, detector, attempt: 1 };
      const end = zero + 1000 * (detector + 1);
      add(end - 900, { ...of, type: 'ExposureIngested', bytes: 1 });
      add(end - 700, { ...of, type: 'InstrumentSignatureRemoved', durationMs: 100, figures: {} });
      add(end - 600, { ...of, type: 'VisitImageCalibrated', durationMs: 100, figures: {} });
      add(end - 500, { ...of, type: 'ImageDifferenced', durationMs: 100, figures: {} });
      add(end - 400, { ...of, type: 'DiaSourcesDetected', durationMs: 100, detected: 6 });
      add(end - 300, {
        ...of,
        type: 'DiaSourcesMeasured',
        durationMs: 100,
        measured: 6,
        droppedByReason: { edge: 1 },
      });
      add(end - 200, {
        ...of,
        type: 'DiaSourcesAssociated',
        durationMs: 100,
        diaSources: 5,
        newDiaObjects: 1,
        commitSequence: 1,
      });
      add(end - 100, { ...of, type: 'AlertsPacked', durationMs: 50, alerts: 5 });
      add(end, { ...of, type: 'AlertsDistributed', durationMs: 50, alerts: 5, latencyMs: end - zero });
      add(end + 10, { ...of, type: 'AlertsArchived', alerts: 5 });
    }
    add(zero + 1000 * detectors, {
      instrument: INSTRUMENT,
      group,
      visit: names.visit,
      exposure: names.exposure,
      type: 'VisitCompleted',
      detectors,
      committed: detectors,
      deferred: 0,
      diaSources: 5 * detectors,
      alerts: 5 * detectors,
      readoutEndedMs: zero,
      latencyMsMax: 1000 * detectors,
    });
  }
  return events;
}
