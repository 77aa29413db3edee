import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { packForest, sumLeaves, sumLeavesOf } from '../../engine/kernels/forest.ts';
import { testArena, type TestArena } from './memory.ts';
import { firstDifference, randomOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(65536); });

const FEATURES = 5;
type Nodes = { feature: number[]; threshold: number[]; left: number[]; right: number[]; value: number[] };

/** A tree grown at random, children after their parents; all nodes have values. */
function treeOf(random: () => number): Nodes {
  const tree: Nodes = { feature: [-1], threshold: [0], left: [0], right: [0], value: [random()] };
  for (let k = 0; k < tree.feature.length && tree.feature.length < 40; k++) {
    if (k > 0 && random() < 0.4) continue;
    tree.feature[k] = Math.floor(FEATURES * random());
    tree.threshold[k] = Math.round(8 * random());
    for (const side of [tree.left, tree.right]) {
      side[k] = tree.feature.length;
      tree.feature.push(-1); tree.threshold.push(0); tree.left.push(0); tree.right.push(0); tree.value.push(random() - 0.5);
    }
  }
  return tree;
}

/** By the definition of a tree. */
function walked(trees: readonly Nodes[], row: Float64Array): number {
  return trees.reduce((sum, { feature, threshold, left, right, value }) => {
    let k = 0;
    while (feature[k] >= 0) k = row[feature[k]] < threshold[k] ? left[k] : right[k];
    return sum + value[k];
  }, 0);
}

test('sums of leaves are those of the trees walked node by node, compiled and not', () => {
  fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 9 }), (seed, count) => {
    const random = randomOf(seed), trees = Array.from({ length: 7 }, () => treeOf(random)), packed = packForest(trees);
    // Whole numbers meet thresholds; NaN goes right.
    const rows = Float64Array.from({ length: count * FEATURES }, () => (random() < 0.05 ? NaN : Math.round(8 * random())));
    const expected = Array.from({ length: count }, (_, i) => walked(trees, rows.subarray(i * FEATURES, (i + 1) * FEATURES)));
    arena.reset();
    expect(firstDifference(sumLeaves(packed, rows, FEATURES, arena.bytes(new Uint8Array(8))), expected)).toBe(-1);
    expect(firstDifference(sumLeaves(packed, rows, FEATURES, new Float32Array(1)), expected)).toBe(-1);
    expect(sumLeavesOf(packed, rows.subarray(0, FEATURES))).toBe(expected[0]);
  }), { numRuns: 100 });
});
