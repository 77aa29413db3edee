/**
 * A night as a list of visits: fields, bands, dithers and times in the simulated TAI. A pure function of its
 * arguments.
 */
import type { Camera } from '../schemas/camera.ts';
import { exposureOf, visitOf, type DayObs, type Exposure, type Visit } from '../schemas/ids.ts';
import { mjdTaiOfDayObs, taiSecondsOfMjd } from '../schemas/time.ts';
import { isBand, type Band } from '../schemas/units.ts';
import { nightConfig, opticsConfig } from './config.ts';
import { ARCSEC_PER_RADIAN, fromTangent, skyOfVector, tangentPlane, type Pointing } from './projection.ts';
import { normal, randomStream, uniformBetween } from './random.ts';

export type Field = Readonly<{ name: string; raDeg: number; decDeg: number }>;

export type PlannedVisit = Readonly<{
  visit: Visit; exposure: Exposure; sequenceNumber: number;
  /** Rubin's group: the simulated time at which the visit was decided. */
  group: string;
  field: Field; band: Band; physicalFilter: string;
  /** What was asked for, and what the mount really did: only truth knows the latter. */
  commanded: Pointing; actual: Pointing;
  startMjdTai: number; midpointMjdTai: number; exposureSeconds: number;
  /** Exposure of the visit, 0 without. */
  snap?: number;
}>;

export type NightPlan = Readonly<{
  dayObs: DayObs; visitCount: number; seed: number; camera: Camera;
  bands?: readonly Band[]; fields?: readonly Field[];
}>;

const DAY_SECONDS = 86400;

/**
 * Plans the visits of a night.
 *
 * Bands come in blocks of equal length. Each visit is dithered by its own amount, the same whenever it is asked for.
 *
 * @throws Error when the camera lacks a band, or a field lies nowhere on the sky.
 */
export function planNight({ dayObs, visitCount, seed, camera, bands, fields }: NightPlan): PlannedVisit[] {
  const sequence = bands ?? nightConfig.bandSequence;
  const places = fields ?? nightConfig.fields;
  if (sequence.length === 0) throw new Error('a night needs a band');
  for (const band of sequence) physicalFilterOf(camera, band);
  for (const field of places) checkField(field);
  const blockLength = Math.max(1, Math.ceil(visitCount / sequence.length));
  const evening = mjdTaiOfDayObs(dayObs) + nightConfig.eveningHours / 24;
  return Array.from({ length: visitCount }, (_, index): PlannedVisit => {
    const block = Math.floor(index / blockLength);
    const seconds = index * nightConfig.cadenceSeconds + block * nightConfig.blockGapSeconds;
    const startMjdTai = evening + seconds / DAY_SECONDS;
    const exposure = exposureOf(dayObs, index + 1);
    const field = places[block % places.length];
    const band = sequence[block % sequence.length];
    return {
      visit: visitOf(dayObs, index + 1), exposure, sequenceNumber: index + 1, group: groupOf(startMjdTai), field, band,
      physicalFilter: physicalFilterOf(camera, band), ...pointingsOf(seed, exposure, field), startMjdTai,
      midpointMjdTai: startMjdTai + nightConfig.exposureSeconds / 2 / DAY_SECONDS,
      exposureSeconds: nightConfig.exposureSeconds,
    };
  });
}

/** The fields of some visits, each once, in order. */
export function distinctFields(visits: readonly PlannedVisit[]): Field[] {
  return [...new Map(visits.map(({ field }) => [`${field.raDeg}/${field.decDeg}`, field])).values()];
}

/** @throws Error that names the camera's bands when it lacks this one. */
export function physicalFilterOf(camera: Camera, band: string): string {
  const filter = camera.physicalFilters.find((candidate) => candidate.band === band);
  if (!isBand(band) || !filter) {
    const known = camera.physicalFilters.map((candidate) => candidate.band).join(', ');
    throw new Error(`camera ${camera.name} has no band "${band}"; it has ${known}`);
  }
  return filter.name;
}

function checkField({ name, raDeg, decDeg }: Field): void {
  if (!(raDeg >= 0 && raDeg < 360 && Math.abs(decDeg) <= 90)) {
    throw new Error(`field ${name} at right ascension ${raDeg}, declination ${decDeg} is not on the sky`);
  }
}

/** Group id as Rubin writes it: decided a minute before the exposure, milliseconds. */
export function groupOf(startMjdTai: number): string {
  return new Date(Math.round(taiSecondsOfMjd(startMjdTai) - 60) * 1000).toISOString().slice(0, -1);
}

/** @param ditherScale 1 moves the place by the survey's dither, 0 leaves it. */
export function pointingsOf(
  seed: number, exposure: Exposure, field: Field, ditherScale = 1,
): { commanded: Pointing; actual: Pointing } {
  const random = randomStream(seed, 'pointing', exposure);
  const radius = ditherScale * uniformBetween(random, nightConfig.ditherMinArcsec, nightConfig.ditherMaxArcsec);
  const angle = uniformBetween(random, 0, 2 * Math.PI);
  const commanded = { ...moved(field, radius * Math.sin(angle), radius * Math.cos(angle)), cameraAngleDeg: 0 };
  const limit = opticsConfig.pointingErrorMaxArcsec / Math.SQRT2;
  const sigma = opticsConfig.pointingErrorArcsec / Math.SQRT2;
  const error = (): number => Math.max(-limit, Math.min(limit, sigma * normal(random)));
  const angleLimit = opticsConfig.cameraAngleErrorMaxDeg;
  const actualPlace = moved(commanded, error(), error());
  return { commanded, actual: { ...actualPlace, cameraAngleDeg: uniformBetween(random, -angleLimit, angleLimit) } };
}

type Place = Readonly<{ raDeg: number; decDeg: number }>;

function moved(place: Place, eastArcsec: number, northArcsec: number): Place {
  const plane = tangentPlane(place.raDeg, place.decDeg);
  return skyOfVector(fromTangent(plane, eastArcsec / ARCSEC_PER_RADIAN, northArcsec / ARCSEC_PER_RADIAN));
}
