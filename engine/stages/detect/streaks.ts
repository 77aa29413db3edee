/**
 * Streaks of satellites and aircraft: straight lines across the score, found by a Hough transform (Duda & Hart 1972) of
 * its high places, then followed in the score itself, which tells where they begin, end, and how wide they are.
 */
import { createLineVotes, listExtremes } from '../../kernels/hough.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { DetectConfig } from './config.ts';

/** A streak as it is masked: a rectangle around the line from (x0, y0) to (x1, y1), pixels. */
export type Streak = Readonly<{
  x0: number; y0: number; x1: number; y1: number; halfWidthPx: number; isNegative: boolean;
  /** Median score along its middle. */
  score: number;
}>;

/** The score and which of its places count: none at the image's edge or beside missing pixels, where noise has lines. */
type Plane = Readonly<{ width: number; height: number; mask: Uint16Array; score: Float32Array; sign: 1 | -1 }>;

const UNUSABLE = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR', 'EDGE', 'SPIKE');

type Line = Readonly<{ angle: number; distance: number }>;

/** A line as a polygon of two straight axes: the point nearest the image's middle, and the direction along it. */
type Axis = Readonly<{ x: number; y: number; cos: number; sin: number }>;

/**
 * Finds streaks of both signs and sets STREAK over them.
 *
 * @param planes Mask is written; the rest is read only.
 * @param score  [height × width], standard deviations, of both signs. Read only.
 */
export function maskStreaks(
  { width, height, mask }: Pick<MaskedImage, 'width' | 'height' | 'mask'>, score: Float32Array, fwhmPx: number,
  config: DetectConfig,
): Streak[] {
  const planeOf = (sign: 1 | -1): Plane => ({ width, height, mask, score, sign });
  const [high, low] = highPlaces(planeOf(1), config);
  const streaks = [
    ...findStreaks(planeOf(1), high, fwhmPx, config), ...findStreaks(planeOf(-1), low, fwhmPx, config),
  ];
  for (const streak of streaks) paint(planeOf(1), streak);
  return streaks;
}

function findStreaks(plane: Plane, grid: HighPlaces, fwhmPx: number, config: DetectConfig): Streak[] {
  const hough = createHough(grid, plane.score);
  const streaks: Streak[] = [];
  for (let n = 0; n < config.streakCandidatesMax && grid.count > 0; n++) {
    const best = hough.strongest();
    if (best === null || best.votes < hough.votesMin) break;
    const streak = follow(plane, axisOf(best, grid), fwhmPx, config);
    // A line that proves to be none must not be found again, nor one that is done.
    hough.remove(best, streak === null ? 1 : 1.5 + streak.halfWidthPx / grid.cellPx);
    if (streak !== null) streaks.push(streak);
  }
  return streaks;
}

/** Cells of the image where the score is high somewhere. */
type HighPlaces = Readonly<{
  columns: number; rows: number; cellPx: number; count: number; x: Float64Array; y: Float64Array;
}>;

/** Distance between the places of the score that are looked at, pixels: nearer ones are one place of a usual PSF. */
const STEP_PX = 4;
/** A grid of more cells than this on a side is no better and costs more. */
const CELLS_MAX = 512;

/** Cells with a place above the threshold, and those with one below its negative. */
function highPlaces(
  { width, height, mask, score }: Plane, config: DetectConfig,
): readonly [HighPlaces, HighPlaces] {
  const steps = Math.max(1, Math.ceil(Math.max(width, height) / (STEP_PX * CELLS_MAX))), cellPx = STEP_PX * steps;
  const columns = Math.ceil(width / cellPx), rows = Math.ceil(height / cellPx);
  // The largest of n places is high n times as often.
  const threshold = config.streakPlaceSigma + 0.5 * (steps - 1);
  const { high, low } = listExtremes({
    width, height, plane: score, mask, ignoredBits: UNUSABLE, stepPx: STEP_PX, cellPx, threshold,
  });
  const placesOf = (cells: Int32Array): HighPlaces => ({
    columns, rows, cellPx, count: cells.length,
    x: Float64Array.from(cells, (cell) => cell % columns),
    y: Float64Array.from(cells, (cell) => Math.floor(cell / columns)),
  });
  return [placesOf(high), placesOf(low)];
}

type Hough = Readonly<{
  votesMin: number; strongest(): (Line & Readonly<{ votes: number }>) | null; remove(line: Line, reach: number): void;
}>;

