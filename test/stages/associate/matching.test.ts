import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchMinimumCost, type PairGraph } from '../../../engine/stages/associate/matching.ts';

type Edge = readonly [source: number, object: number, cost: number];

function graphOf(sourceCount: number, objectCount: number, edges: readonly Edge[]): PairGraph {
  const edgeStart = new Int32Array(sourceCount + 1);
  const sorted = [...edges].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  for (const [source] of sorted) edgeStart[source + 1]++;
  for (let i = 0; i < sourceCount; i++) edgeStart[i + 1] += edgeStart[i];
  return {
    edgeStart, edgeObject: Int32Array.from(sorted, (e) => e[1]), edgeCost: Float64Array.from(sorted, (e) => e[2]),
    objectCount,
  };
}

/** Total cost of a matching; throws when it is none. */
function totalCost(graph: PairGraph, objectOfSource: ArrayLike<number>, unmatchedCost: number): number {
  const used = new Set<number>();
  let total = 0;
  for (let source = 0; source < objectOfSource.length; source++) {
    const object = objectOfSource[source];
    if (object < 0) { total += unmatchedCost; continue; }
    if (used.has(object)) throw new Error(`object ${object} is used twice`);
    used.add(object);
    let edge = graph.edgeStart[source];
    while (edge < graph.edgeStart[source + 1] && graph.edgeObject[edge] !== object) edge++;
    if (edge === graph.edgeStart[source + 1]) throw new Error(`${source}–${object} is no pair`);
    total += graph.edgeCost[edge];
  }
  return total;
}

/** Least total cost, by trying every matching. */
function bruteForce(graph: PairGraph, unmatchedCost: number): number {
  const used = new Set<number>();
  const sourceCount = graph.edgeStart.length - 1;
  const least = (source: number): number => {
    if (source === sourceCount) return 0;
    let best = unmatchedCost + least(source + 1);
    for (let edge = graph.edgeStart[source]; edge < graph.edgeStart[source + 1]; edge++) {
      const object = graph.edgeObject[edge];
      if (used.has(object)) continue;
      used.add(object);
      best = Math.min(best, graph.edgeCost[edge] + least(source + 1));
      used.delete(object);
    }
    return best;
  };
  return least(0);
}

const graphs = fc.record({ sources: fc.integer({ min: 0, max: 6 }), objects: fc.integer({ min: 0, max: 6 }) })
  .chain(({ sources, objects }) => fc.array(
    fc.option(fc.oneof(fc.double({ min: -6, max: 101, noNaN: true }), fc.integer({ min: 0, max: 3 })), { nil: null }),
    { minLength: sources * objects, maxLength: sources * objects },
  ).map((costs) => {
    const edges: Edge[] = [];
    costs.forEach((cost, i) => { if (cost !== null) edges.push([Math.floor(i / objects), i % objects, cost]); });
    return graphOf(sources, objects, edges);
  }));

describe('matchMinimumCost', () => {
  test('finds a matching of the least total cost that exists', () => {
    fc.assert(fc.property(graphs, fc.constantFrom(2, 50, 97.7), (graph, unmatchedCost) => {
      const found = totalCost(graph, matchMinimumCost(graph, unmatchedCost), unmatchedCost);
      // At most 6 terms of magnitude ≤ 101 are added in another order, and the prices take as many steps: 1e-9 is
      // five orders above their rounding and far below the spacing that a wrong matching would show.
      expect(Math.abs(found - bruteForce(graph, unmatchedCost))).toBeLessThan(1e-9);
    }), { numRuns: 2000, seed: 20261120 });
  });

  test('matches every source of a long chain when only the last object is free', () => {
    // Source i prefers object i, which source i + 1 needs: each new source pushes all before it one further.
    const count = 400;
    const edges: Edge[] = [];
    for (let i = 0; i < count; i++) {
      edges.push([i, i, i === 0 ? 0 : 1]);
      edges.push([i, i + 1, 0.5]);
    }
    edges.push([count, 0, 0]);
    const graph = graphOf(count + 1, count + 1, edges);
    const matched = matchMinimumCost(graph, 97.7);
    expect(Array.from(matched)).toEqual([...Array.from({ length: count }, (_, i) => i + 1), 0]);
  });

  test('gives an object that two sources want at equal cost to the one of lower index', () => {
    expect(Array.from(matchMinimumCost(graphOf(2, 1, [[0, 0, 1], [1, 0, 1]]), 50))).toEqual([0, -1]);
  });

  test('leaves a source unmatched when every pair costs more than that', () => {
    expect(Array.from(matchMinimumCost(graphOf(1, 1, [[0, 0, 51]]), 50))).toEqual([-1]);
  });
});
