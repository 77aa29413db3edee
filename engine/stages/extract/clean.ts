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
  const index = new KDBush(candidates.length);
  for (const { shape } of candidates) index.add(shape.x, shape.y);
  index.finish();
  const widest = candidates.reduce((most, { shape }) => Math.max(most, shape.a), 0);
  const order = candidates.map((_, i) => i)
    .sort((i, j) => candidates[j].shape.sum - candidates[i].shape.sum || i - j);
  for (const i of order) {
    if (owners[i] !== i) continue; // What is no source has no wings of its own.
    const { shape } = candidates[i], area = Math.PI * shape.a * shape.b, height = shape.peak;
    const alpha = ((height / threshold) ** (1 / exponent) - 1) * (area / shape.pixelCount);
    if (!(alpha > 0)) continue;
    for (const j of index.within(shape.x, shape.y, WING_REACH * (shape.a + widest))) {
      const other = candidates[j], distance = Math.hypot(other.shape.x - shape.x, other.shape.y - shape.y);
      if (j === i || owners[j] !== j || other.shape.sum >= shape.sum) continue;
      if (distance > WING_REACH * (shape.a + other.shape.a)) continue;
      const r = ellipseRadius(shape, other.shape.x - shape.x, other.shape.y - shape.y);
      if (height / (1 + alpha * r * r) ** exponent > other.margin) owners[j] = i;
    }
  }
  return owners;
}
