/** Events where they enter: valid ones pass whole, each missing or wrong field is named. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeEvent, envelope, type ObservatoryEvent } from '../../schemas/events.ts';
import { parseObservatoryEvent } from '../../schemas/eventValidation.ts';
import { asDayObs, asDetectorId, exposureOf, visitOf } from '../../schemas/ids.ts';
import { messageId, subjects } from '../../schemas/subjects.ts';

const dayObs = asDayObs(20261001);
const names = {
  instrument: 'minicam', dayObs, group: '2026-10-01T23:00:00.000', visit: visitOf(dayObs, 1),
  exposure: exposureOf(dayObs, 1), snap: 0,
};
const events: ObservatoryEvent[] = [
  {
    type: 'NightOpened', instrument: 'minicam', dayObs, simulated: true,
    arguments: { visits: 6, cadenceSeconds: 10, camera: 'minicam', seed: 1 },
  },
  {
    type: 'NextVisitAnnounced', dayObs, salIndex: 1, scriptSalIndex: 2, groupId: names.group, coordinateSystem: 2,
    position: [150, 2.2], startTime: 1.79e9, rotationSystem: 2, cameraAngle: 0, filters: 'r_mini', dome: 2,
    duration: 34, nimages: 1, instrument: 'minicam', survey: 'wide', totalCheckpoints: 1,
    private_sndStamp: 1.79e9,
  },
  { type: 'NextVisitCanceled', instrument: 'minicam', dayObs, groupId: names.group },
  {
    ...names, type: 'ExposureStarted', band: 'r', physicalFilter: 'r_mini', exposureSeconds: 30, startMjdTai: 61314.9,
  },
  {
    ...names, type: 'ExposureEnded', band: 'r', physicalFilter: 'r_mini', exposureSeconds: 30, midpointMjdTai: 61314.9,
    detectors: [asDetectorId(0)],
  },
  {
    ...names, type: 'DetectorRead', detector: asDetectorId(0), uri: 'raw/x.fits', bytes: 10, checksum: 'a'.repeat(64),
    readoutEndedMs: 1.79e12,
  },
  { type: 'NightClosed', instrument: 'minicam', dayObs, visits: 6 },
  {
    type: 'ControlCommanded', instrument: 'minicam', dayObs, commandedMjdTai: 61314.9, component: 'mount',
    command: 'slew', parameters: { raDeg: 9.45, target: 'ELAIS-S1' },
  },
  {
    type: 'TelemetrySampled', instrument: 'minicam', dayObs, sampledMjdTai: 61314.9, outsideTemperatureC: 9.1,
    mirrorTemperatureC: 9.6, cameraTemperatureC: -100, windSpeedMetrePerSecond: 6, windDirectionDeg: 350,
    humidityPercent: 25, pressureHpa: 742, mountAltitudeDeg: 61, mountAzimuthDeg: 180, trackingErrorArcsec: 0.05,
  },
];

test('every event of the observatory survives its envelope unchanged', () => {
  for (const event of events) expect(parseObservatoryEvent(encodeEvent(envelope('id', event, 0))).data).toEqual(event);
});

test('an event that lacks any one of its checked fields is refused with the field named', () => {
  const optional = new Set(['type', 'salIndex', 'scriptSalIndex', 'dome', 'totalCheckpoints', 'private_sndStamp']);
  for (const event of events) {
    for (const field of Object.keys(event).filter((name) => !optional.has(name))) {
      const { [field as keyof typeof event]: _, ...rest } = event;
      const bytes = encodeEvent({ ...envelope('id', event, 0), data: rest });
      expect(() => parseObservatoryEvent(bytes), `${event.type}.${field}`)
        .toThrow(new RegExp(`malformed event: ${event.type} lacks ${field}`));
    }
  }
});

test('arbitrary bytes and arbitrary JSON are refused in one line, never passed', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    expect(() => parseObservatoryEvent(bytes)).toThrow(/^malformed event: [^\n]*$/);
  }));
  fc.assert(fc.property(fc.json(), (json) => {
    expect(() => parseObservatoryEvent(new TextEncoder().encode(json))).toThrow(/^malformed event: [^\n]*$/);
  }));
});

test('a wrong checksum, band or detector is named with its value', () => {
  const read = events[5];
  const broken = (change: object) => () =>
    parseObservatoryEvent(encodeEvent({ ...envelope('id', read, 0), data: { ...read, ...change } }));
  expect(broken({ checksum: 'xyz' })).toThrow('malformed event: DetectorRead has checksum = "xyz"');
  expect(broken({ detector: 999 })).toThrow('DetectorRead has detector = 999');
  expect(broken({ type: 'Constructor' })).toThrow('unknown type "Constructor"');
  expect(broken({ type: 'toString' })).toThrow('unknown type "toString"');
});

test('a name with a dot, a space or a wildcard cannot become part of a subject', () => {
  for (const name of ['a.b', 'a b', '*', '>', '']) {
    expect(() => subjects.observatory(name, 'X')).toThrow(/cannot be part of a subject/);
  }
});

test('message ids of different facts differ, also by checksum', () => {
  const parts = {
    instrument: 'minicam', group: 'g', exposure: 1, snap: 0, detector: 3, event: 'DetectorRead', attempt: 0,
  };
  expect(messageId(parts)).toBe('minicam.g.1.0.3.DetectorRead.0');
  expect(messageId(parts, 'aa')).not.toBe(messageId(parts, 'bb'));
});