/** Votes over (angle, distance from the grid's middle); a step of either moves a line by a cell at most. */
function createHough({ columns, rows, count, x, y }: HighPlaces, beside: Float32Array): Hough {
  const diagonal = Math.hypot(columns, rows), angles = Math.max(1, Math.ceil((Math.PI * diagonal) / 2));
  const middleX = (columns - 1) / 2, middleY = (rows - 1) / 2, isGone = new Uint8Array(count);
  const lines = createLineVotes(angles, diagonal / 2, beside);
  for (let i = 0; i < count; i++) lines.vote(x[i] - middleX, y[i] - middleY, 1);
  // By chance a line across the grid holds the share of cells that are high; six deviations and ten more are a streak.
  const byChance = (count / (columns * rows)) * Math.max(columns, rows);
  return {
    votesMin: 10 + byChance + 6 * Math.sqrt(byChance),
    strongest() {
      const best = lines.strongest();
      return best && { angle: (best.angleIndex * Math.PI) / angles, distance: best.distance, votes: best.votes };
    },
    remove({ angle, distance }, reach) {
      const c = Math.cos(angle), s = Math.sin(angle);
      for (let i = 0; i < count; i++) {
        if (isGone[i] !== 0) continue;
        if (Math.abs((x[i] - middleX) * c + (y[i] - middleY) * s - distance) > reach) continue;
        isGone[i] = 1;
        lines.vote(x[i] - middleX, y[i] - middleY, -1);
      }
    },
  };
}

/** From cells to pixels; the line runs at right angles to the direction that its distance is measured in. */
function axisOf({ angle, distance }: Line, { columns, rows, cellPx }: HighPlaces): Axis {
  const c = Math.cos(angle), s = Math.sin(angle), toPx = (cell: number) => (cell + 0.5) * cellPx;
  return { x: toPx((columns - 1) / 2 + distance * c), y: toPx((rows - 1) / 2 + distance * s), cos: -s, sin: c };
}

/** Places along a line that are on the image: from `first` to `last` pixels from its reference point. */
function reachOf({ x, y, cos, sin }: Axis, width: number, height: number): { first: number; last: number } {
  let first = -Infinity, last = Infinity;
  for (const [at, slope, size] of [[x, cos, width], [y, sin, height]] as const) {
    if (Math.abs(slope) < 1e-9) {
      if (at < 0 || at > size - 1) return { first: 0, last: -1 };
      continue;
    }
    const a = -at / slope, b = (size - 1 - at) / slope;
    first = Math.max(first, Math.min(a, b));
    last = Math.min(last, Math.max(a, b));
  }
  return { first, last };
}

/**
 * Turns and moves the axis to where the score is highest, finds the part of it that shines and how wide it does. Null
 * when that is too short, too wide, too faint, or along a row or column, where defects of the detector lie.
 */
function follow(plane: Plane, rough: Axis, fwhmPx: number, config: DetectConfig): Streak | null {
  let axis = rough, limitSigma = config.streakRunSigma;
  for (let round = 0; round < 3; round++) {
    const part = brightRun(plane, axis, fwhmPx, limitSigma, config);
    if (part === null) return null;
    axis = straightened(plane, axis, part, config);
    // A source beyond the end of a bright streak is not so bright over a whole window.
    limitSigma = Math.max(limitSigma, medianAlong(plane, axis, part, 0) / 4);
  }
  const run = brightRun(plane, axis, fwhmPx, limitSigma, config);
  if (run === null || Math.min(Math.abs(axis.cos), Math.abs(axis.sin)) < config.streakSlopeMin) return null;
  const profile = (offset: number): number => medianAlong(plane, axis, run, offset);
  const limit = config.streakWidthMaxPx;
  let below = 0, above = 0;
  while (below < limit && profile(-below - 1) > config.streakRimSigma) below++;
  while (above < limit && profile(above + 1) > config.streakRimSigma) above++;
  if (below === limit || above === limit) return null;
  const middle = (above - below) / 2, halfWidthPx = (above + below) / 2 + config.streakMarginPx;
  const at = (t: number) => ({
    x: axis.x + t * axis.cos - middle * axis.sin, y: axis.y + t * axis.sin + middle * axis.cos,
  });
  const from = at(run.first), to = at(run.last);
  const middleScore = profile(Math.round(middle));
  // A chain of sources is dark between them.
  const isWhole = along(plane, axis, run, Math.round(middle), 0.25) > config.streakGapSigma;
  if (middleScore < config.streakScoreMin || !isWhole) return null;
  return { x0: from.x, y0: from.y, x1: to.x, y1: to.y, halfWidthPx, isNegative: plane.sign < 0, score: middleScore };
}

type Run = Readonly<{ first: number; last: number }>;

/** NaN where there is no score. */
function scoreAt({ width, height, mask, score, sign }: Plane, x: number, y: number): number {
  const u = Math.round(x), v = Math.round(y), j = v * width + u;
  return u >= 0 && v >= 0 && u < width && v < height && (mask[j] & UNUSABLE) === 0 ? sign * score[j] : NaN;
}

