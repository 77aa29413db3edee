/** Trails that noise has cut: detections along one line that one moving source explains better than as many sources. */
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { SourceShape } from '../../kernels/shapes.ts';
import type { MeasureConfig } from './config.ts';
import { findTrail, isTrail } from './extended.ts';
import type { Measurable } from './measure.ts';
import type { FitWorkspace, PsfFit } from './psfFit.ts';
import { fitTrail, type TrailFit, type TrailStart } from './trailFit.ts';

/** What was measured of a detection so far. */
export type Piece = Readonly<{ detection: Measurable; fit: PsfFit; light: SourceShape['light'] }>;

/** A trail and the sources on it by their index, the most significant first. */
export type CutTrail = Readonly<{ trail: TrailFit; pieces: readonly number[] }>;

type Scene = Readonly<{
  planes: MaskedImage; sources: readonly Piece[]; workspace: FitWorkspace; noiseScale: number; config: MeasureConfig;
}>;

/**
 * Chains of detections of one sign whose footprints nearly touch are fitted with one trail; what else lies on it is
 * taken in, and the fit repeated. It stands where it beats the pieces as sources of their own (points, or trails where
 * they are longer) on the same pixels, which have more unknowns than it has: two variable stars side by side stay two.
 */
export function findCutTrails(
  planes: MaskedImage, sources: readonly Piece[], workspace: FitWorkspace, noiseScale: number, config: MeasureConfig,
): CutTrail[] {
  const scene: Scene = { planes, sources, workspace, noiseScale, config }, free = new Set(sources.keys());
  const found: CutTrail[] = [];
  for (const chain of chainsOf(scene, free)) {
    if (chain.length < 2 || chain.length > config.trailPiecesMax || !chain.every((i) => free.has(i))) continue;
    const cut = trailThrough(scene, chain, free);
    if (cut === null) continue;
    found.push(cut);
    for (const i of cut.pieces) free.delete(i);
  }
  return found;
}

/** The detection that stands for a trail: its most significant piece, with a footprint around all of them. */
export function asOneDetection({ pieces }: CutTrail, sources: readonly Piece[]): Measurable {
  const boxes = pieces.map((i) => sources[i].detection.footprint);
  return {
    ...sources[pieces[0]].detection, otherLobe: null, footprint: {
      x0: Math.min(...boxes.map((box) => box.x0)), x1: Math.max(...boxes.map((box) => box.x1)),
      y0: Math.min(...boxes.map((box) => box.y0)), y1: Math.max(...boxes.map((box) => box.y1)),
    },
  };
}

/** Sets of detections of one sign each of which nearly touches another of the set; all that are free, in order. */
function chainsOf({ sources, workspace: { fwhmPx }, config }: Scene, free: ReadonlySet<number>): number[][] {
  const detections = sources.map(({ detection }) => detection);
  const order = [...free].sort((a, b) => detections[a].footprint.y0 - detections[b].footprint.y0 || a - b);
  const first = new Map(order.map((i) => [i, i])), reach = config.trailGapFwhm * fwhmPx;
  const rootOf = (i: number): number => {
    let root = i;
    while (first.get(root) !== root) root = first.get(root)!; // Every member is in the map.
    return root;
  };
  for (let n = 0; n < order.length; n++) {
    const a = detections[order[n]];
    for (let m = n + 1; m < order.length; m++) {
      const b = detections[order[m]];
      if (b.footprint.y0 - a.footprint.y1 > reach) break;
      if (a.isNegative !== b.isNegative || gapBetween(a, b) > reach) continue;
      const [low, high] = [rootOf(order[n]), rootOf(order[m])].sort((p, q) => p - q);
      first.set(high, low);
    }
  }
  const chains = new Map<number, number[]>();
  for (const i of [...free]) {
    const root = rootOf(i), chain = chains.get(root);
    if (chain === undefined) chains.set(root, [i]);
    else chain.push(i);
  }
  return [...chains.values()];
}

/** Distance between the boxes of two footprints. */
function gapBetween({ footprint: a }: Measurable, { footprint: b }: Measurable): number {
  const x = Math.max(0, a.x0 - b.x1, b.x0 - a.x1), y = Math.max(0, a.y0 - b.y1, b.y0 - a.y1);
  return Math.hypot(x, y);
}

/** Lengths to begin with, over that of the pieces: noise takes the ends off some trails, and lengthens few by much. */
const STARTS = [1, 1.4, 0.75];

