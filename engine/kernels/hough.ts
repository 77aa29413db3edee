/** Straight lines through high places of a plane, by votes for every line through each (Duda & Hart 1972). */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type PlaneView } from './kernels.ts';
import { listExtremesTwin, mostVotesTwin, voteForLinesTwin } from './twins/hough.ts';

export type ExtremesTask = Readonly<{
  width: number; height: number;
  /** [height × width]; places with one of the bits, and NaN, do not count. Read only. */
  plane: Float32Array; mask: Uint16Array; ignoredBits: number;
  /** Distance between places that are looked at, even, and side of a cell: a multiple of it, pixels. */
  stepPx: number; cellPx: number;
  threshold: number;
}>;

/** Indices of cells, row by row. */
export type Extremes = Readonly<{ high: Int32Array; low: Int32Array }>;

/** The cells that have a place at or above the threshold, and those that have one at or below its negative. */
export function listExtremes(task: ExtremesTask): Extremes {
  const { width, height, plane, mask, ignoredBits, stepPx, cellPx, threshold } = task;
  const columns = Math.ceil(width / cellPx), rows = Math.ceil(height / cellPx), bytes = 4 * columns * rows;
  const kernels = kernelsOf(plane, mask), work = kernels && layOutWork(kernels, { counts: 8, high: bytes, low: bytes });
  if (kernels === null || work === null) return listExtremesTwin(task, columns, rows);
  kernels.compiled.listExtremes(
    pointerTo(kernels, plane), pointerTo(kernels, mask), width, height, ignoredBits, stepPx, cellPx, columns, rows,
    threshold, work.high, work.low, work.counts,
  );
  const { buffer } = kernels.memory, [highs, lows] = new Int32Array(buffer, work.counts, 2);
  return {
    high: new Int32Array(buffer, work.high, highs).slice(), low: new Int32Array(buffer, work.low, lows).slice(),
  };
}

/** A line of all points whose distance from the origin along the direction `angle` is `distance`. */
export type VotedLine = Readonly<{ angleIndex: number; distance: number; votes: number }>;

export type LineVotes = Readonly<{
  /** Adds to every line through a point within `reach` of the origin. */
  vote: (x: number, y: number, weight: 1 | -1) => void;
  /** The line with most votes, the first of equal ones; null when none has any. */
  strongest: () => VotedLine | null;
}>;

/**
 * @param angles Directions, evenly over half a turn.
 * @param reach  Largest distance of a point from the origin.
 * @param beside A view on the memory whose kernels may help; no other kernel may use them meanwhile.
 */
export function createLineVotes(angles: number, reach: number, beside: PlaneView): LineVotes {
  const half = Math.ceil(reach) + 1, distances = 2 * half + 1;
  const directions = Float64Array.from({ length: 2 * angles }, (_, i) => {
    const angle = ((i >> 1) * Math.PI) / angles;
    return i % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
  });
  const kernels = kernelsOf(beside), work = kernels
    && layOutWork(kernels, { directions: directions.byteLength, votes: 2 * angles * distances });
  const lineOf = (best: number, votes: Uint16Array): VotedLine | null => (best < 0 ? null : {
    angleIndex: Math.floor(best / distances), distance: (best % distances) - half, votes: votes[best],
  });
  if (kernels === null || work === null) {
    const votes = new Uint16Array(angles * distances);
    return {
      vote: (x, y, weight) => voteForLinesTwin(x, y, weight, directions, distances, half, votes),
      strongest: () => lineOf(mostVotesTwin(votes), votes),
    };
  }
  const votes = new Uint16Array(kernels.memory.buffer, work.votes, angles * distances).fill(0);
  new Float64Array(kernels.memory.buffer, work.directions, directions.length).set(directions);
  const requireWork = (): void => {
    if (!holdsWork(kernels, work)) throw new Error('another kernel ran while lines were voted for');
  };
  return {
    vote(x, y, weight) {
      requireWork();
      kernels.compiled.voteForLines(x, y, weight, work.directions, angles, distances, half, work.votes);
    },
    strongest() {
      requireWork();
      return lineOf(kernels.compiled.mostVotes(work.votes, votes.length), votes);
    },
  };
}
