/** Solar-system objects come first: which diaSources are the bodies that orbits predict here. */
import type { AssociateConfig } from './config.ts';
import type { MeasuredDiaSource } from './associate.ts';
import { matchMinimumCost, type PairGraph } from './matching.ts';
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
  if (predicted.length === 0) return [];
  const sources = measured.filter(isBrightening).sort((a, b) => (a.diaSourceId < b.diaSourceId ? -1 : 1));
  const bodies = [...predicted].sort((a, b) => (a.ssObjectId < b.ssObjectId ? -1 : 1));
  // How well an orbit predicts is not known as its errors say: the radius alone decides.
  const pairs = gatedPairs(sources, bodies, { ...config, sureRadiusShare: 1 });
  const bodyOfSource = matchMinimumCost(pairs, unmatchedCost(config));
  const separations = separationsOfBodies(sources, bodies, pairs);
  return sources.flatMap(({ diaSourceId }, s): BodyMatch[] => {
    const body = bodyOfSource[s];
    if (body < 0) return [];
    // Who lies nearer than a match lies within the radius too, and so is among the pairs.
    const own = separations[body].get(s) ?? 0, nearer = [...separations[body].values()].filter((other) => other < own);
    return [{ diaSourceId, ssObjectId: bodies[body].ssObjectId, distanceRank: nearer.length + 1 }];
  });
}

/** Of each body: the sources within the radius, by index, and how far each is, arcsec. */
function separationsOfBodies(
  sources: readonly SkyPosition[], bodies: readonly SkyPosition[], { edgeStart, edgeObject }: PairGraph,
): Map<number, number>[] {
  const separations = bodies.map(() => new Map<number, number>());
  sources.forEach((source, s) => {
    for (let edge = edgeStart[s]; edge < edgeStart[s + 1]; edge++) {
      const body = bodies[edgeObject[edge]];
      const apart = separationArcsec(localFrame(source.ra, source.dec), localFrame(body.ra, body.dec));
      separations[edgeObject[edge]].set(s, apart);
    }
  });
  return separations;
}

function isBrightening({ isNegative, psfFlux }: MeasuredDiaSource): boolean {
  return isNegative !== true && (psfFlux === null || psfFlux >= 0);
}
