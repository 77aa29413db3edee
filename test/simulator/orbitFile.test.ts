/** The orbits that the simulator tells are those on which it draws its bodies; the engine finds them there. */
import { expect, test } from 'vitest';
import { parseOrbits } from '../../engine/ephemerides/orbitFile.ts';
import { ssObjectIdOf } from '../../engine/ephemerides/orbit.ts';
import { openKnownBodies } from '../../engine/stream/knownBodies.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { mjdTaiOfDayObs } from '../../schemas/time.ts';
import { nightConfig } from '../../simulator/config.ts';
import { demonstrationBodies } from '../../simulator/demonstrationBodies.ts';
import { exposedBodies, minorPlanets, movingSources } from '../../simulator/minorPlanets.ts';
import { encodeOrbitFile, makeOrbitFile } from '../../simulator/orbitFile.ts';
import { skyOfVector, unitVector } from '../../simulator/projection.ts';

const NIGHT = asDayObs(20261001), MIDNIGHT = mjdTaiOfDayObs(NIGHT) + 0.5, FIELD = nightConfig.fields[0];
const SITE = { latitudeDeg: -30.2446, longitudeDeg: -70.7494, heightM: 2663 };

test('the demonstration shows an ecliptic field\'s density of bodies, and the same ones on the nights around', () => {
  const centre = unitVector(FIELD.raDeg, FIELD.decDeg), radius = 0.15 * Math.PI / 180;
  const seen = (mjd: number) => exposedBodies(demonstrationBodies(3, FIELD, mjd), centre, radius, mjd, 30);
  const perSquareDegree = [0, 1, 2, 3, 4].map((day) => seen(MIDNIGHT + day).length / (Math.PI * 0.15 ** 2));
  const mean = perSquareDegree.reduce((a, b) => a + b) / 5;
  // 24 crossings a day within 12′ are 160 a square degree and day, and a body stays within 9′ for 0.5 … 1.5 days:
  // 5 nights see some 50 different ones, ± 15 %.
  expect(mean).toBeGreaterThan(100);
  expect(mean).toBeLessThan(450);
  const [today, tomorrow] = [MIDNIGHT, MIDNIGHT + 1].map((mjd) => new Map(
    demonstrationBodies(3, FIELD, mjd).map((planet) => [planet.id, planet])));
  const shared = [...today.keys()].filter((id) => tomorrow.has(id));
  expect(shared.length).toBe(24 * 6);
  for (const id of shared) expect(tomorrow.get(id)).toEqual(today.get(id));
});

test('the engine predicts every body of the demonstration within 0.25″ of where it is drawn', async () => {
  const { orbits, bad } = parseOrbits(makeOrbitFile(3, [FIELD], 0.003, NIGHT, 'demonstration'));
  expect(bad).toEqual([]);
  const bodies = await openKnownBodies(orbits, 'digest', NIGHT, SITE);
  for (const hours of [-4, 0, 3.3]) {
    const mjd = MIDNIGHT + hours / 24, centre = unitVector(FIELD.raDeg, FIELD.decDeg);
    const drawn = exposedBodies(demonstrationBodies(3, FIELD, mjd), centre, 0.01, mjd, 0);
    const near = new Map(bodies.near({ ...FIELD, radiusDeg: 0.7 }, mjd).map((body) => [body.ssObjectId, body]));
    expect(drawn.length).toBeGreaterThan(10);
    for (const { planet, middle } of drawn) {
      const { raDeg, decDeg } = skyOfVector(middle), body = near.get(ssObjectIdOf(planet.designation));
      const miss = 3600 * Math.hypot(
        (body!.seen.raDeg - raDeg) * Math.cos(decDeg * Math.PI / 180), body!.seen.decDeg - decDeg);
      // Earth of the simulator's shorter series: up to 0.4″ at 1 au from the Sun, seen from 1.1 au and more; its site
      // is on a round Earth, 20 km off: 0.03″.
      expect(miss).toBeLessThan(0.4);
    }
  }
});

test('the survey tells every body that its field shows, the belt\'s too, all within 0.4″', async () => {
  const field = { name: 'off the ecliptic', raDeg: 10, decDeg: 24 }, radius = 0.2 * Math.PI / 180;
  const { orbits, bad } = parseOrbits(makeOrbitFile(3, [field], radius, NIGHT, 'survey'));
  expect(bad).toEqual([]);
  const bodies = await openKnownBodies(orbits, 'digest', NIGHT, SITE), centre = unitVector(field.raDeg, field.decDeg);
  const mjd = MIDNIGHT + 4.5 / 24, drawn = movingSources(3, centre, radius, centre, radius, mjd, 0);
  const near = new Map(bodies.near({ ...field, radiusDeg: 0.5 }, mjd).map((body) => [body.orbit.designation, body]));
  expect(drawn.length).toBeGreaterThan(5);
  for (const { planet, middle } of drawn) {
    const { raDeg, decDeg } = skyOfVector(middle), { seen, ssObjectId } = near.get(planet.designation)!;
    const miss = 3600 * Math.hypot((seen.raDeg - raDeg) * Math.cos(decDeg * Math.PI / 180), seen.decDeg - decDeg);
    expect(miss).toBeLessThan(0.4 / Math.min(1, seen.topoRangeAu));
    expect(ssObjectId < 2n ** 56n).toBe(true);
  }
});

test('the survey\'s own population is told too, each class with its letter, elements as they are', () => {
  const planets = minorPlanets(5).filter((_, k) => k % 500 === 0);
  const { orbits, bad } = parseOrbits(encodeOrbitFile(planets, MIDNIGHT));
  expect(bad).toEqual([]);
  expect(orbits.map(({ designation }) => designation)).toEqual(planets.map(({ designation }) => designation));
  expect(new Set(orbits.map(({ packed }) => packed)).size).toBe(planets.length);
  expect(Math.max(...orbits.map(({ packed }) => packed.length))).toBeLessThanOrEqual(7);
  orbits.forEach(({ q, e, i }, k) => {
    const { semiMajorAxisAu, eccentricity, inclination } = planets[k].orbit;
    expect(e).toBeCloseTo(eccentricity, 12);
    expect(q / (1 - e)).toBeCloseTo(semiMajorAxisAu, 9);
    // Between the two obliquities lie 0.042″.
    expect(Math.abs(i - inclination * 180 / Math.PI)).toBeLessThan(1.3e-5);
  });
});
