/**
 * Matches two lists of stars that differ by a shift, a small rotation and noise: every pair of bright stars votes for
 * its offset, the fullest places of the vote are tried, and the transform that gathers most pairs wins.
 */
import { applyAffine, fitAffine, fitSimilarity, type Affine, type Pair, type Point } from './affine.ts';
import { indexOf } from './starDetection.ts';
import { robustSigma } from './median.ts';

export type MatchConfig = Readonly<{
  /** Largest shift along each axis, pixels. */
  shiftMaxPx: number;
  /** Rotations tried, degrees from 0 to each side, in steps that keep the vote's bins sharp. */
  rotationMaxDeg: number;
  /** Stars of each list that vote, brightest first. */
  voterCount: number;
  /** Side of the vote's bins, pixels: wider than the rotation and scale smear an offset. */
  binPx: number;
  /** Radius within which stars pair in the end, pixels: ten times the errors expected. */
  finalRadiusPx: number;
  /** Pairs below which the match does not count. */
  pairCountMin: number;
}>;

export type StarMatch = Readonly<{
  /** From the frame of `a` to the frame of `b`. */
  transform: Affine;
  /** Indices into `a` and `b`, in the order of `a`. */
  pairs: readonly (readonly [a: number, b: number])[];
  /** Robust scatter of the pairs along one axis, pixels of b. */
  rmsPx: number;
}>;

/** Positions, brightest first; the error of one axis where it is known. */
export type RankedPoint = Point & Readonly<{ errorPx?: number }>;

/** Candidates of the vote that are tried to the end. */
const PEAKS_TRIED = 8;
/** Share of the shorter list that, once paired, ends the search. */
const CERTAIN_SHARE = 0.5;
/** Errors below this are not believed: pixels, flat field and PSF leave that much. */
const ERROR_FLOOR_PX = 0.01;

/**
 * @param a, b   Brightest first, each in its own pixels.
 * @param voters Of the frame of `a`, brightest first: points that vote for the offset, for they may be better spread in
 * brightness than `a`; `a` itself when none are given.
 * @returns null when fewer than `pairCountMin` pairs agree, or no more than chance would give.
 */
export function matchStarLists(
  a: readonly RankedPoint[], b: readonly RankedPoint[], config: MatchConfig, voters: readonly RankedPoint[] = a,
): StarMatch | null {
  if (a.length < config.pairCountMin || b.length < config.pairCountMin) return null;
  const brightest = voters.slice(0, config.voterCount);
  const candidates = voteOffsets(brightest, b.slice(0, config.voterCount), config);
  const index = indexOf(b);
  const required = requiredPairs(a, b, config);
  let best: StarMatch | null = null;
  for (const candidate of candidates) {
    const match = refine(a, brightest, b, index, candidate, config);
    if (match === null || match.pairs.length < required) continue;
    if (best === null || match.pairs.length > best.pairs.length) best = match;
    // No other place can have as many.
    if (best.pairs.length > CERTAIN_SHARE * Math.min(a.length, b.length)) break;
  }
  return best;
}

/** Pairs that cannot be chance: a fifth of the shorter list, and three times what stars strewn at random would give. */
function requiredPairs(a: readonly Point[], b: readonly Point[], config: MatchConfig): number {
  const xs = b.map((p) => p.x), ys = b.map((p) => p.y);
  const area = (Math.max(...xs) - Math.min(...xs)) * (Math.max(...ys) - Math.min(...ys));
  const chance = (a.length * b.length * Math.PI * config.finalRadiusPx ** 2) / Math.max(area, 1);
  return Math.max(config.pairCountMin, 0.2 * Math.min(a.length, b.length, config.voterCount), 3 * chance);
}

type Vote = Readonly<{ transform: Affine; count: number }>;

/** Fullest 2 × 2 groups of bins over all rotations tried, most votes first. */
function voteOffsets(a: readonly Point[], b: readonly Point[], config: MatchConfig): Affine[] {
  const votes: Vote[] = [];
  const reach = Math.max(1, ...a.flatMap((p) => [Math.abs(p.x), Math.abs(p.y)]));
  // Rotating by one step moves the farthest star by one bin.
  const stepDeg = Math.max((config.binPx / reach) * (180 / Math.PI), 1e-3);
  const stepCount = Math.ceil(config.rotationMaxDeg / stepDeg - 0.5);
  for (let k = -Math.max(0, stepCount); k <= Math.max(0, stepCount); k++) {
    votes.push(...votesAtRotation(a, b, (k * stepDeg * Math.PI) / 180, config));
  }
  votes.sort((p, q) => q.count - p.count || p.transform.c - q.transform.c || p.transform.f - q.transform.f);
  return votes.slice(0, PEAKS_TRIED).map((vote) => vote.transform);
}

function votesAtRotation(a: readonly Point[], b: readonly Point[], angle: number, config: MatchConfig): Vote[] {
  const { shiftMaxPx, binPx } = config;
  const side = 2 * Math.ceil(shiftMaxPx / binPx) + 3, centre = side / 2;
  const bins = new Int32Array(side * side);
  const cos = Math.cos(angle), sin = Math.sin(angle);
  const centroid = centroidOf(a);
  const turn: Affine = {
    a: cos, b: -sin, c: centroid.x - cos * centroid.x + sin * centroid.y,
    d: sin, e: cos, f: centroid.y - sin * centroid.x - cos * centroid.y,
  };
  for (const p of a) {
    const q = applyAffine(turn, p.x, p.y);
    for (const r of b) {
      const column = Math.floor((r.x - q.x) / binPx + centre), row = Math.floor((r.y - q.y) / binPx + centre);
      if (column >= 0 && row >= 0 && column < side && row < side) bins[row * side + column]++;
    }
  }
  const found: Vote[] = [];
  for (let row = 0; row + 1 < side; row++) {
    for (let column = 0; column + 1 < side; column++) {
      const i = row * side + column;
      const count = bins[i] + bins[i + 1] + bins[i + side] + bins[i + side + 1];
      if (count < 3) continue;
      const dx = (column + 1 - centre) * binPx, dy = (row + 1 - centre) * binPx;
      found.push({ count, transform: { ...turn, c: turn.c + dx, f: turn.f + dy } });
    }
  }
  return found.sort((p, q) => q.count - p.count || p.transform.c - q.transform.c || p.transform.f - q.transform.f)
    .slice(0, PEAKS_TRIED);
}

