import type { AssociateConfig } from './config.ts';
import type { PairGraph } from './matching.ts';
import {
  ARCSEC_PER_DEGREE, covarianceOf, inFrame, inverse, localFrame, offsetArcsec, separationArcsec,
} from './position.ts';
import type { Covariance, LocalFrame, SkyPosition } from './position.ts';

/**
 * All pairs of a source and an object within the match radius (great circle) that may be one point, with the cost of
 * matching them. Edges of a source come in the order of the objects' indices. Positions must be finite.
 *
 * The objects are searched by strips of declination: a strip of 2″ over a detector of 0.2° holds about 1/360 of them,
 * so that 10,000 sources against 50,000 objects are 1.4 million comparisons, and there is no seam anywhere on the sky.
 */
export function gatedPairs(
  sources: readonly SkyPosition[], objects: readonly SkyPosition[], config: AssociateConfig,
): PairGraph {
  // Half of the objects around a detector are near no source of it, and need no frame.
  const frames = new Array<LocalFrame | undefined>(objects.length);
  const frameOf = (o: number) => frames[o] ??= localFrame(objects[o].ra, objects[o].dec);
  const byDec = objects.map((_, i) => i).sort((a, b) => objects[a].dec - objects[b].dec || a - b);
  const sortedDec = Float64Array.from(byDec, (i) => objects[i].dec);
  const edgeStart = new Int32Array(sources.length + 1);
  const edgeObject: number[] = [];
  const edgeCost: number[] = [];
  // Rounding of a declination in radians is below 1e-13 degrees; the slack is far above it and costs nothing.
  const reachDeg = config.matchRadiusArcsec / ARCSEC_PER_DEGREE + 1e-9;
  const sureRadiusArcsec = config.sureRadiusShare * config.matchRadiusArcsec;
  for (let s = 0; s < sources.length; s++) {
    const source = sources[s];
    const frame = localFrame(source.ra, source.dec);
    const near: number[] = [];
    for (let k = firstAtLeast(sortedDec, source.dec - reachDeg); k < byDec.length; k++) {
      if (sortedDec[k] > source.dec + reachDeg) break;
      if (separationArcsec(frame, frameOf(byDec[k])) <= config.matchRadiusArcsec) near.push(byDec[k]);
    }
    near.sort((a, b) => a - b);
    for (const o of near) {
      const { chi2, cost } = likelihoodOf(source, frame, objects[o], frameOf(o), config);
      if (chi2 > config.apartChi2 && separationArcsec(frame, frameOf(o)) > sureRadiusArcsec) continue;
      edgeObject.push(o);
      edgeCost.push(cost);
    }
    edgeStart[s + 1] = edgeObject.length;
  }
  return {
    edgeStart, edgeObject: Int32Array.from(edgeObject), edgeCost: Float64Array.from(edgeCost),
    objectCount: objects.length,
  };
}

/**
 * Cost of leaving a source without an object: that of the most expensive pair inside the gate, both errors at the
 * floor along the offset and the whole gate across it. So a lone pair is matched whenever there is one, while two
 * sources near one object are not spread over a distant second one just to match both.
 */
export function unmatchedCost(config: AssociateConfig): number {
  const floor = 2 * config.sigmaFloorArcsec ** 2;
  const gate = config.matchRadiusArcsec ** 2;
  return 0.5 * (gate / floor) + 0.5 * Math.log(floor * 2 * gate);
}

/**
 * Negative logarithm of the likelihood that both are one point, constants left out: 0.5 χ² + 0.5 ln det C, where C is
 * the sum of the two covariances in arcsec²; without correlation the second term is 0.5 ln(σ²ra σ²dec), as in Rubin's
 * ap_association.
 */
export function pairCost(
  source: SkyPosition, sourceFrame: LocalFrame, object: SkyPosition, objectFrame: LocalFrame, config: AssociateConfig,
): number {
  return likelihoodOf(source, sourceFrame, object, objectFrame, config).cost;
}

function likelihoodOf(
  source: SkyPosition, sourceFrame: LocalFrame, object: SkyPosition, objectFrame: LocalFrame, config: AssociateConfig,
): { chi2: number; cost: number } {
  const own = covarianceOf(source, config);
  const other = inFrame(covarianceOf(object, config), objectFrame, sourceFrame);
  const total: Covariance = { ee: own.ee + other.ee, nn: own.nn + other.nn, en: own.en + other.en };
  const [east, north] = offsetArcsec(sourceFrame, objectFrame);
  const weight = inverse(total);
  const chi2 = weight.ee * east * east + 2 * weight.en * east * north + weight.nn * north * north;
  return { chi2, cost: 0.5 * chi2 + 0.5 * Math.log(total.ee * total.nn - total.en * total.en) };
}

function firstAtLeast(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
