/**
 * Pairs that may be matched: source i has the edges `edgeStart[i]` … `edgeStart[i + 1] − 1`.
 * All arrays are the caller's and are only read.
 */
export type PairGraph = Readonly<{
  /** [sourceCount + 1], ascending. */
  edgeStart: Int32Array;
  /** Index of the object at the other end. */
  edgeObject: Int32Array;
  /** Finite, of any sign. */
  edgeCost: Float64Array;
  objectCount: number;
}>;

/**
 * The matching of least total cost, where each object takes at most one source and a source without an object costs
 * `unmatchedCost` (its ghost edge). Returns the object's index per source, −1 without.
 *
 * Successive shortest augmenting paths with dual prices (Jonker & Volgenant 1987, Computing 38, 325) on the sparse
 * graph: a search never leaves the connected component of its source, and those hold a few sources even in a crowded
 * field. The answer is a function of the arrays alone; among matchings of equal cost the order of indices decides.
 */
export function matchMinimumCost(graph: PairGraph, unmatchedCost: number): Int32Array {
  const sourceCount = graph.edgeStart.length - 1;
  const search = newSearch(graph, unmatchedCost, sourceCount);
  for (let source = 0; source < sourceCount; source++) {
    if (graph.edgeStart[source] === graph.edgeStart[source + 1]) continue;
    const end = shortestPath(search, source);
    updatePrices(search, source, end.distance);
    augment(search, source, end);
  }
  return search.objectOfSource;
}

type Search = Readonly<{
  graph: PairGraph;
  unmatchedCost: number;
  objectOfSource: Int32Array;
  /** Source per object, −1 while it is free. */
  sourceOfObject: Int32Array;
  sourcePrice: Float64Array;
  objectPrice: Float64Array;
  /** Of this search: length of the shortest path found to each object, Infinity where none. */
  distance: Float64Array;
  /** Of this search: the source from which that path came. */
  previousSource: Int32Array;
  /** Objects that this search has met but not settled, and those settled, in order. */
  frontier: number[];
  settled: number[];
  /** Whether an object is among the settled. Rounding may make a second path to one look shorter; it must not count. */
  isSettled: Uint8Array;
}>;

/** Where a path ends: at a free object, or (object −1) with `source` left unmatched. */
type PathEnd = Readonly<{ distance: number; object: number; source: number }>;

function newSearch(graph: PairGraph, unmatchedCost: number, sourceCount: number): Search {
  return {
    graph, unmatchedCost,
    objectOfSource: new Int32Array(sourceCount).fill(-1),
    sourceOfObject: new Int32Array(graph.objectCount).fill(-1),
    sourcePrice: new Float64Array(sourceCount),
    objectPrice: new Float64Array(graph.objectCount),
    distance: new Float64Array(graph.objectCount).fill(Infinity),
    previousSource: new Int32Array(graph.objectCount).fill(-1),
    frontier: [], settled: [], isSettled: new Uint8Array(graph.objectCount),
  };
}

/** Dijkstra over reduced costs, which the prices keep non-negative beyond the first edge. */
function shortestPath(search: Search, start: number): PathEnd {
  const { distance, frontier, settled, sourceOfObject } = search;
  let source = start;
  let reached = 0;
  let ghost: PathEnd = { distance: Infinity, object: -1, source: -1 };
  for (;;) {
    const toGhost = reached + search.unmatchedCost - search.sourcePrice[source];
    if (toGhost < ghost.distance) ghost = { distance: toGhost, object: -1, source };
    relaxEdges(search, source, reached);
    const nearest = nearestOfFrontier(search);
    if (nearest < 0 || ghost.distance < distance[frontier[nearest]]) return ghost;
    const object = frontier[nearest];
    if (sourceOfObject[object] < 0) {
      return { distance: distance[object], object, source: search.previousSource[object] };
    }
    frontier.splice(nearest, 1);
    settled.push(object);
    search.isSettled[object] = 1;
    source = sourceOfObject[object];
    reached = distance[object];
  }
}

function relaxEdges(search: Search, source: number, reached: number): void {
  const { graph, distance, objectPrice, previousSource, frontier, isSettled } = search;
  const base = reached - search.sourcePrice[source];
  for (let edge = graph.edgeStart[source]; edge < graph.edgeStart[source + 1]; edge++) {
    const object = graph.edgeObject[edge];
    if (isSettled[object] === 1) continue;
    const through = base + graph.edgeCost[edge] - objectPrice[object];
    if (through >= distance[object]) continue;
    if (distance[object] === Infinity) frontier.push(object);
    distance[object] = through;
    previousSource[object] = source;
  }
}

/** Place in the frontier of the nearest object, the lowest index among equals; −1 when it is empty. */
function nearestOfFrontier({ frontier, distance }: Search): number {
  let best = -1;
  for (let i = 0; i < frontier.length; i++) {
    const closer = best < 0 || distance[frontier[i]] < distance[frontier[best]]
      || (distance[frontier[i]] === distance[frontier[best]] && frontier[i] < frontier[best]);
    if (closer) best = i;
  }
  return best;
}

/** Keeps every reduced cost non-negative, and zero along the path. */
function updatePrices(search: Search, start: number, pathDistance: number): void {
  search.sourcePrice[start] += pathDistance;
  for (const object of search.settled) {
    const gain = pathDistance - search.distance[object];
    search.objectPrice[object] -= gain;
    search.sourcePrice[search.sourceOfObject[object]] += gain;
  }
}

/** Re-matches the sources along the path and clears the search. */
function augment(search: Search, start: number, end: PathEnd): void {
  const { objectOfSource, sourceOfObject, previousSource, distance } = search;
  let source = end.source;
  let object = end.object;
  for (;;) {
    const given = objectOfSource[source];
    objectOfSource[source] = object;
    if (object >= 0) sourceOfObject[object] = source;
    if (source === start) break;
    object = given;
    source = previousSource[given];
  }
  for (const list of [search.settled, search.frontier]) {
    for (const met of list) {
      distance[met] = Infinity;
      search.isSettled[met] = 0;
    }
    list.length = 0;
  }
}