function centroidOf(points: readonly Point[]): Point {
  const n = points.length;
  return { x: points.reduce((s, p) => s + p.x, 0) / n, y: points.reduce((s, p) => s + p.y, 0) / n };
}

/**
 * Pairs, fits, and pairs again with a shrinking radius; a similarity while pairs are few, an affine transform after.
 */
function refine(
  a: readonly RankedPoint[], brightest: readonly RankedPoint[], b: readonly RankedPoint[],
  index: ReturnType<typeof indexOf>, start: Affine, config: MatchConfig,
): StarMatch | null {
  let transform = start, pairs: (readonly [number, number])[] = [];
  const radii = [1.5 * config.binPx, config.binPx, 0.5 * config.binPx, config.finalRadiusPx, config.finalRadiusPx];
  for (let round = 0; round < radii.length; round++) {
    // The brightest settle the transform; all join once it is sharp enough not to pair by chance.
    const list = round < 3 ? brightest : a;
    pairs = pairUp(list, b, round < 3 ? config.voterCount : b.length, index, transform,
      Math.max(radii[round], config.finalRadiusPx));
    const kept = withoutOutliers(pairs, list, b, transform);
    if (kept.length < config.pairCountMin) return null;
    const weighted = kept.map(([i, j]) => weightedPair(list[i], b[j]));
    const fitted = kept.length >= 10 ? fitAffine(weighted) ?? fitSimilarity(weighted) : fitSimilarity(weighted);
    if (fitted === null || !isNearRotation(fitted)) return null;
    transform = fitted;
  }
  const final = withoutOutliers(pairUp(a, b, b.length, index, transform, config.finalRadiusPx), a, b, transform);
  if (final.length < config.pairCountMin) return null;
  return { transform, pairs: final, rmsPx: scatterPx(final, a, b, transform) };
}

function weightedPair(from: RankedPoint, to: RankedPoint): Pair {
  const variance = (from.errorPx ?? 0) ** 2 + (to.errorPx ?? 0) ** 2 + ERROR_FLOOR_PX ** 2;
  return { from, to, weight: 1 / variance };
}

/** Frames of one camera differ little in scale and shear: anything else is a chance fit. */
function isNearRotation(t: Affine): boolean {
  return Math.hypot(t.a - t.e, t.b + t.d) < 0.02 && Math.abs(Math.hypot(t.a, t.d) - 1) < 0.02;
}

/** Nearest of the first `count` of b to each star of a, kept when it is also that one's nearest. */
function pairUp(
  a: readonly Point[], b: readonly Point[], count: number, index: ReturnType<typeof indexOf>, transform: Affine,
  radius: number,
): (readonly [number, number])[] {
  const owner = new Map<number, { i: number; distance: number }>();
  a.forEach((p, i) => {
    const q = applyAffine(transform, p.x, p.y);
    let nearest = -1, distance = Infinity;
    for (const j of index.within(q.x, q.y, radius)) {
      if (j >= count) continue;
      const d = Math.hypot(b[j].x - q.x, b[j].y - q.y);
      if (d < distance || (d === distance && j < nearest)) { nearest = j; distance = d; }
    }
    const held = owner.get(nearest);
    if (nearest >= 0 && (!held || distance < held.distance)) owner.set(nearest, { i, distance });
  });
  return [...owner].map(([j, { i }]) => [i, j] as const).sort((p, q) => p[0] - q[0]);
}

/** Pairs within 4 robust standard deviations, per axis, of the usual residual. */
function withoutOutliers(
  pairs: readonly (readonly [number, number])[], a: readonly Point[], b: readonly Point[], transform: Affine,
): (readonly [number, number])[] {
  if (pairs.length < 5) return [...pairs];
  const residuals = pairs.map(([i, j]) => residual(transform, a[i], b[j]));
  const xs = residuals.map((r) => r.x), ys = residuals.map((r) => r.y);
  const limitX = 4 * Math.max(robustSigma(xs), ERROR_FLOOR_PX), limitY = 4 * Math.max(robustSigma(ys), ERROR_FLOOR_PX);
  const sortedX = [...xs].sort((p, q) => p - q), sortedY = [...ys].sort((p, q) => p - q);
  const midX = sortedX[sortedX.length >> 1], midY = sortedY[sortedY.length >> 1];
  return pairs.filter((_, k) => Math.abs(xs[k] - midX) <= limitX && Math.abs(ys[k] - midY) <= limitY);
}

function residual(transform: Affine, from: Point, to: Point): Point {
  const p = applyAffine(transform, from.x, from.y);
  return { x: to.x - p.x, y: to.y - p.y };
}

function scatterPx(
  pairs: readonly (readonly [number, number])[], a: readonly Point[], b: readonly Point[], transform: Affine,
): number {
  let sum = 0;
  for (const [i, j] of pairs) {
    const r = residual(transform, a[i], b[j]);
    sum += r.x * r.x + r.y * r.y;
  }
  return Math.sqrt(sum / (2 * pairs.length));
}
