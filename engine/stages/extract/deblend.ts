/** Parts a footprint into its sources by the tree of its levels (Bertin & Arnouts 1996, §6). */
import type { Box } from '../../../schemas/camera.ts';
import type { ExtractConfig } from './config.ts';
import { choosePixels, type Pixels } from './footprints.ts';
import { ellipseRadius, measureMoments, type Moments } from './moments.ts';

/** A connected part of the footprint above a level: one of its places. */
type Branch = Readonly<{ seed: number; pixelCount: number; sum: number; level: number }>;
type Node = Readonly<{ branch: Branch; children: readonly Node[] }>;

/**
 * Two or more branches that part at a level and each hold a noticeable share of the footprint's light are sources of
 * their own; the pixels below go each to the source whose profile is the brighter there.
 *
 * @param pixels Of one footprint, in reading order, all at or above `threshold`, which is positive. Read only.
 * @param work   From `createDeblendWork`, any number of times.
 * @returns For each source the places of its pixels in `pixels`; null when the footprint is one source.
 */
export function deblend(
  pixels: Pixels, width: number, box: Box, threshold: number, config: ExtractConfig['deblend'], work: DeblendWork,
): readonly Int32Array[] | null {
  const { light } = pixels;
  let sum = 0, peak = 0;
  for (let k = 0; k < light.length; k++) {
    sum += light[k];
    if (light[k] > peak) peak = light[k];
  }
  if (peak <= threshold || light.length < 2 * config.branchPixelCountMin) return null;
  const ratio = (peak / threshold) ** (1 / config.levelCount), levels = [threshold];
  for (let k = 1; k < config.levelCount; k++) levels.push(levels[k - 1] * ratio);
  const stride = box.x1 - box.x0 + 2;
  placePixels(pixels, width, box, stride, work);
  const children = treeOf(light, levels, stride, config.branchPixelCountMin, work), sources: Branch[] = [];
  const root: Node = { branch: { seed: work.places[0], pixelCount: light.length, sum, level: threshold }, children };
  const isWhole = split(root, sum * config.contrastMin, sources) || sources.length < 2;
  const parts = isWhole ? [] : sources.map((source) => flood(light, stride, source, work));
  for (let i = 0; i < light.length; i++) work.ranks[work.places[i]] = work.joined[work.places[i]] = 0;
  return isWhole ? null : shareOut(pixels, width, parts, threshold);
}

/** Gathers the sources of a tree, from its tops down. True when the node is one source as a whole. */
function split({ children }: Node, lightMin: number, sources: Branch[]): boolean {
  let isWhole = true;
  const noticeable = children.map(({ branch }) => branch.sum - branch.level * branch.pixelCount > lightMin);
  const wholes = children.map((child) => split(child, lightMin, sources));
  if (wholes.includes(false)) isWhole = false;
  if (noticeable.filter(Boolean).length < 2) return isWhole;
  children.forEach((child, k) => { if (wholes[k] && noticeable[k]) sources.push(child.branch); });
  return false;
}

/** Memory for trees, grown as needed. `ranks` and `joined` are zero between calls. */
export type DeblendWork = {
  /**
   * Of a footprint's box with a border of one pixel: 1 + which of the footprint's pixels a place is, whether it has joined,
   * its branch, and the roots' sums.
   */
  ranks: Int32Array; joined: Uint8Array; parents: Int32Array; counts: Int32Array; sums: Float64Array;
  /** Of a footprint's pixels: the level that each reaches, their order by it, and their places in the box. */
  reached: Uint8Array; order: Int32Array; places: Int32Array;
};

export function createDeblendWork(): DeblendWork {
  return workOf(1024);
}

function workOf(length: number): DeblendWork {
  return {
    ranks: new Int32Array(length), joined: new Uint8Array(length), parents: new Int32Array(length),
    counts: new Int32Array(length), sums: new Float64Array(length), reached: new Uint8Array(length),
    order: new Int32Array(length), places: new Int32Array(length),
  };
}

function placePixels({ indices }: Pixels, width: number, box: Box, stride: number, work: DeblendWork): void {
  const area = stride * (box.y1 - box.y0 + 2);
  if (work.ranks.length < area) Object.assign(work, workOf(2 * area));
  const { places, ranks } = work;
  let start = box.y0 * width, line = stride + 1 - box.x0;
  for (let i = 0; i < indices.length; i++) {
    while (indices[i] >= start + width) { start += width; line += stride; }
    const place = indices[i] - start + line;
    places[i] = place;
    ranks[place] = i + 1;
  }
}

/** A branch at the level that the tree has come down to: any of its places, and what stands on it. */
type Active = { place: number; pixelCount: number; sum: number; children: readonly Node[] };

/**
 * Branches above the footprint's own level, those that part from each other; an outline that only shrinks from level to
 * level adds none. Pixels join from the highest level down, each to its 8 neighbours that have joined before.
 *
 * @param levels From the footprint's threshold up.
 */
