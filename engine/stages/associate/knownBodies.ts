/** Solar-system objects come first: which diaSources are the bodies that orbits predict here. */
import type { AssociateConfig } from './config.ts';
import type { MeasuredDiaSource } from './associate.ts';
import { matchMinimumCost } from './matching.ts';
import { gatedPairs, unmatchedCost } from './pairs.ts';
import { localFrame, separationArcsec, type SkyPosition } from './position.ts';

/** Where a body is expected at the middle of the exposure; errors as of any position, null where none is known. */
export type PredictedBody = SkyPosition & Readonly<{ ssObjectId: bigint }>;

/** A diaSource that is a known body; `distanceRank` is 1 when no other source lies nearer to the prediction. */
export type BodyMatch = Readonly<{ diaSourceId: bigint; ssObjectId: bigint; distanceRank: number }>;

/**
 * Matches sources with predicted bodies within the radius at least total cost, one to one. Sources that have faded are
 * left out: a body that moves is not in the template, so it only adds light.
 *
 * @returns In order of diaSourceId. The order of the arguments does not matter.
 */
export function matchBodies(
  measured: readonly MeasuredDiaSource[], predicted: readonly PredictedBody[], config: AssociateConfig,
): BodyMatch[] {
  const sources = measured.filter(isBrightening).sort((a, b) => (a.diaSourceId < b.diaSourceId ? -1 : 1));
  const bodies = [...predicted].sort((a, b) => (a.ssObjectId < b.ssObjectId ? -1 : 1));
  const pairs = gatedPairs(sources, bodies, config);
  const bodyOfSource = matchMinimumCost(pairs, unmatchedCost(config));
  const frames = sources.map(({ ra, dec }) => localFrame(ra, dec));
  return sources.flatMap(({ diaSourceId }, s): BodyMatch[] => {
    if (bodyOfSource[s] < 0) return [];
    const { ssObjectId, ra, dec } = bodies[bodyOfSource[s]], place = localFrame(ra, dec);
    const own = separationArcsec(frames[s], place);
    const nearer = frames.filter((frame) => separationArcsec(frame, place) < own).length;
    return [{ diaSourceId, ssObjectId, distanceRank: nearer + 1 }];
  });
}

function isBrightening({ isNegative, psfFlux }: MeasuredDiaSource): boolean {
  return isNegative !== true && (psfFlux === null || psfFlux >= 0);
}
