/**
 * Boosted decision trees: the model of reliability as plain data, and its evaluation.
 *
 * Sums run in the order of the trees in doubles, and the scale is a polygon through knots instead of a logistic curve,
 * so that no function is used whose last bit a CPU or a library may choose.
 */
import { packForest, sumLeaves, sumLeavesOf } from '../../kernels/forest.ts';
import type { PlaneView } from '../../kernels/kernels.ts';
import type { FeatureName } from './features.ts';

/**
 * Node k of a tree goes to `left[k]` when its feature is below `threshold[k]`, else to `right[k]`; a leaf has feature −1.
 */
export type Tree = Readonly<{
  feature: readonly number[]; threshold: readonly number[]; left: readonly number[]; right: readonly number[];
  value: readonly number[];
}>;

export type ForestModel = Readonly<{
  /** Raised with every training that is committed. */
  version: number;
  /** The trees' features by name, in their order. */
  features: readonly FeatureName[];
  trees: readonly Tree[];
  /** From sums of leaves, ascending, to reliabilities, not descending. */
  knots: Readonly<{ sum: readonly number[]; reliability: readonly number[] }>;
}>;

export type Forest = Readonly<{
  featureCount: number;
  /** Sum of the leaves that a row of features reaches. */
  sumOf: (features: Float64Array) => number;
  /** 0 (bogus) to 1 (real). */
  reliabilityOf: (features: Float64Array) => number;
  /** Of rows of features, [rows × featureCount]. @param beside A view on the memory whose kernels may help. */
  reliabilitiesOf: (rows: Float64Array, beside: PlaneView) => Float64Array;
}>;

/** @throws Error when the model's numbers do not make trees. */
export function createForest(model: Pick<ForestModel, 'trees' | 'knots' | 'features'>): Forest {
  model.trees.forEach((tree, t) => requireTree(tree, model.features.length, t));
  const packed = packForest(model.trees), featureCount = model.features.length;
  const sums = Float64Array.from(model.knots.sum), heights = Float64Array.from(model.knots.reliability);
  const sumOf = (features: Float64Array): number => sumLeavesOf(packed, features);
  return {
    featureCount, sumOf, reliabilityOf: (features) => onPolygon(sums, heights, sumOf(features)),
    reliabilitiesOf: (rows, beside) => (
      sumLeaves(packed, rows, featureCount, beside).map((sum) => onPolygon(sums, heights, sum))
    ),
  };
}

function requireTree({ feature, left, right }: Tree, featureCount: number, index: number): void {
  const isBelow = (child: number, k: number): boolean => child > k && child < feature.length;
  const isSound = feature.every((f, k) => (
    f === -1 || (f >= 0 && f < featureCount && isBelow(left[k], k) && isBelow(right[k], k))
  ));
  if (!isSound || feature.length === 0) throw new Error(`tree ${index} of the reliability model is damaged`);
}

/** Height of the polygon through the knots at x; constant beyond its ends. */
function onPolygon(x: Float64Array, y: Float64Array, at: number): number {
  if (at <= x[0]) return y[0];
  for (let k = 1; k < x.length; k++) {
    if (at < x[k]) return y[k - 1] + ((y[k] - y[k - 1]) * (at - x[k - 1])) / (x[k] - x[k - 1]);
  }
  return y[y.length - 1];
}
