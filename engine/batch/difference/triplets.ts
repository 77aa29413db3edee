/** A sheet of stamps to look at: science, matched template and difference of the strongest sources. */
import type { MaskedImage } from '../../image/maskedImage.ts';
import { encodePng } from '../../image/png.ts';
import { pairConfig } from './config.ts';
import type { PairDifference } from './differencePair.ts';

/** Width of the gap between stamps, and of that between triplets, pixels of the sheet. */
const GAP_PX = 2, TRIPLET_GAP_PX = 10;
/** Colour of the gaps and of pixels without data, which no stamp has: a blue. The others are greys. */
const EMPTY = 255;
const PALETTE = Uint8Array.from({ length: 3 * 256 }, (_, i) => (
  i < 3 * EMPTY ? Math.round((255 * Math.floor(i / 3)) / (EMPTY - 1)) : [24, 28, 56][i - 3 * EMPTY]));

type Sheet = Readonly<{ width: number; height: number; pixels: Uint8Array }>;

/**
 * The strongest sources in order of |snr|, row by row: science and template on one scale from the sky to the brighter
 * one's peak (square root), the difference from −peak (black) over 0 (grey) to +peak (white).
 *
 * @returns A PNG; null when there are no sources.
 */
export function tripletSheet({ rows, visitImage, matchedTemplate, difference }: PairDifference): Uint8Array | null {
  const { count, columns, sidePx, zoom } = pairConfig.triplets;
  const strongest = [...rows].sort((a, b) => (b.snr ?? 0) - (a.snr ?? 0) || a.y - b.y || a.x - b.x).slice(0, count);
  if (strongest.length === 0) return null;
  const stamp = sidePx * zoom, cellWidth = 3 * stamp + 2 * GAP_PX + TRIPLET_GAP_PX, cellHeight = stamp + TRIPLET_GAP_PX;
  const rowCount = Math.ceil(strongest.length / columns), used = Math.min(columns, strongest.length);
  const width = used * cellWidth + TRIPLET_GAP_PX, height = rowCount * cellHeight + TRIPLET_GAP_PX;
  const sheet = { width, height, pixels: new Uint8Array(width * height).fill(EMPTY) };
  strongest.forEach(({ x, y }, n) => {
    const left = TRIPLET_GAP_PX + (n % columns) * cellWidth;
    const top = TRIPLET_GAP_PX + Math.floor(n / columns) * cellHeight;
    const cuts = [visitImage, matchedTemplate, difference].map((planes) => cut(planes, x, y, sidePx));
    const [science, template, changed] = cuts;
    const light = Math.max(highest(science), highest(template)), change = highest(changed.map(Math.abs));
    const asLight = (value: number): number => Math.sqrt(Math.max(value, 0) / light);
    draw(sheet, science, left, top, asLight);
    draw(sheet, template, left + stamp + GAP_PX, top, asLight);
    draw(sheet, changed, left + 2 * (stamp + GAP_PX), top, (value) => 0.5 + value / (2 * change));
  });
  return encodePng(sheet.pixels, width, height, PALETTE);
}

/** [side × side] about a place, row-major; NaN outside of the image. */
function cut({ image, width, height }: MaskedImage, x: number, y: number, side: number): Float32Array {
  const out = new Float32Array(side * side).fill(NaN);
  const x0 = Math.round(x) - (side >> 1), y0 = Math.round(y) - (side >> 1);
  for (let v = 0; v < side; v++) {
    for (let u = 0; u < side; u++) {
      const px = x0 + u, py = y0 + v;
      if (px >= 0 && py >= 0 && px < width && py < height) out[v * side + u] = image[py * width + px];
    }
  }
  return out;
}

/** Largest value; 1 when none is positive. */
function highest(values: Float32Array): number {
  const found = values.reduce((best, value) => (value > best ? value : best), 0);
  return found > 0 ? found : 1;
}

/** FITS rows run upwards, PNG rows downwards. */
function draw(
  { pixels, width }: Sheet, stamp: Float32Array, left: number, top: number, greyOf: (value: number) => number,
): void {
  const { sidePx, zoom } = pairConfig.triplets;
  for (let v = 0; v < sidePx; v++) {
    for (let u = 0; u < sidePx; u++) {
      const value = stamp[(sidePx - 1 - v) * sidePx + u];
      if (Number.isNaN(value)) continue;
      const grey = Math.round((EMPTY - 1) * Math.min(1, Math.max(0, greyOf(value)))), x = left + u * zoom;
      for (let y = top + v * zoom; y < top + (v + 1) * zoom; y++) pixels.fill(grey, y * width + x, y * width + x + zoom);
    }
  }
}
