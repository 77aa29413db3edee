/**
 * Gradient boosting of decision trees for two classes (Friedman 2001; second-order steps and histograms as in Chen &
 * Guestrin 2016, §2 and §3.3).
 */
import type { Tree } from '../../stages/reliability/forest.ts';

export type BoostingConfig = Readonly<{
  treeCount: number; depth: number;
  /** Part of each tree's step that is taken. */
  rate: number;
  /** Least sum of curvatures in a leaf, and what is added to it. */
  leafWeightMin: number; ridge: number;
  /** Least gain of a split. */
  gainMin: number;
  /** Part of the rows that each tree sees, and of the features. */
  rowShare: number; featureShare: number;
  binCount: number;
}>;

export type TrainingRows = Readonly<{
  /** [rows × features] row-major. */
  features: Float64Array; featureCount: number;
  /** 1 real, 0 bogus. */
  labels: Uint8Array; weights: Float64Array;
}>;

type Binned = Readonly<{ bins: Uint8Array; edges: readonly Float64Array[] }>;

/** @param random Uniform in [0, 1); the only source of chance. */
export function boostTrees(rows: TrainingRows, config: BoostingConfig, random: () => number): Tree[] {
  const { labels, weights, featureCount } = rows, count = labels.length, binned = binFeatures(rows, config.binCount);
  const sums = new Float64Array(count), gradient = new Float64Array(count), curvature = new Float64Array(count);
  const trees: Tree[] = [];
  for (let t = 0; t < config.treeCount; t++) {
    const used: number[] = [];
    for (let i = 0; i < count; i++) {
      const probability = 1 / (1 + Math.exp(-sums[i]));
      gradient[i] = weights[i] * (labels[i] - probability);
      curvature[i] = weights[i] * Math.max(probability * (1 - probability), 1e-6);
      if (random() < config.rowShare) used.push(i);
    }
    const features = [...Array(featureCount).keys()].filter(() => random() < config.featureShare);
    const tree = growTree(binned, gradient, curvature, Int32Array.from(used), features, featureCount, config);
    for (let i = 0; i < count; i++) sums[i] += valueOf(tree, rows.features, i * featureCount);
    trees.push(tree);
  }
  return trees;
}

function valueOf(tree: Tree, features: Float64Array, start: number): number {
  let k = 0;
  while (tree.feature[k] >= 0) k = features[start + tree.feature[k]] < tree.threshold[k] ? tree.left[k] : tree.right[k];
  return tree.value[k];
}

/** Cuts each feature into bins of equal numbers; edges have six digits, so that a model is short. */
function binFeatures({ features, featureCount, labels }: TrainingRows, binCount: number): Binned {
  const count = labels.length, bins = new Uint8Array(count * featureCount), edges: Float64Array[] = [];
  for (let f = 0; f < featureCount; f++) {
    const sorted = Float64Array.from({ length: count }, (_, i) => features[i * featureCount + f]).sort();
    const own: number[] = [];
    for (let b = 1; b < binCount; b++) {
      const at = Math.floor((b * count) / binCount), edge = Number(((sorted[at - 1] + sorted[at]) / 2).toPrecision(6));
      const isNew = own.length === 0 || edge > own[own.length - 1];
      if (sorted[at - 1] < edge && edge <= sorted[at] && isNew) own.push(edge);
      else if (sorted[at] > sorted[at - 1]) {
        const upper = Number(sorted[at].toPrecision(6));
        if (own.length === 0 || upper > own[own.length - 1]) own.push(upper);
      }
    }
    edges.push(Float64Array.from(own));
    for (let i = 0; i < count; i++) {
      const value = features[i * featureCount + f];
      let low = 0, high = own.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (value < own[middle]) high = middle; else low = middle + 1;
      }
      bins[i * featureCount + f] = low;
    }
  }
  return { bins, edges };
}

type Growing = { feature: number[]; threshold: number[]; left: number[]; right: number[]; value: number[] };

function growTree(
  binned: Binned, gradient: Float64Array, curvature: Float64Array, rows: Int32Array, features: readonly number[],
  featureCount: number, config: BoostingConfig,
): Tree {
  const tree: Growing = { feature: [], threshold: [], left: [], right: [], value: [] };
  const sumG = new Float64Array(256), sumH = new Float64Array(256);
  const grow = (members: Int32Array, depth: number): number => {
    const at = tree.feature.length;
    let g = 0, h = 0;
    for (const i of members) { g += gradient[i]; h += curvature[i]; }
    tree.feature.push(-1); tree.threshold.push(0); tree.left.push(0); tree.right.push(0);
    tree.value.push(Number(((config.rate * g) / (h + config.ridge)).toPrecision(6)));
    if (depth === config.depth) return at;
    const split = bestSplit(binned, gradient, curvature, members, features, featureCount, g, h, config, sumG, sumH);
    if (split === null) return at;
    const isLeft = (i: number): boolean => binned.bins[i * featureCount + split.feature] < split.bin;
    tree.feature[at] = split.feature;
    tree.threshold[at] = binned.edges[split.feature][split.bin - 1];
    tree.value[at] = 0;
    tree.left[at] = grow(members.filter(isLeft), depth + 1);
    tree.right[at] = grow(members.filter((i) => !isLeft(i)), depth + 1);
    return at;
  };
  grow(rows, 0);
  return tree;
}

/** Rows whose bin is below `bin` go left. */
type Split = Readonly<{ feature: number; bin: number }>;

function bestSplit(
  { bins, edges }: Binned, gradient: Float64Array, curvature: Float64Array, members: Int32Array,
  features: readonly number[], featureCount: number, g: number, h: number, config: BoostingConfig,
  sumG: Float64Array, sumH: Float64Array,
): Split | null {
  let best: Split | null = null, bestGain = config.gainMin;
  const whole = (g * g) / (h + config.ridge);
  for (const feature of features) {
    sumG.fill(0);
    sumH.fill(0);
    for (const i of members) {
      const bin = bins[i * featureCount + feature];
      sumG[bin] += gradient[i];
      sumH[bin] += curvature[i];
    }
    let leftG = 0, leftH = 0;
    for (let bin = 1; bin <= edges[feature].length; bin++) {
      leftG += sumG[bin - 1];
      leftH += sumH[bin - 1];
      const rightG = g - leftG, rightH = h - leftH;
      if (leftH < config.leafWeightMin || rightH < config.leafWeightMin) continue;
      const gain = (leftG * leftG) / (leftH + config.ridge) + (rightG * rightG) / (rightH + config.ridge) - whole;
      if (gain > bestGain) { bestGain = gain; best = { feature, bin }; }
    }
  }
  return best;
}
