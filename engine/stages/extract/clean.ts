/** Takes back sources that a brighter neighbour's wings lifted over the threshold (Bertin & Arnouts 1996, §7). */
import KDBush from 'kdbush';
import { ellipseRadius, type Moments } from './moments.ts';

export type Candidate = Readonly<{
  shape: Moments;
  /** By how much less light it would be lost: height of its n-th highest pixel, the last that it needs, over the threshold. */
  margin: number;
}>;

/** Distance up to which wings are believed, in units of both sources' extents together. */
const WING_REACH = 10;

/**
 * For each candidate the index of the one that it belongs to: its own when it stands by itself.
 *
 * A neighbour's wings are taken as h / (1 + α r²)^β, with the height of its highest pixel, and α such that
 * they cross the threshold where its own outline does.
 */
export function ownersOf(candidates: readonly Candidate[], threshold: number, exponent: number): Int32Array {
  const owners = Int32Array.from(candidates, (_, i) => i);
  if (candidates.length === 0) return owners;
  const near = neighbourhoods(candidates);
  const order = candidates.map((_, i) => i)
    .sort((i, j) => candidates[j].shape.sum - candidates[i].shape.sum || i - j);
  for (const i of order) {
    if (owners[i] !== i) continue; // What is no source has no wings of its own.
    const { shape } = candidates[i], area = Math.PI * shape.a * shape.b, height = shape.peak;
    const alpha = ((height / threshold) ** (1 / exponent) - 1) * (area / shape.pixelCount);
    if (!(alpha > 0)) continue;
    near(shape, (j) => {
      const other = candidates[j];
      if (j === i || owners[j] !== j || other.shape.sum >= shape.sum) return;
      const dx = other.shape.x - shape.x, dy = other.shape.y - shape.y, reach = WING_REACH * (shape.a + other.shape.a);
      if (dx * dx + dy * dy > reach * reach) return;
      const r = ellipseRadius(shape, dx, dy);
      if (height / (1 + alpha * r * r) ** exponent > other.margin) owners[j] = i;
    });
  }
  return owners;
}

/** Share of the candidates, the most extended ones, that are gone through one by one. */
const LARGE_SHARE = 0.02;

/**
 * Visits all candidates that may lie within reach of a shape, and some more. A search for the widest of all about each
 * would find hundreds; so it asks an index for those of the usual extent, and looks at the few large ones themselves.
 */
function neighbourhoods(
  candidates: readonly Candidate[],
): (shape: Moments, visit: (j: number) => void) => void {
  const byExtent = candidates.map((_, i) => i).sort((i, j) => candidates[j].shape.a - candidates[i].shape.a || i - j);
  const largeCount = Math.min(Math.ceil(LARGE_SHARE * candidates.length), candidates.length - 1);
  const large = byExtent.slice(0, largeCount), usual = byExtent.slice(largeCount), widest = candidates[usual[0]].shape.a;
  const index = new KDBush(usual.length);
  for (const i of usual) index.add(candidates[i].shape.x, candidates[i].shape.y);
  index.finish();
  return (shape, visit) => {
    for (const j of large) visit(j);
    for (const k of index.within(shape.x, shape.y, WING_REACH * (shape.a + widest))) visit(usual[k]);
  };
}
