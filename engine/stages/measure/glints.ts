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
  const ends = pairsWithin(points, config);
  const glints = new Set<number>();
  for (const { first, last, near, around } of ends) {
    const trail = trailBetween(near, first, last, config);
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

/** Two points; all that may lie between them, themselves included; how many others lie within reach of the first. */
type Ends = Readonly<{ first: Point; last: Point; near: readonly Point[]; around: number }>;

/** Pairs of points within the greatest length of a trail. */
function pairsWithin(points: readonly Point[], { glintLengthMaxPx, glintTolerancePx }: MeasureConfig): Ends[] {
  const rows = [...points].sort((a, b) => a.y - b.y || a.index - b.index), ends: Ends[] = [];
  // What lies beside a line of the greatest length may be a little farther from its end than the other end is.
  const reach = glintLengthMaxPx + glintTolerancePx, reach2 = reach * reach, length2 = glintLengthMaxPx * glintLengthMaxPx;
  let begin = 0;
  for (const first of rows) {
    while (first.y - rows[begin].y > reach) begin++;
    const near: Point[] = [], others: Point[] = [];
    for (let n = begin; n < rows.length && rows[n].y - first.y <= reach; n++) {
      const point = rows[n], dx = point.x - first.x, dy = point.y - first.y, distance2 = dx * dx + dy * dy;
      if (distance2 > reach2) continue;
      near.push(point);
      if (point !== first && distance2 <= length2) others.push(point);
    }
    for (const last of others) {
      if (last.index > first.index) ends.push({ first, last, near, around: others.length });
    }
  }
  return ends;
}

/** Points between two ends and near the line through them, the ends included, those apart enough to be counted. */
function trailBetween(points: readonly Point[], first: Point, last: Point, config: MeasureConfig): Point[] {
  const length = Math.hypot(last.x - first.x, last.y - first.y);
  const ux = (last.x - first.x) / length, uy = (last.y - first.y) / length;
  const along: { point: Point; t: number }[] = [];
  for (const point of points) {
    const dx = point.x - first.x, dy = point.y - first.y;
    if (point !== last && Math.abs(dy * ux - dx * uy) > config.glintTolerancePx) continue;
    const t = point === last ? length : dx * ux + dy * uy; // Rounding may put the end behind itself.
    if (t >= 0 && t <= length) along.push({ point, t });
  }
  if (along.length < config.glintCountMin) return [];
  along.sort((a, b) => a.t - b.t);
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
