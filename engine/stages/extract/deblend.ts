/** Parts a footprint into its sources by the tree of its levels (Bertin & Arnouts 1996, §6). */
import type { Box } from '../../../schemas/camera.ts';
import type { ExtractConfig } from './config.ts';
import { ellipseRadius, measureMoments, type Moments, type Pixels } from './moments.ts';

/** A connected part of the footprint above a level. Pixels are positions in the image. */
type Branch = Readonly<{ pixels: Pixels; sum: number; level: number }>;
type Node = Readonly<{ branch: Branch; children: readonly Node[] }>;

/**
 * Two or more branches that part at a level and each hold a noticeable share of the footprint's light are sources of
 * their own; the pixels below go each to the source whose profile is the brighter there.
 *
 * @param filtered  [height × width]. Read only.
 * @param pixels    Of one footprint, all at or above `threshold`. Read only.
 * @returns The pixels of each source; the footprint's own when it is one.
 */
export function deblend(
  filtered: Float32Array, width: number, pixels: Pixels, box: Box, threshold: number, config: ExtractConfig['deblend'],
): readonly Pixels[] {
  let sum = 0, peak = 0;
  for (let k = 0; k < pixels.length; k++) {
    const value = filtered[pixels[k]];
    sum += value;
    if (value > peak) peak = value;
  }
  const root: Branch = { pixels, sum, level: threshold };
  if (peak <= threshold || pixels.length < 2 * config.branchPixelCountMin) return [pixels];
  const levels = Array.from(
    { length: config.levelCount - 1 }, (_, k) => threshold * (peak / threshold) ** ((k + 1) / config.levelCount),
  );
  const flood = createFlood(filtered, width, box);
  const sources: Branch[] = [];
  const isWhole = split(grow(root, levels, flood, config.branchPixelCountMin), sum * config.contrastMin, sources);
  return isWhole || sources.length < 2 ? [pixels] : shareOut(filtered, width, pixels, sources, threshold);
}

/** The tree above a branch; a level at which nothing changes but the outline adds no node of its own. */
function grow(branch: Branch, levels: readonly number[], flood: Flood, pixelCountMin: number): Node {
  let top = branch;
  for (let k = 0; k < levels.length; k++) {
    const parts = flood(top.pixels, levels[k]).filter(({ pixels }) => pixels.length >= pixelCountMin);
    if (parts.length === 0) break;
    if (parts.length > 1) {
      const rest = levels.slice(k + 1);
      return { branch, children: parts.map((part) => grow(part, rest, flood, pixelCountMin)) };
    }
    top = parts[0];
  }
  return { branch, children: [] };
}

/** Gathers the sources of a tree, from its tops down. True when the node is one source as a whole. */
function split({ children }: Node, lightMin: number, sources: Branch[]): boolean {
  let isWhole = true;
  const noticeable = children.map(({ branch }) => branch.sum - branch.level * branch.pixels.length > lightMin);
  const wholes = children.map((child) => split(child, lightMin, sources));
  if (wholes.includes(false)) isWhole = false;
  if (noticeable.filter(Boolean).length < 2) return isWhole;
  children.forEach((child, k) => { if (wholes[k] && noticeable[k]) sources.push(child.branch); });
  return false;
}

type Flood = (pixels: Pixels, level: number) => Branch[];

/** Finds the 8-connected parts of a set of pixels at or above a level; work memory is shared by all calls. */
function createFlood(filtered: Float32Array, width: number, box: Box): Flood {
  // One more column and row on each side, so that neighbours need no test for the border.
  const stride = box.x1 - box.x0 + 2, open = new Uint8Array(stride * (box.y1 - box.y0 + 2));
  const steps = [-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1];
  const stack: number[] = [], found: number[] = [];
  const toBox = (pixel: number): number => {
    const x = pixel % width;
    return ((pixel - x) / width - box.y0 + 1) * stride + x - box.x0 + 1;
  };
  const toImage = (place: number): number => {
    const column = place % stride;
    return ((place - column) / stride + box.y0 - 1) * width + column + box.x0 - 1;
  };
  return (pixels, level) => {
    for (let k = 0; k < pixels.length; k++) if (filtered[pixels[k]] >= level) open[toBox(pixels[k])] = 1;
    const parts: Branch[] = [];
    for (let k = 0; k < pixels.length; k++) {
      const start = toBox(pixels[k]);
      if (open[start] === 0) continue;
      open[start] = 0;
      stack.push(start);
      found.length = 0;
      let sum = 0;
      for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
        const pixel = toImage(place);
        found.push(pixel);
        sum += filtered[pixel];
        for (const step of steps) {
          if (open[place + step] === 0) continue;
          open[place + step] = 0;
          stack.push(place + step);
        }
      }
      parts.push({ pixels: Int32Array.from(found), sum, level });
    }
    return parts;
  };
}

/** Logarithm of how far a Gaussian's peak may stand above its highest pixel. */
const PEAK_EXCESS_MAX = Math.log(4);

/** Gives every pixel of the footprint that is in no source to the one whose Gaussian is the brightest there. */
function shareOut(
  filtered: Float32Array, width: number, pixels: Pixels, sources: readonly Branch[], threshold: number,
): readonly Pixels[] {
  const shapes = sources.map((source) => measureMoments(filtered, width, source.pixels));
  const heights = shapes.map((shape) => logHeight(shape, threshold));
  const owned = new Set<number>(), shares = sources.map((source) => Array.from(source.pixels));
  for (const share of shares) for (const pixel of share) owned.add(pixel);
  for (let k = 0; k < pixels.length; k++) {
    const pixel = pixels[k];
    if (owned.has(pixel)) continue;
    const x = pixel % width, y = (pixel - x) / width;
    let best = 0, brightest = -Infinity;
    for (let i = 0; i < shapes.length; i++) {
      const r = ellipseRadius(shapes[i], x - shapes[i].x, y - shapes[i].y), light = heights[i] - (r * r) / 2;
      if (light > brightest) { brightest = light; best = i; }
    }
    shares[best].push(pixel);
  }
  return shares.map((share) => Int32Array.from(share));
}

/** ln of the peak of the Gaussian that has the source's shape and, above the threshold, its area: A = 2π a b ln(P/t). */
function logHeight({ pixelCount, a, b, peak }: Moments, threshold: number): number {
  const excess = pixelCount / (2 * Math.PI * a * Math.max(b, 0.1));
  return Math.min(Math.log(threshold) + excess, Math.log(peak) + PEAK_EXCESS_MAX);
}