/** Fits that take in more and more of a trail end by themselves; each adds a piece at least. */
function trailThrough(scene: Scene, chain: readonly number[], free: ReadonlySet<number>): CutTrail | null {
  const { planes, sources, workspace, noiseScale, config } = scene, { fwhmPx } = workspace;
  const { isNegative } = sources[chain[0]].detection, sign = isNegative ? -1 : 1;
  let pieces = chain;
  for (;;) {
    const start = startOf(scene, pieces);
    if (start === null || start.lengthPx > config.trailSideMaxPx) return null;
    const places = pieces.map((i) => sources[i].fit), own = pieces.map((i) => ownShape(scene, sources[i]));
    const trail = STARTS.map((share) => ({ ...start, lengthPx: share * start.lengthPx }))
      .map((begin) => fitTrail(planes, workspace, sign, begin, config, own))
      .find((fit) => fit !== null && places.every((place) => isOn(fit, place, fwhmPx))) ?? null;
    if (trail === null || trail.lengthPx > config.trailSideMaxPx) return null;
    const ownTrails = own.filter(({ lengthPx }) => lengthPx > 0).length;
    const chi2GainMin = config.trailPiecesChi2GainMin - OWN_TRAIL_CHI2 * ownTrails;
    if (!isTrail(trail, fwhmPx, noiseScale, chi2GainMin, config)) return null;
    const more = [...free].filter((i) => !pieces.includes(i)
      && sources[i].detection.isNegative === isNegative && isOn(trail, sources[i].fit, fwhmPx));
    if (more.length === 0) {
      const snrOf = (i: number): number => sources[i].detection.snr;
      return { trail, pieces: [...pieces].sort((a, b) => snrOf(b) - snrOf(a) || a - b) };
    }
    pieces = [...pieces, ...more];
    if (pieces.length > config.trailPiecesMax) return null;
  }
}

/** What a piece that is a trail by itself gains in χ² by five unknowns that fit noise, at the usual price of two each. */
const OWN_TRAIL_CHI2 = 10;

/** What a piece is by itself. */
function ownShape(
  { planes, workspace, noiseScale, config }: Scene, { detection, fit: { x, y }, light }: Piece,
): TrailStart {
  return findTrail(planes, noiseScale, detection, light, workspace, config) ?? { x, y, lengthPx: 0, angle: 0 };
}

/** Half the width of a trail in full widths of the PSF, and how far beyond its ends a piece may lie. */
const OFFSET_FWHM = 0.75;

function isOn(trail: TrailFit, { x, y }: Readonly<{ x: number; y: number }>, fwhmPx: number): boolean {
  const { along, across } = onLine(trail, x, y);
  return Math.abs(across) < OFFSET_FWHM * fwhmPx && Math.abs(along) < trail.lengthPx / 2 + OFFSET_FWHM * fwhmPx;
}

function onLine(
  line: Readonly<{ x: number; y: number; angle: number }>, x: number, y: number,
): { along: number; across: number } {
  const cos = Math.cos(line.angle), sin = Math.sin(line.angle), dx = x - line.x, dy = y - line.y;
  return { along: dx * cos + dy * sin, across: dy * cos - dx * sin };
}

/**
 * The line through the pieces by their second moments, as long as the pixels above the threshold reach along it; null
 * where a piece lies beside it.
 */
function startOf(
  { planes: { mask, width }, sources, workspace: { fwhmPx } }: Scene, pieces: readonly number[],
): TrailStart | null {
  const places = pieces.map((i) => sources[i].fit), count = places.length;
  const x = places.reduce((sum, place) => sum + place.x, 0) / count;
  const y = places.reduce((sum, place) => sum + place.y, 0) / count;
  let xx = 0, xy = 0, yy = 0;
  for (const place of places) {
    xx += (place.x - x) ** 2;
    xy += (place.x - x) * (place.y - y);
    yy += (place.y - y) ** 2;
  }
  const line = { x, y, angle: Math.atan2(2 * xy, xx - yy) / 2 };
  if (places.some((place) => Math.abs(onLine(line, place.x, place.y).across) > OFFSET_FWHM * fwhmPx)) return null;
  let low = Infinity, high = -Infinity;
  for (const i of pieces) {
    const { footprint: { x0, y0, x1, y1 }, isNegative } = sources[i].detection;
    const bit = maskBits(isNegative ? 'DETECTED_NEGATIVE' : 'DETECTED');
    for (let v = y0; v < y1; v++) {
      for (let u = x0; u < x1; u++) {
        const { along, across } = onLine(line, u, v);
        if ((mask[v * width + u] & bit) === 0 || Math.abs(across) > fwhmPx) continue;
        low = Math.min(low, along);
        high = Math.max(high, along);
      }
    }
  }
  if (!(high > low)) return null;
  const middle = (low + high) / 2;
  return {
    x: x + middle * Math.cos(line.angle), y: y + middle * Math.sin(line.angle), lengthPx: high - low, angle: line.angle,
  };
}
