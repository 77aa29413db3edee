/**
 * A night of the survey: when it is dark, where the telescope looks and in which band. A greedy scheduler that sees the
 * Moon and its own history of the night, no clouds; a pure function of its arguments.
 */
import { pixcoord2vec_nest } from '@hscmap/healpix';
import type { Camera } from '../schemas/camera.ts';
import { asDayObs, exposureOf, visitOf, type DayObs } from '../schemas/ids.ts';
import { mjdTaiOfDayObs } from '../schemas/time.ts';
import type { Band } from '../schemas/units.ts';
import { surveyScheduleConfig as config } from './config.ts';
import { airmassAt, altitudeDeg, moonAt, requireEphemeris, sunDirection, zenithAt } from './ephemeris.ts';
import { angleBetween, skyOfVector, unitVector, type UnitVector } from './projection.ts';
import { randomStream, uniform } from './random.ts';
import { groupOf, physicalFilterOf, pointingsOf, type Field, type PlannedVisit } from './schedule.ts';

export type SurveyNight = Readonly<{
  dayObs: DayObs; camera: Camera; seed: number;
  /** Visits wanted; null fills the night. */
  visitCount: number | null;
  /** Exposures of a visit: one of 30 s or two of 15 s. */
  snaps: 1 | 2;
  /** Only these, in turn; null leaves it to Moon and twilight. */
  bands: readonly Band[] | null;
}>;

/** When the Sun is far enough below the horizon, MJD (TAI). */
export type Darkness = Readonly<{ evening12: number; evening18: number; morning18: number; morning12: number }>;

type Candidate = Readonly<{ field: Field; place: UnitVector; kind: 'wide' | 'deep' }>;

const DAY_SECONDS = 86400, RADIANS = Math.PI / 180;

/**
 * Exposures of the night in order; those of one visit share its id and group.
 *
 * @throws Error of one line when the night lies outside the ephemeris, the camera lacks a band, or no field is up.
 */
export function planSurveyNight(night: SurveyNight): PlannedVisit[] {
  const { seed, camera, snaps } = night, exposureSeconds = config.visitSeconds / snaps;
  const darkness = darknessOf(night.dayObs);
  const state = { mjd: darkness.evening12, sequence: 1, band: null as Band | null, at: null as UnitVector | null };
  const plans: PlannedVisit[] = [], done = new Map<string, number>();
  let visits = 0;
  const isOver = (): boolean =>
    (night.visitCount === null ? state.mjd > darkness.morning12 : visits >= night.visitCount);
  const observe = (candidate: Candidate, band: Band): void => {
    const slew = state.at ? slewSeconds(angleBetween(state.at, candidate.place)) : config.slewSettleSeconds;
    state.mjd += (
      Math.max(slew, config.readoutSeconds)
        + (state.band !== null && state.band !== band ? config.bandChangeSeconds : 0)
    ) / DAY_SECONDS;
    const visit = visitOf(night.dayObs, state.sequence), group = groupOf(state.mjd);
    for (let snap = 0; snap < snaps; snap++) {
      const exposure = exposureOf(night.dayObs, state.sequence);
      // Snaps of one visit keep their pointing: the mount only tracks between them.
      const pointings = pointingsOf(seed, exposureOf(night.dayObs, visit % 100_000), candidate.field);
      plans.push({
        visit, exposure, sequenceNumber: state.sequence, group, field: candidate.field, band,
        physicalFilter: physicalFilterOf(camera, band),
        ...pointings, startMjdTai: state.mjd, midpointMjdTai: state.mjd + exposureSeconds / 2 / DAY_SECONDS,
        exposureSeconds, snap,
      });
      state.sequence++;
      state.mjd += (exposureSeconds + (snap + 1 < snaps ? config.readoutSeconds : 0)) / DAY_SECONDS;
    }
    state.band = band;
    state.at = candidate.place;
    done.set(candidate.field.name, state.mjd);
    visits++;
  };
  const deep = deepFieldsOf(seed, night.dayObs);
  for (let block = 0; !isOver(); block++) {
    const [first, second] = night.bands
      ? [night.bands[block % night.bands.length], night.bands[block % night.bands.length]]
      : bandsAt(state.mjd, darkness, seed, block);
    const deepField = deep.find(({ field, place }) => !done.has(field.name) && altitudeAt(place, state.mjd) > 50);
    if (deepField && state.mjd > darkness.evening18) {
      for (let k = 0; k < config.deepVisits && !isOver(); k++) {
        observe(deepField, k < config.deepVisits / 2 ? first : second);
      }
      continue;
    }
    const chosen: Candidate[] = [];
    while (chosen.length < config.blockVisits && !isOver()) {
      const candidate = bestField(seed, night.dayObs, state.mjd, state.at, done);
      chosen.push(candidate);
      observe(candidate, first);
    }
    for (const candidate of chosen) if (!isOver()) observe(candidate, second); // The pair, half an hour later.
  }
  return plans;
}

