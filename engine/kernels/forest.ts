/** Decision trees as the kernels walk them, and the sums of the leaves that rows of features reach. */
import { kernelsOf, layOutWork, type PlaneView } from './kernels.ts';
import { sumLeavesTwin } from './twins/forest.ts';

/** Float64 numbers of a node: threshold, value; then as int32 its feature and the byte offsets of both children. */
const NODE_NUMBERS = 4, NODE_BYTES = 8 * NODE_NUMBERS;

export type PackedForest = Readonly<{
  /** All nodes, as numbers and as words of the same bytes. A leaf's children are itself. */
  numbers: Float64Array; words: Int32Array;
  /** [trees × 2] Byte offset of the root, and the longest way to a leaf. */
  trees: Int32Array;
}>;

/** Node k of a tree goes to left[k] when its feature is below threshold[k], else to right[k]; a leaf has feature −1. */
type Tree = Readonly<{
  feature: readonly number[]; threshold: readonly number[]; left: readonly number[]; right: readonly number[];
  value: readonly number[];
}>;

/** @param forest Trees whose children follow their parents. */
export function packForest(forest: readonly Tree[]): PackedForest {
  const total = forest.reduce((sum, { feature }) => sum + feature.length, 0);
  const numbers = new Float64Array(NODE_NUMBERS * total), words = new Int32Array(numbers.buffer);
  const trees = new Int32Array(2 * forest.length), depths = new Int32Array(total);
  let first = 0;
  forest.forEach(({ feature, threshold, left, right, value }, t) => {
    // Children follow their parents: backwards, their depths are known.
    for (let k = feature.length - 1, at = 4 * (first + k); k >= 0; k--, at -= 4) {
      const isLeaf = feature[k] < 0, to = isLeaf ? k : left[k], other = isLeaf ? k : right[k];
      numbers[at] = isLeaf ? 0 : threshold[k];
      numbers[at + 1] = value[k];
      words[2 * at + 4] = isLeaf ? 0 : feature[k];
      words[2 * at + 5] = NODE_BYTES * (first + to);
      words[2 * at + 6] = NODE_BYTES * (first + other);
      depths[first + k] = isLeaf ? 0 : 1 + Math.max(depths[first + to], depths[first + other]);
    }
    trees[2 * t] = NODE_BYTES * first;
    trees[2 * t + 1] = depths[first];
    first += feature.length;
  });
  return { numbers, words, trees };
}

/** Sum of the leaves that one row of features reaches, in the order of the trees. */
export { sumLeavesTwin as sumLeavesOf };

/**
 * The same of every row.
 *
 * @param rows   [count × features] row-major.
 * @param beside A view on the memory whose kernels may help.
 */
export function sumLeaves(forest: PackedForest, rows: Float64Array, features: number, beside: PlaneView): Float64Array {
  const count = rows.length / features, { numbers, trees } = forest, kernels = kernelsOf(beside);
  const work = kernels && layOutWork(kernels, {
    nodes: numbers.byteLength, trees: trees.byteLength, rows: rows.byteLength, sums: 8 * count,
  });
  if (kernels === null || work === null) return Float64Array.from(
    { length: count }, (_, i) => sumLeavesTwin(forest, rows.subarray(i * features, (i + 1) * features)));
  const { buffer } = kernels.memory;
  new Float64Array(buffer, work.nodes, numbers.length).set(numbers);
  new Int32Array(buffer, work.trees, trees.length).set(trees);
  new Float64Array(buffer, work.rows, rows.length).set(rows);
  kernels.compiled.sumLeaves(work.nodes, work.trees, trees.length / 2, work.rows, count, features, work.sums);
  return new Float64Array(buffer, work.sums, count).slice();
}
