/** Sources of simulated bodies among thousands of others: the right ones are told, by the engine's own orbits. */
import { expect, test } from 'vitest';
import { parseOrbits } from '../../engine/ephemerides/orbitFile.ts';
import { ssObjectIdOf } from '../../engine/ephemerides/orbit.ts';
import { associateConfig } from '../../engine/stages/associate/config.ts';
import { matchBodies } from '../../engine/stages/associate/knownBodies.ts';
import type { MeasuredDiaSource } from '../../engine/stages/associate/associate.ts';
import { openKnownBodies, type KnownBodies } from '../../engine/stream/knownBodies.ts';
import { NightBodies } from '../../engine/stream/nightBodies.ts';
import { newDiaSource } from '../../schemas/diaRows.ts';
import { asDayObs, asDetectorId, diaSourceIdOf, visitOf } from '../../schemas/ids.ts';
import { mjdTaiOfDayObs } from '../../schemas/time.ts';
import { nightConfig } from '../../simulator/config.ts';
import { demonstrationBodies } from '../../simulator/demonstrationBodies.ts';
import { exposedBodies } from '../../simulator/minorPlanets.ts';
import { makeOrbitFile } from '../../simulator/orbitFile.ts';
import { skyOfVector, unitVector } from '../../simulator/projection.ts';
import { normal, randomStream, uniform } from '../../simulator/random.ts';

const NIGHT = asDayObs(20261001), FIELD = nightConfig.fields[0], DETECTOR = asDetectorId(0);
const SITE = { latitudeDeg: -30.2446, longitudeDeg: -70.7494, heightM: 2663 };
/** The whole circle that is searched, and the changes in it: 3,300 a square degree, as the demonstration has. */
const RADIUS_DEG = 0.6, OTHERS = Math.round(3300 * Math.PI * RADIUS_DEG ** 2);

function source(counter: number, ra: number, dec: number, visit = visitOf(NIGHT, 1)): MeasuredDiaSource {
  return newDiaSource({
    diaSourceId: diaSourceIdOf(visit, DETECTOR, counter), visit: BigInt(visit), detector: DETECTOR, ra, dec,
    x: 1, y: 1, midpointMjdTai: 0, timeProcessedMjdTai: 0, bboxSize: 21, psfFlux: 1000, psfFluxErr: 100,
    raErr: 4e-5, decErr: 4e-5,
  });
}

test('of bodies at an ecliptic density among other changes, 99 % are told, and 99 % are right', async () => {
  const { orbits } = parseOrbits(makeOrbitFile(11, [FIELD], 0.003, NIGHT, 'demonstration'));
  const bodies = await openKnownBodies(orbits, 'digest', NIGHT, SITE);
  const random = randomStream(11, 'sources of the test'), cosDec = Math.cos((FIELD.decDeg * Math.PI) / 180);
  let seen = 0, told = 0, right = 0;
  for (let visit = 0; visit < 8; visit++) {
    const mjd = mjdTaiOfDayObs(NIGHT) + 0.3 + 0.05 * visit, truth = new Map<bigint, bigint>();
    const sources: MeasuredDiaSource[] = [];
    const drawn = exposedBodies(
      demonstrationBodies(11, FIELD, mjd), unitVector(FIELD.raDeg, FIELD.decDeg), (RADIUS_DEG * Math.PI) / 180, mjd, 0);
    for (const { planet, middle } of drawn) {
      if (uniform(random) < 0.2) continue; // Too faint: another source near must not be taken for it.
      const { raDeg, decDeg } = skyOfVector(middle), sigmaDeg = 0.15 / 3600; // As at 5 σ in 1″ seeing.
      const ra = raDeg + (sigmaDeg * normal(random)) / cosDec, dec = decDeg + sigmaDeg * normal(random);
      const row = source(sources.length, ra, dec);
      truth.set(row.diaSourceId, ssObjectIdOf(planet.designation));
      sources.push(row);
    }
    for (let k = 0; k < OTHERS; k++) {
      const radius = RADIUS_DEG * Math.sqrt(uniform(random)), angle = 2 * Math.PI * uniform(random);
      sources.push(source(
        sources.length, FIELD.raDeg + (radius * Math.sin(angle)) / cosDec, FIELD.decDeg + radius * Math.cos(angle)));
    }
    const near = bodies.near({ ...FIELD, radiusDeg: RADIUS_DEG + 0.01 }, mjd);
    const predicted = near.map(({ ssObjectId, seen: { raDeg, decDeg } }) => (
      { ssObjectId, ra: raDeg, dec: decDeg, raErr: null, decErr: null, ra_dec_Cov: null }));
    const matches = matchBodies(sources, predicted, associateConfig);
    seen += truth.size;
    told += matches.length;
    right += matches.filter(({ diaSourceId, ssObjectId }) => truth.get(diaSourceId) === ssObjectId).length;
  }
  // 3,300 a square degree put another source within 1″ of a body with probability 8e-4.
  expect(seen).toBeGreaterThan(400);
  expect(right / seen).toBeGreaterThanOrEqual(0.99);
  expect(right / told).toBeGreaterThanOrEqual(0.99);
});

test('a commit waits a little for the bodies, and goes on without; they serve the next one', async () => {
  const notes: string[] = [], { promise, resolve } = Promise.withResolvers<KnownBodies | null>();
  const night = new NightBodies(() => promise, (line) => notes.push(line), 20);
  expect(await night.inTime()).toBeNull();
  night.begin();
  expect([await night.inTime(), await night.inTime()]).toEqual([null, null]);
  expect(notes).toEqual(['the orbits are still being read: alerts leave without solar-system objects']);
  const bodies: KnownBodies = { digest: 'd', orbits: 0, lost: [], near: () => [] };
  resolve(bodies);
  expect(await night.inTime()).toBe(bodies);
});

test('orbits that are not there are looked for again, damaged ones are told once', async () => {
  const notes: string[] = [], found: KnownBodies = { digest: 'd', orbits: 0, lost: [], near: () => [] };
  const answers: (KnownBodies | null)[] = [null, found];
  const night = new NightBodies(async () => answers.shift() ?? null, (line) => notes.push(line), 1000);
  night.begin();
  expect(await night.inTime()).toBeNull();
  night.begin();
  expect((await night.inTime())?.digest).toBe('d');
  const damaged = new NightBodies(() => Promise.reject(new Error('no such digest')), (line) => notes.push(line), 1000);
  damaged.begin();
  expect(await damaged.inTime()).toBeNull();
  damaged.begin();
  expect(await damaged.inTime()).toBeNull();
  expect(notes).toEqual(['the night goes on without solar-system objects: no such digest']);
});
