/**
 * Glints: a tumbling satellite flashes several times in one exposure and leaves points in a line, each of which looks
 * like a new star. Three and more points lie in a line by chance too: a line is a glint trail when so many in it are
 * improbable among all lines that the sources make.
 */
import type { MeasureConfig } from './config.ts';

/** What of a source is looked at; pixels. */
export type Glintable = Readonly<{
  x: number; y: number; isNegative: boolean | null; centroid_flag: boolean | null; isDipole: boolean | null;
  trailLength: number | null;
}>;

type Point = Readonly<{ index: number; x: number; y: number }>;

/**
 * Whether each source is a flash of a glint trail, in order; null for all when there are too many to tell.
 *
 * Every pair of positive, point-like sources within `glintLengthMaxPx` is taken for the ends of a trail. Along it n
 * other sources are expected by chance within `glintTolerancePx`, at the density of all sources or of those around,
 * whichever is higher; sources nearer to each other than `glintSpacingPx` count as one, because what is crowded about a
 * bad residual is no chance.
 */
export function findGlints(
  sources: readonly Glintable[], width: number, height: number, config: MeasureConfig,
): (boolean | null)[] {
  const points = sources.flatMap(({ x, y, ...source }, index) => (isPointLike(source) ? [{ index, x, y }] : []));
  if (points.length > config.glintSourcesMax) return sources.map(() => null);
  const ends = pairsWithin(points, config.glintLengthMaxPx);
  const glints = new Set<number>();
  for (const [first, last, around] of ends) {
    const trail = trailBetween(points, first, last, config);
    if (trail.length < config.glintCountMin) continue;
    const lengthPx = Math.hypot(last.x - first.x, last.y - first.y);
    const areaPx2 = Math.PI * config.glintLengthMaxPx ** 2;
    const density = Math.max(points.length / (width * height), around / areaPx2);
    const expected = density * 2 * config.glintTolerancePx * lengthPx;
    if (ends.length * poissonTail(trail.length - 2, expected) > config.glintChanceMax) continue;
    for (const { index } of trail) glints.add(index);
  }
  return sources.map((_, index) => glints.has(index));
}

function isPointLike({ isNegative, centroid_flag, isDipole, trailLength }: Omit<Glintable, 'x' | 'y'>): boolean {
  return isNegative !== true && centroid_flag !== true && isDipole !== true && trailLength === null;
}

/** Pairs of points, and how many others lie within the radius of the first. */
function pairsWithin(points: readonly Point[], radiusPx: number): (readonly [Point, Point, number])[] {
  const near = points.map((a) => points.filter((b) => b !== a && Math.hypot(a.x - b.x, a.y - b.y) <= radiusPx));
  return points.flatMap((a, i) => near[i].filter((b) => b.index > a.index).map((b) => [a, b, near[i].length] as const));
}

/** Points between two ends and near the line through them, the ends included, those apart enough to be counted. */
function trailBetween(points: readonly Point[], first: Point, last: Point, config: MeasureConfig): Point[] {
  const length = Math.hypot(last.x - first.x, last.y - first.y);
  const ux = (last.x - first.x) / length, uy = (last.y - first.y) / length;
  const along = points.flatMap((point) => {
    if (point === last) return [{ point, t: length }]; // Rounding may put it behind the end.
    const dx = point.x - first.x, dy = point.y - first.y, t = dx * ux + dy * uy;
    const isOnLine = Math.abs(dy * ux - dx * uy) <= config.glintTolerancePx && t >= 0 && t <= length;
    return isOnLine ? [{ point, t }] : [];
  }).sort((a, b) => a.t - b.t);
  const apart: Point[] = [];
  let end = -Infinity;
  for (const { point, t } of along) {
    if (t - end < config.glintSpacingPx) continue;
    apart.push(point);
    end = t;
  }
  return apart;
}

/** Probability of `count` or more where `expected` are expected. */
function poissonTail(count: number, expected: number): number {
  let term = Math.exp(-expected);
  let tail = 0;
  for (let k = 0; k < count + 50; k++) {
    if (k >= count) tail += term;
    term *= expected / (k + 1);
  }
  return tail;
}
