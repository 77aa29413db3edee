/**
 * Boosted decision trees: the model of reliability as plain data, and its evaluation.
 *
 * Sums run in the order of the trees in doubles, and the scale is a polygon through knots instead of a logistic curve,
 * so that no function is used whose last bit a CPU or a library may choose.
 */
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
}>;

/** @throws Error when the model's numbers do not make trees. */
export function createForest(model: Pick<ForestModel, 'trees' | 'knots' | 'features'>): Forest {
  const total = model.trees.reduce((sum, { feature }) => sum + feature.length, 0);
  const roots = new Int32Array(model.trees.length), feature = new Int32Array(total);
  const threshold = new Float64Array(total);
  const left = new Int32Array(total), right = new Int32Array(total), value = new Float64Array(total);
  let next = 0;
  model.trees.forEach((tree, t) => {
    roots[t] = next;
    requireTree(tree, model.features.length, t);
    for (let k = 0; k < tree.feature.length; k++) {
      feature[next + k] = tree.feature[k];
      threshold[next + k] = tree.threshold[k];
      left[next + k] = next + tree.left[k];
      right[next + k] = next + tree.right[k];
      value[next + k] = tree.value[k];
    }
    next += tree.feature.length;
  });
  const sumOf = (features: Float64Array): number => {
    let sum = 0;
    for (let t = 0; t < roots.length; t++) {
      let k = roots[t];
      while (feature[k] >= 0) k = features[feature[k]] < threshold[k] ? left[k] : right[k];
      sum += value[k];
    }
    return sum;
  };
  const sums = Float64Array.from(model.knots.sum), heights = Float64Array.from(model.knots.reliability);
  return {
    featureCount: model.features.length, sumOf, reliabilityOf: (features) => onPolygon(sums, heights, sumOf(features)),
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
