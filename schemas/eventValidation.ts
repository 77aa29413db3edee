/** Checks of events where they enter the process. After these, the types of `events.ts` are trusted. */
import { asDayObs, asDetectorId, asVisit } from './ids.ts';
import { SUMMIT_COMPONENTS, type CloudEvent, type ObservatoryEvent, type PipelineEvent } from './events.ts';
import { isBand } from './units.ts';

type Check = (value: unknown) => boolean;

const isString: Check = (v) => typeof v === 'string' && v.length > 0;
const isText: Check = (v) => typeof v === 'string';
const isNumber: Check = (v) => typeof v === 'number' && Number.isFinite(v);
const isCount: Check = (v) => Number.isInteger(v) && (v as number) >= 0; // An integer is a number.
const isBoolean: Check = (v) => typeof v === 'boolean';
const isPosition: Check = (v) => Array.isArray(v) && v.length === 2 && v.every(isNumber);
const accepts = (parse: (value: number) => unknown): Check => (v) => {
  if (typeof v !== 'number') return false;
  try { parse(v); return true; } catch { return false; }
};
const isDayObs = accepts(asDayObs), isVisit = accepts(asVisit), isDetector = accepts(asDetectorId);

const NAMES: Readonly<Record<string, Check>> = {
  instrument: isString, dayObs: isDayObs, group: isString, visit: isVisit, exposure: isVisit, snap: isCount,
};

const FIELDS: Readonly<Record<ObservatoryEvent['type'], Readonly<Record<string, Check>>>> = {
  NightOpened: {
    instrument: isString, dayObs: isDayObs, simulated: isBoolean,
    arguments: (v) => isRecord(v) && isCount(v['visits']) && isNumber(v['cadenceSeconds'])
      && isString(v['camera']) && isNumber(v['seed']) && [undefined, 'recorded'].includes(v['source'] as undefined),
  },
  NextVisitAnnounced: {
    instrument: isString, dayObs: isDayObs, groupId: isString, coordinateSystem: isCount, position: isPosition,
    startTime: isNumber, rotationSystem: isCount, cameraAngle: isNumber, filters: isText, duration: isNumber,
    nimages: isCount, survey: isText,
  },
  NextVisitCanceled: { instrument: isString, dayObs: isDayObs, groupId: isString },
  ExposureStarted: {
    ...NAMES, band: isBandName, physicalFilter: isString, exposureSeconds: isNumber, startMjdTai: isNumber,
  },
  ExposureEnded: {
    ...NAMES, band: isBandName, physicalFilter: isString, exposureSeconds: isNumber, midpointMjdTai: isNumber,
    detectors: (v) => Array.isArray(v) && v.every(isDetector),
  },
  DetectorRead: {
    ...NAMES, detector: isDetector, uri: isString, bytes: isCount,
    checksum: (v) => typeof v === 'string' && /^[0-9a-f]{64}$/.test(v), readoutEndedMs: isNumber,
  },
  ControlCommanded: {
    instrument: isString, dayObs: isDayObs, commandedMjdTai: isNumber, command: isString,
    component: (v) => SUMMIT_COMPONENTS.some((component) => component === v),
    parameters: (v) => isRecord(v) && Object.values(v).every((value) => isText(value) || isNumber(value)),
  },
  TelemetrySampled: {
    instrument: isString, dayObs: isDayObs, sampledMjdTai: isNumber,
    outsideTemperatureC: isNumber, mirrorTemperatureC: isNumber, cameraTemperatureC: isNumber,
    windSpeedMetrePerSecond: isNumber, windDirectionDeg: isNumber, humidityPercent: isNumber, pressureHpa: isNumber,
    mountAltitudeDeg: isNumber, mountAzimuthDeg: isNumber, trackingErrorArcsec: isNumber,
  },
  NightClosed: { instrument: isString, dayObs: isDayObs, visits: isCount },
};

/**
 * Reads one message of OBSERVATORY.
 *
 * @throws Error of one line that names the field and the reason.
 */
export function parseObservatoryEvent(bytes: Uint8Array): CloudEvent<ObservatoryEvent> {
  const event = parseCloudEvent(bytes);
  const data = event.data;
  const type = data['type'];
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type)) {
    throw new Error(`malformed event: unknown type ${JSON.stringify(type)}`);
  }
  const fields = FIELDS[type as ObservatoryEvent['type']]; // One of the keys, checked above.
  for (const [name, isValid] of Object.entries(fields)) {
    if (!(name in data)) throw new Error(`malformed event: ${type} lacks ${name}`);
    if (!isValid(data[name])) throw new Error(`malformed event: ${type} has ${name} = ${JSON.stringify(data[name])}`);
  }
  return event as unknown as CloudEvent<ObservatoryEvent>; // Every field that is read was checked.
}

/** Reads one message of PIPELINE, which only the engine writes: the envelope and the type are checked. */
export function parsePipelineEvent(bytes: Uint8Array): CloudEvent<PipelineEvent> {
  const event = parseCloudEvent(bytes);
  if (typeof event.data['type'] !== 'string') throw new Error('malformed event: no type');
  return event as unknown as CloudEvent<PipelineEvent>; // Written by `encodeEvent` from this type.
}

function parseCloudEvent(bytes: Uint8Array): CloudEvent<Record<string, unknown>> {
  let value: unknown;
  try { value = JSON.parse(new TextDecoder().decode(bytes)); } catch { throw new Error('malformed event: not JSON'); }
  if (!isRecord(value)) throw new Error('malformed event: not a JSON object');
  if (value['specversion'] !== '1.0') throw new Error('malformed event: not CloudEvents 1.0');
  if (!isString(value['id'])) throw new Error('malformed event: no id');
  if (!isRecord(value['data'])) throw new Error('malformed event: no data');
  return value as unknown as CloudEvent<Record<string, unknown>>; // Envelope checked above.
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isBandName(value: unknown): boolean {
  return typeof value === 'string' && isBand(value);
}
