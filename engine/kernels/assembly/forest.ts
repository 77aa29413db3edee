/** Sums of the leaves that rows of features reach. The twin in `twins/forest.ts` defines the results. */

/** A node: float64 threshold and value, then feature and the byte offsets of both children; a leaf has itself as both. */
const LEFT: usize = 20, RIGHT: usize = 24, FEATURE: usize = 16, VALUE: usize = 8;

class Node {
  @inline static next(nodes: usize, at: usize, row: usize): usize {
    const node = nodes + at, isLeft = load<f64>(row + (<usize>load<i32>(node + FEATURE) << 3)) < load<f64>(node);
    return <usize>select<i32>(load<i32>(node + LEFT), load<i32>(node + RIGHT), isLeft);
  }
}

/**
 * @param nodes [nodes × 32 bytes] @param trees [trees × 2] int32: the root's byte offset, and the tree's depth.
 * @param rows  [count × features] float64. @param sums [count] float64, overwritten.
 */
export function sumLeaves(
  nodes: usize, trees: usize, treeCount: i32, rows: usize, count: i32, features: i32, sums: usize,
): void {
  const rowBytes = <usize>features << 3;
  memory.fill(sums, 0, <usize>count << 3);
  // A tree stays in the nearest cache, and steps of four rows wait for memory together.
  for (let t = 0; t < treeCount; t++, trees += 8) {
    const root = <usize>load<i32>(trees), depth = load<i32>(trees, 4);
    let i = 0, row = rows, sum = sums;
    for (; i + 3 < count; i += 4, row += 4 * rowBytes, sum += 32) {
      let a = root, b = root, c = root, d = root;
      for (let step = 0; step < depth; step++) {
        a = Node.next(nodes, a, row);
        b = Node.next(nodes, b, row + rowBytes);
        c = Node.next(nodes, c, row + 2 * rowBytes);
        d = Node.next(nodes, d, row + 3 * rowBytes);
      }
      store<f64>(sum, load<f64>(sum) + load<f64>(nodes + a + VALUE));
      store<f64>(sum, load<f64>(sum, 8) + load<f64>(nodes + b + VALUE), 8);
      store<f64>(sum, load<f64>(sum, 16) + load<f64>(nodes + c + VALUE), 16);
      store<f64>(sum, load<f64>(sum, 24) + load<f64>(nodes + d + VALUE), 24);
    }
    for (; i < count; i++, row += rowBytes, sum += 8) {
      let a = root;
      for (let step = 0; step < depth; step++) a = Node.next(nodes, a, row);
      store<f64>(sum, load<f64>(sum) + load<f64>(nodes + a + VALUE));
    }
  }
}