/** Longest part of the axis along which windows have a median above a limit; windows overlap by half. */
function brightRun(plane: Plane, axis: Axis, fwhmPx: number, limitSigma: number, config: DetectConfig): Run | null {
  const { first, last } = reachOf(axis, plane.width, plane.height), step = config.streakWindowPx / 2;
  let best: Run | null = null, start = NaN, dark = 0;
  const count = Math.max(0, Math.floor((last - first) / step));
  for (let n = 0; n <= count; n++) {
    const middle = first + n * step;
    // What is bright a little beside the rough axis counts as well.
    const window = { first: middle - step, last: middle + step };
    const isBright = n < count && [0, -1, 1].some((side) => (
      medianAlong(plane, axis, window, (side * fwhmPx) / 2) > limitSigma
    ));
    if (isBright) {
      if (Number.isNaN(start)) start = middle - step;
      dark = 0;
      continue;
    }
    // A star or a gap in the mask takes a window or two.
    if (n < count && !Number.isNaN(start) && ++dark <= 2) continue;
    if (!Number.isNaN(start)) {
      const run = { first: Math.max(first, start), last: Math.min(last, middle - dark * step) };
      if (best === null || run.last - run.first > best.last - best.first) best = run;
    }
    start = NaN;
    dark = 0;
  }
  return best !== null && best.last - best.first >= config.streakLengthMinPx ? best : null;
}

/** Median of the score along a part of the axis, so many pixels beside it; sources on it change nothing. */
function medianAlong(plane: Plane, axis: Axis, run: Run, offset: number): number {
  return along(plane, axis, run, offset, 0.5);
}

/** Value of the score that a part of the places along the axis lies below. */
function along(
  plane: Plane, { x, y, cos, sin }: Axis, { first, last }: Run, offset: number, part: number,
): number {
  const step = Math.max(2, (last - first) / 400), values: number[] = [];
  for (let t = first; t <= last; t += step) {
    const value = scoreAt(plane, x + t * cos - offset * sin, y + t * sin + offset * cos);
    if (value === value && value !== 0) values.push(value);
  }
  if (values.length === 0) return 0;
  values.sort((a, b) => a - b);
  return values[Math.floor(part * values.length)];
}

/** The axis through the middles of its light in pieces of the run, by least squares. */
function straightened(plane: Plane, axis: Axis, run: Run, config: DetectConfig): Axis {
  const pieces = Math.min(12, Math.max(3, Math.floor((run.last - run.first) / config.streakWindowPx)));
  const length = (run.last - run.first) / pieces, reach = config.streakSearchPx;
  let n = 0, st = 0, so = 0, stt = 0, sto = 0;
  for (let k = 0; k < pieces; k++) {
    const piece = { first: run.first + k * length, last: run.first + (k + 1) * length };
    let weight = 0, sum = 0;
    for (let offset = -reach; offset <= reach; offset++) {
      const value = Math.max(0, medianAlong(plane, axis, piece, offset) - config.streakRimSigma);
      weight += value;
      sum += value * offset;
    }
    if (weight === 0) continue;
    const t = (piece.first + piece.last) / 2, o = sum / weight;
    n++; st += t; so += o; stt += t * t; sto += t * o;
  }
  const determinant = n * stt - st * st;
  if (n < 2 || !(determinant > 0)) return axis;
  const slope = (n * sto - st * so) / determinant, level = (so - slope * st) / n, norm = Math.hypot(1, slope);
  return {
    x: axis.x - level * axis.sin, y: axis.y + level * axis.cos,
    cos: (axis.cos - slope * axis.sin) / norm, sin: (axis.sin + slope * axis.cos) / norm,
  };
}

/** Sets STREAK within the half width of the line between its ends. */
function paint({ width, height, mask }: Plane, streak: Streak): void {
  const { x0, y0, x1, y1, halfWidthPx: half } = streak, bit = maskBits('STREAK');
  const length = Math.hypot(x1 - x0, y1 - y0), cos = (x1 - x0) / length, sin = (y1 - y0) / length;
  const top = Math.max(0, Math.floor(Math.min(y0, y1) - half));
  const bottom = Math.min(height - 1, Math.ceil(Math.max(y0, y1) + half));
  for (let v = top; v <= bottom; v++) {
    // Where |across| ≤ half on this row; `follow` has seen to it that sin is not 0.
    const centre = x0 + ((v - y0) * cos) / sin, reach = Math.abs(half / sin);
    const left = Math.max(0, Math.ceil(centre - reach)), right = Math.min(width - 1, Math.floor(centre + reach));
    for (let u = left; u <= right; u++) {
      const along = (u - x0) * cos + (v - y0) * sin;
      if (along >= -half && along <= length + half) mask[v * width + u] |= bit;
    }
  }
}