/** @throws Error of one line outside the ephemeris. */
export function darknessOf(dayObs: DayObs): Darkness {
  const noon = mjdTaiOfDayObs(asDayObs(dayObs));
  requireEphemeris(noon);
  const sunAltitude = (mjd: number): number => altitudeDeg(sunDirection(mjd), zenithAt(mjd));
  const crossing = (from: number, limit: number, isFalling: boolean): number => {
    for (let mjd = from; mjd < noon + 1.2; mjd += 60 / DAY_SECONDS) {
      if (sunAltitude(mjd) < limit === isFalling) return mjd;
    }
    throw new Error(`the Sun does not cross ${limit}° in the night ${dayObs}`);
  };
  const evening12 = crossing(noon + 0.3, -12, true), evening18 = crossing(evening12, -18, true);
  const morning18 = crossing(evening18 + 0.05, -18, false);
  return { evening12, evening18, morning18, morning12: crossing(morning18, -12, false) };
}

/** Red bands in twilight and under the Moon, blue ones in the dark; a block's visits are paired in its two bands. */
function bandsAt(mjd: number, darkness: Darkness, seed: number, block: number): readonly [Band, Band] {
  if (mjd < darkness.evening18 || mjd > darkness.morning18) return ['z', 'y'];
  const moon = moonAt(mjd), isBright = altitudeDeg(moon.direction, zenithAt(mjd)) > 0 && moon.phaseDeg < 100;
  const choices = isBright ? BRIGHT_PAIRS : DARK_PAIRS;
  return choices[Math.floor(uniform(randomStream(seed, 'bands of a block', Math.floor(mjd), block)) * choices.length)];
}

const DARK_PAIRS: readonly (readonly [Band, Band])[] = [['g', 'r'], ['r', 'i'], ['u', 'g'], ['g', 'i'], ['u', 'r']];
const BRIGHT_PAIRS: readonly (readonly [Band, Band])[] = [['r', 'i'], ['i', 'z'], ['z', 'y'], ['i', 'y']];

/** Centres of a HEALPix grid of side 16: 3.66° apart, so that fields of 3.5° leave little between them. */
const WIDE_FIELDS: readonly Candidate[] = Array.from({ length: 12 * 16 * 16 }, (_, index) => {
  const place: UnitVector = pixcoord2vec_nest(16, index, 0.5, 0.5);
  return {
    field: { name: `wide-${String(index).padStart(4, '0')}`, ...skyOfVector(place) }, place, kind: 'wide' as const,
  };
}).filter(({ field }) => field.decDeg < config.northLimitDeg);

/** The survey's deep-drilling fields. */
const DEEP_FIELDS: readonly Field[] = [
  { name: 'ELAIS-S1', raDeg: 9.45, decDeg: -44.02 }, { name: 'XMM-LSS', raDeg: 35.57, decDeg: -4.82 },
  { name: 'ECDFS', raDeg: 52.98, decDeg: -28.12 }, { name: 'COSMOS', raDeg: 150.11, decDeg: 2.23 },
  { name: 'EDFS-a', raDeg: 58.9, decDeg: -49.32 },
];

/** Half of the nights each. */
function deepFieldsOf(seed: number, dayObs: DayObs): Candidate[] {
  return DEEP_FIELDS.flatMap((field, index) => (uniform(randomStream(seed, 'deep field', dayObs, index)) < 0.5
    ? [{ field, place: unitVector(field.raDeg, field.decDeg), kind: 'deep' as const }] : []));
}