function treeOf(
  light: Float32Array, levels: readonly number[], stride: number, pixelCountMin: number, work: DeblendWork,
): readonly Node[] {
  const { parents, counts, sums, order, places } = work, ends = sortByLevel(light, levels, work);
  let active: Active[] = [], start = 0;
  for (let k = levels.length - 1; k >= 0; start = ends[k], k--) {
    const end = ends[k];
    for (let i = start; i < end; i++) join(places[order[i]], light[order[i]], stride, work);
    const grown: Active[] = [];
    for (const branch of active) addPart(grown, rootOf(parents, branch.place), branch, levels[k + 1]);
    for (let i = start; i < end; i++) {
      const root = rootOf(parents, places[order[i]]);
      if (counts[root] < pixelCountMin || grown.some(({ place }) => place === root)) continue;
      grown.push({ place: root, pixelCount: 0, sum: 0, children: [] });
    }
    for (const branch of grown) { branch.pixelCount = counts[branch.place]; branch.sum = sums[branch.place]; }
    active = grown;
  }
  return active[0]?.children ?? [];
}

/** A branch of the level above becomes part of the one with this root: its only part hands on its own parts. */
function addPart(
  grown: (Active & { only?: Active | null })[], root: number, part: Active, level: number,
): void {
  const nodeOf = ({ place, pixelCount, sum, children }: Active): Node => ({
    branch: { seed: place, pixelCount, sum, level }, children,
  });
  const branch = grown.find(({ place }) => place === root);
  if (branch === undefined) {
    grown.push({ place: root, pixelCount: 0, sum: 0, children: part.children, only: part });
    return;
  }
  branch.children = [...(branch.only ? [nodeOf(branch.only)] : branch.children), nodeOf(part)];
  branch.only = null;
}

/** Puts indices of pixels in `order`, from the highest level that they reach down. Returns where each level ends. */
function sortByLevel(light: Float32Array, levels: readonly number[], { reached, order }: DeblendWork): readonly number[] {
  const ends = new Array<number>(levels.length).fill(0);
  for (let i = 0; i < light.length; i++) {
    const value = light[i];
    let low = 0, high = levels.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (value >= levels[middle]) low = middle; else high = middle - 1;
    }
    reached[i] = low;
    ends[low]++;
  }
  for (let k = levels.length - 2; k >= 0; k--) ends[k] += ends[k + 1];
  const next = ends.map((_, k) => (k + 1 < ends.length ? ends[k + 1] : 0));
  for (let i = 0; i < light.length; i++) order[next[reached[i]]++] = i;
  return ends;
}

/** Adds a place to the branches that it touches; of two roots the one with more pixels stays. */
function join(place: number, value: number, stride: number, { joined, parents, counts, sums }: DeblendWork): void {
  joined[place] = 1;
  parents[place] = place;
  counts[place] = 1;
  sums[place] = value;
  let root = place;
  for (let v = -1; v <= 1; v++) {
    for (let u = -1; u <= 1; u++) {
      const neighbour = place + v * stride + u;
      if (joined[neighbour] === 0 || neighbour === place) continue;
      let other = rootOf(parents, neighbour);
      if (other === root) continue;
      if (counts[other] > counts[root]) { const kept = other; other = root; root = kept; }
      parents[other] = root;
      counts[root] += counts[other];
      sums[root] += sums[other];
    }
  }
}

/** Each step halves the way for the next one. */
function rootOf(parents: Int32Array, place: number): number {
  let at = place;
  while (parents[at] !== at) at = parents[at] = parents[parents[at]];
  return at;
}

/** The 8-connected pixels of a branch, at or above its level, from its seed, in reading order. */
function flood(light: Float32Array, stride: number, { seed, level }: Branch, { ranks }: DeblendWork): Int32Array {
  const seen = new Set([seed]), found = [seed];
  for (let k = 0; k < found.length; k++) {
    for (let v = -stride; v <= stride; v += stride) {
      for (let place = found[k] + v - 1; place <= found[k] + v + 1; place++) {
        if (ranks[place] === 0 || !(light[ranks[place] - 1] >= level) || seen.has(place)) continue;
        seen.add(place);
        found.push(place);
      }
    }
  }
  return Int32Array.from(found, (place) => ranks[place] - 1).sort();
}

/** Logarithm of how far a Gaussian's peak may stand above its highest pixel. */
const PEAK_EXCESS_MAX = Math.log(4);

/** Gives every pixel of the footprint that is in no source to the one whose Gaussian is the brightest there. */
function shareOut(
  pixels: Pixels, width: number, sources: readonly Int32Array[], threshold: number,
): readonly Int32Array[] {
  const { indices } = pixels, shapes = sources.map((source) => measureMoments(choosePixels(pixels, source), width));
  const heights = shapes.map((shape) => logHeight(shape, threshold));
  const owned = new Uint8Array(indices.length), shares = sources.map((source) => Array.from(source));
  for (const source of sources) for (const k of source) owned[k] = 1;
  for (let k = 0; k < indices.length; k++) {
    if (owned[k] === 1) continue;
    const x = indices[k] % width, y = (indices[k] - x) / width;
    let best = 0, brightest = -Infinity;
    for (let i = 0; i < shapes.length; i++) {
      const r = ellipseRadius(shapes[i], x - shapes[i].x, y - shapes[i].y), light = heights[i] - (r * r) / 2;
      if (light > brightest) { brightest = light; best = i; }
    }
    shares[best].push(k);
  }
  return shares.map((share) => Int32Array.from(share));
}

/** ln of the peak of the Gaussian that has the source's shape and, above the threshold, its area: A = 2π a b ln(P/t). */
function logHeight({ pixelCount, a, b, peak }: Moments, threshold: number): number {
  const excess = pixelCount / (2 * Math.PI * a * Math.max(b, 0.1));
  return Math.min(Math.log(threshold) + excess, Math.log(peak) + PEAK_EXCESS_MAX);
}
