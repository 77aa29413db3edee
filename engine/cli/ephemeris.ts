/** `vesper ephemeris`: where the bodies of a file of orbits are seen: one over time, or all in a field at a time. */
import { loadCamera, type Site } from '../../schemas/camera.ts';
import { dayObsOfMjdTai } from '../../schemas/time.ts';
import { TT_MINUS_TAI_DAYS } from '../ephemerides/constants.ts';
import { stateOfElements } from '../ephemerides/elements.ts';
import { observerState } from '../ephemerides/observer.ts';
import { ssObjectIdOf, type Orbit } from '../ephemerides/orbit.ts';
import { perturb, PlanetGrid } from '../ephemerides/perturb.ts';
import { apparition, type Apparition } from '../ephemerides/predict.ts';
import { visualMagnitude } from '../ephemerides/ssSourceRow.ts';
import type { EphemerisOptions } from '../setup/arguments.mjs';
import { openKnownBodies } from '../stream/knownBodies.ts';
import { note, print, printJson, table } from './output.ts';
import { readOrbits } from './orbits.ts';

type Line = Readonly<{
  designation: string; ssObjectId: bigint; mjdTai: number; ra: number; dec: number; rateRa: number; rateDec: number;
  vMag: number | null; helioRange: number; topoRange: number; phaseAngle: number; elongation: number;
}>;

export async function runEphemeris(file: string, options: EphemerisOptions): Promise<number> {
  const { orbits, bad } = readOrbits(file);
  if (bad.length > 0) note(`${bad.length} lines are no orbits, such as line ${bad[0].line}: ${bad[0].reason}`);
  const site = siteOf(options);
  const lines = options.field !== null ? await inField(orbits, options.field, options.mjd, site)
    : ofObject(orbits, options, site);
  if (options.json) { printJson(lines); return 0; }
  const header = ['object', 'MJD TAI', 'ra', 'dec', 'ra °/d', 'dec °/d', 'V', 'r au', 'Δ au', 'phase', 'elong'];
  print(table(header, lines.map((line) => [
    line.designation, line.mjdTai.toFixed(5), line.ra.toFixed(6), line.dec.toFixed(6), line.rateRa.toFixed(4),
    line.rateDec.toFixed(4), line.vMag === null ? '–' : line.vMag.toFixed(2), line.helioRange.toFixed(5),
    line.topoRange.toFixed(5), line.phaseAngle.toFixed(2), line.elongation.toFixed(1),
  ])));
  return 0;
}

/** @throws Error of one line when the place is none, or the camera is not known. */
function siteOf({ camera, site }: EphemerisOptions): Site | null {
  if (site === null) return loadCamera(camera).site ?? null;
  const [latitudeDeg, longitudeDeg, heightM = 0, ...rest] = numbers(site);
  const isPlace = rest.length === 0 && Math.abs(latitudeDeg) <= 90 && Math.abs(longitudeDeg) <= 360
    && Math.abs(heightM) < 1e5;
  if (!isPlace) throw new Error(`--site must be latitude, east longitude, metres: -30.24,-70.75,2663, not "${site}"`);
  return { latitudeDeg, longitudeDeg, heightM };
}

function numbers(text: string): number[] {
  return text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
}

/** Bodies in a cone, by name. */
async function inField(orbits: readonly Orbit[], field: string, mjdTai: number, site: Site | null): Promise<Line[]> {
  const [raDeg, decDeg, radiusDeg, ...rest] = numbers(field);
  if (rest.length > 0 || !(raDeg >= 0 && raDeg < 360 && Math.abs(decDeg) <= 90 && radiusDeg > 0 && radiusDeg <= 180)) {
    throw new Error(`--field must be right ascension, declination, radius in degrees: 9.45,-44.0,0.5, not "${field}"`);
  }
  const bodies = await openKnownBodies(orbits, '', dayObsOfMjdTai(mjdTai), site);
  for (const orbit of bodies.lost.slice(0, 3)) note(`${orbit.designation} cannot be followed to this night`);
  return bodies.near({ raDeg, decDeg, radiusDeg }, mjdTai).map(({ orbit, seen }) => lineOf(orbit, seen, mjdTai))
    .sort((a, b) => (a.designation < b.designation ? -1 : 1));
}

/** One body at equal steps, followed under the planets to each. */
function ofObject(orbits: readonly Orbit[], options: EphemerisOptions, site: Site | null): Line[] {
  const { object, mjd, days, stepHours } = options;
  if (object === null) throw new Error('name one body with --object, or a field with --field');
  const orbit = orbits.find(({ designation, packed }) => designation === object || packed === object)
    ?? orbits.find(({ designation }) => designation.toLowerCase().includes(object.toLowerCase()));
  if (!orbit) throw new Error(`there is no "${object}" among ${orbits.length} orbits`);
  const count = Math.floor((days * 24) / stepHours + 1e-9) + 1, state = new Float64Array(6);
  const grid = new PlanetGrid();
  stateOfElements(orbit, state, 0);
  let at = orbit.epochMjdTt;
  return Array.from({ length: count }, (_, k) => {
    const mjdTai = mjd + (k * stepHours) / 24, epochMjdTt = mjdTai + TT_MINUS_TAI_DAYS;
    perturb(grid, state, 0, at, epochMjdTt);
    at = epochMjdTt;
    return lineOf(orbit, apparition({ state, at: 0, epochMjdTt }, observerState(mjdTai, site), mjdTai), mjdTai);
  });
}

function lineOf(orbit: Orbit, seen: Apparition, mjdTai: number): Line {
  return {
    designation: orbit.designation, ssObjectId: ssObjectIdOf(orbit.packed), mjdTai, ra: seen.raDeg, dec: seen.decDeg,
    rateRa: seen.rateRaDegDay, rateDec: seen.rateDecDegDay,
    vMag: visualMagnitude({ h: orbit.h, g: orbit.g, seen }), helioRange: seen.helioRangeAu,
    topoRange: seen.topoRangeAu, phaseAngle: seen.phaseDeg, elongation: seen.elongationDeg,
  };
}