/** The field that costs least: air, slew, moonlight, and having been seen tonight. */
function bestField(
  seed: number, dayObs: DayObs, mjd: number, from: UnitVector | null, done: ReadonlyMap<string, number>,
): Candidate {
  const zenith = zenithAt(mjd), moon = moonAt(mjd), isMoonUp = altitudeDeg(moon.direction, zenith) > 0;
  let best: Candidate | null = null, least = Infinity;
  for (const [index, candidate] of WIDE_FIELDS.entries()) {
    const altitude = altitudeDeg(candidate.place, zenith);
    if (altitude < config.altitudeMinDeg || altitude > config.altitudeMaxDeg || done.has(candidate.field.name)) {
      continue;
    }
    const moonDistance = angleBetween(candidate.place, moon.direction) / RADIANS;
    if (isMoonUp && moonDistance < config.moonDistanceMinDeg) continue;
    const slew = from ? slewSeconds(angleBetween(from, candidate.place)) : 0;
    // What past nights make of each field's urgency.
    const wanted = uniform(randomStream(seed, 'cadence', dayObs, index));
    const cost = 3 * (airmassAt(altitude) - 1) + slew / 12 - 0.6 * wanted + (isMoonUp ? 20 / moonDistance : 0);
    if (cost < least) { least = cost; best = candidate; }
  }
  if (!best) throw new Error(`no field of the survey can be observed at MJD ${mjd.toFixed(4)}`);
  return best;
}

function altitudeAt(place: UnitVector, mjd: number): number {
  return altitudeDeg(place, zenithAt(mjd));
}

/** Accelerating to the mount's speed, then settling. @param angle Radians. */
export function slewSeconds(angle: number): number {
  return config.slewSettleSeconds + angle / RADIANS / config.slewDegreesPerSecond;
}

export type SingleExposure = Readonly<{
  dayObs: DayObs; camera: Camera; seed: number; band: Band; raDeg: number; decDeg: number; cameraAngleDeg: number;
  exposureSeconds: number;
  /** Null takes the moment of the dark hours when the place stands highest. */
  startMjdTai: number | null;
}>;

/** One exposure of one place, pointed as well as the mount can. */
export function planExposure(wanted: SingleExposure): PlannedVisit {
  const { dayObs, camera, seed, band, raDeg, decDeg, cameraAngleDeg, exposureSeconds } = wanted;
  const startMjdTai = wanted.startMjdTai ?? culmination(unitVector(raDeg, decDeg), darknessOf(dayObs));
  requireEphemeris(startMjdTai);
  const exposure = exposureOf(dayObs, 1), commanded = { raDeg, decDeg, cameraAngleDeg };
  const { actual } = pointingsOf(seed, exposure, { name: 'pointing', raDeg, decDeg }, 0);
  return {
    visit: visitOf(dayObs, 1), exposure, sequenceNumber: 1, group: groupOf(startMjdTai),
    field: { name: 'pointing', raDeg, decDeg }, band,
    physicalFilter: physicalFilterOf(camera, band), commanded,
    actual: { ...actual, cameraAngleDeg: cameraAngleDeg + actual.cameraAngleDeg },
    startMjdTai, midpointMjdTai: startMjdTai + exposureSeconds / 2 / DAY_SECONDS, exposureSeconds, snap: 0,
  };
}

function culmination(place: UnitVector, { evening18, morning18 }: Darkness): number {
  let best = evening18;
  for (let mjd = evening18; mjd < morning18; mjd += 300 / DAY_SECONDS) {
    if (altitudeAt(place, mjd) > altitudeAt(place, best)) best = mjd;
  }
  return best;
}

/** Short exposures of the first field before the first visit: focus and pointing checks. Numbered from 80,001. */
export function planEngineering(visits: readonly PlannedVisit[], count: number): PlannedVisit[] {
  if (visits.length === 0) return [];
  const [first] = visits, seconds = 15;
  return Array.from({ length: count }, (_, index) => {
    const dayObs = Math.floor(first.visit / 100_000) as DayObs; // A visit is built on a dayObs.
    const sequenceNumber = 80_001 + index, startMjdTai = first.startMjdTai - ((count - index) * 40 + 160) / DAY_SECONDS;
    return {
      ...first, visit: visitOf(dayObs, sequenceNumber), exposure: exposureOf(dayObs, sequenceNumber), sequenceNumber,
      group: groupOf(startMjdTai),
      field: { ...first.field, name: 'engineering' }, startMjdTai,
      midpointMjdTai: startMjdTai + seconds / 2 / DAY_SECONDS, exposureSeconds: seconds, snap: 0,
    };
  });
}
