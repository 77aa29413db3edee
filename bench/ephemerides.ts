/**
 * How long does a visit wait for its solar-system objects among a million known orbits? A seeded population, followed
 * under the planets to one night, then asked for in fields of LSSTCam's size along the ecliptic and off it.
 *
 *     node bench/ephemerides.ts [--orbits N] [--json] [--keep]
 *
 * Exit 1 when a query takes more than 0.2 s.
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Elements } from '../engine/ephemerides/elements.ts';
import { bodiesInCone, followNight, type NightEphemeris } from '../engine/ephemerides/nightEphemeris.ts';
import { observerState } from '../engine/ephemerides/observer.ts';
import { apparition } from '../engine/ephemerides/predict.ts';
import { benchResult, reportResult, spreadOf } from './harness.ts';
import { orbitPopulation } from './orbitPopulation.ts';

const { values } = parseArgs({ options: {
  orbits: { type: 'string', default: '1000000' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const MIDNIGHT = 61315, FIELD_RADIUS_DEG = 1.86, QUERIES = 60, LIMIT_SECONDS = 0.2;
const SITE = { latitudeDeg: -30.2446, longitudeDeg: -70.7494, heightM: 2663 };

const count = Number(values.orbits);
if (!Number.isInteger(count) || count < 1 || count > 5_000_000) throw new Error('--orbits must be 1 to 5000000');
const orbits = orbitPopulation(count);
const begun = process.cpuUsage();
const night = followed(orbits);
const nightSeconds = secondsSince(begun);

const queries: number[] = [], found: number[] = [], hash = createHash('sha256');
for (let k = -3; k < QUERIES; k++) {
  // Opposition lies at longitude 8°: fields up to 60° to both sides, from the ecliptic to 50° off it.
  const raDeg = (368 + 60 * Math.sin(k)) % 360, decDeg = 3 + 24 * Math.sin(k) - 50 * (Math.abs(k) / QUERIES) ** 2;
  const mjdTai = MIDNIGHT - 0.2 + 0.006 * k, before = process.cpuUsage();
  const observer = observerState(mjdTai, SITE);
  const bodies = bodiesInCone(night, raDeg, decDeg, FIELD_RADIUS_DEG, mjdTai, observer);
  const places = bodies.map((at) =>
    apparition({ state: night.states, at: 6 * at, epochMjdTt: night.midMjdTt }, observer, mjdTai));
  if (k < 0) continue; // Warm-up.
  queries.push(secondsSince(before));
  found.push(bodies.length);
  for (const { raDeg: ra, decDeg: dec } of places) hash.update(`${ra.toFixed(9)},${dec.toFixed(9)};`);
}
const querySeconds = spreadOf(queries), bytesPerOrbit = (8 * 6 + 3 * 4 + 4);
reportResult(benchResult({
  bench: 'ephemerides',
  question: 'CPU seconds to follow all orbits to a night, and to find and place the bodies of one visit',
  size: {
    orbits: count, queries: QUERIES, fieldRadiusDeg: FIELD_RADIUS_DEG, lost: night.lost.length,
    fast: night.fast.length, megabytes: Math.round((count * bytesPerOrbit) / 1e6),
  },
  figures: {
    nightSeconds: spreadOf([nightSeconds]), querySeconds, querySecondsMax: spreadOf([Math.max(...queries)]),
    bodiesFound: spreadOf(found),
  },
  checksum: hash.digest('hex').slice(0, 16),
}), { json: values.json, keep: values.keep });
if (Math.max(...queries) > LIMIT_SECONDS) process.exitCode = 1;

function followed(list: readonly Elements[]): NightEphemeris {
  const steps = followNight(list, MIDNIGHT, SITE);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
