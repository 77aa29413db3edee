/** The solar-system objects of a night: their orbits, followed once, and who is in a field when. */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Site } from '../../schemas/camera.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { mjdTaiOfDayObs } from '../../schemas/time.ts';
import { bodiesInCone, followNight, type NightEphemeris } from '../ephemerides/nightEphemeris.ts';
import { observerState } from '../ephemerides/observer.ts';
import { ssObjectIdOf, type Orbit } from '../ephemerides/orbit.ts';
import { apparition, type Apparition } from '../ephemerides/predict.ts';
import type { SkyCone } from '../preload.ts';

/** A body in a field. */
export type NearBody = Readonly<{ ssObjectId: bigint; orbit: Orbit; seen: Apparition }>;

export type KnownBodies = Readonly<{
  /** SHA-256 of the file of orbits: goes into every commit that these bodies had a say in. */
  digest: string;
  /** Orbits in the file, and those that could not be followed to this night. */
  orbits: number; lost: readonly Orbit[];
  /** Bodies inside a cone at a time of the night, in the order of the file. */
  near(cone: SkyCone, mjdTai: number): NearBody[];
}>;

/**
 * Follows the orbits to the middle of a night. A thousand take some 20 ms, and the event loop turns between them; the
 * planets' places first take 2 ms for every 4 days from each epoch to the night.
 */
export async function openKnownBodies(
  orbits: readonly Orbit[], digest: string, dayObs: DayObs, site: Site | null,
): Promise<KnownBodies> {
  const night = await followed(orbits, dayObs, site);
  let at: { mjdTai: number; observer: Float64Array } = { mjdTai: NaN, observer: new Float64Array(6) };
  return {
    digest, orbits: orbits.length, lost: night.lost.map((k) => orbits[k]),
    near(cone, mjdTai) {
      if (at.mjdTai !== mjdTai) at = { mjdTai, observer: observerState(mjdTai, site) };
      const { observer } = at;
      return bodiesInCone(night, cone.raDeg, cone.decDeg, cone.radiusDeg, mjdTai, observer).map((k) => ({
        ssObjectId: ssObjectIdOf(orbits[k].packed), orbit: orbits[k],
        seen: apparition({ state: night.states, at: 6 * k, epochMjdTt: night.midMjdTt }, observer, mjdTai),
      }));
    },
  };
}

function followed(orbits: readonly Orbit[], dayObs: DayObs, site: Site | null): Promise<NightEphemeris> {
  return inSteps(followNight(orbits, mjdTaiOfDayObs(dayObs) + 0.5, site));
}

/** Runs work that comes in steps, and lets the event loop turn between them. */
export async function inSteps<T>(steps: Generator<number, T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await breathe();
  }
}
