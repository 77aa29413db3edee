/** Multi-order coverage maps (IVOA MOC 2.0), in their ASCII form: which nested HEALPix pixels belong to a region. */

/** Deepest order that is read: pixels of 26″, whose numbers fit a double with room. */
export const MOC_ORDER_MAX = 13;
/** Ranges that a map may have: more than any survey footprint, and 4 MB. */
const RANGES_MAX = 250_000;

/** Pixels of `MOC_ORDER_MAX`, `from` ≤ p < `to`, ascending and disjoint. */
export type PixelRanges = readonly Readonly<{ from: number; to: number }>[];

/**
 * Reads `3/1-4,7 5/100`: an order, a slash, pixels and spans; an order without pixels only tells the resolution.
 *
 * @throws Error of one line that quotes what is no map.
 */
export function parseMoc(text: string): PixelRanges {
  const ranges: { from: number; to: number }[] = [];
  let order = -1;
  for (const word of text.trim().split(/[\s,]+/)) {
    const [, orderText, rest] = /^(?:(\d{1,2})\/)?(\d{1,10}(?:-\d{1,10})?)?$/.exec(word) ?? [];
    if (orderText === undefined && rest === undefined) {
      throw new Error(`a MOC has no ${JSON.stringify(word.slice(0, 40))}`);
    }
    if (orderText !== undefined) order = Number(orderText);
    if (order < 0 || order > MOC_ORDER_MAX) throw new Error(`a MOC of order ${order}; 0 to ${MOC_ORDER_MAX} are read`);
    if (rest === undefined) continue;
    const [first, last = first] = rest.split('-').map(Number);
    if (last < first || last >= 12 * 4 ** order) throw new Error(`a MOC has no pixels ${rest} of order ${order}`);
    const scale = 4 ** (MOC_ORDER_MAX - order);
    ranges.push({ from: first * scale, to: (last + 1) * scale });
    if (ranges.length > RANGES_MAX) throw new Error(`a MOC of more than ${RANGES_MAX} ranges`);
  }
  if (ranges.length === 0) throw new Error('a MOC without pixels');
  ranges.sort((a, b) => a.from - b.from);
  const merged = [ranges[0]];
  for (const range of ranges) {
    const last = merged[merged.length - 1];
    if (range.from > last.to) merged.push(range);
    else last.to = Math.max(last.to, range.to);
  }
  return merged;
}

/** Whether a position, degrees, lies in the pixels of a map. */
export function isInRanges(ranges: PixelRanges, raDeg: number, decDeg: number): boolean {
  const pixel = nestedPixel(MOC_ORDER_MAX, raDeg, decDeg);
  let low = 0, high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle].to <= pixel) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length && ranges[low].from <= pixel;
}

/**
 * The nested HEALPix pixel of a position: Górski et al. 2005 (ApJ 622, 759), §4.1, in the plane of the projection of
 * Calabretta & Roukema 2007 (MNRAS 381, 865), where every pixel is a square turned by 45°.
 */
export function nestedPixel(order: number, raDeg: number, decDeg: number): number {
  const side = 2 ** order;
  const turns = (((raDeg % 360) + 360) % 360) / 90; // 0 … 4
  const z = Math.sin((decDeg * Math.PI) / 180);
  let face: number, x: number, y: number; // Of twelve facets, and the place in it, in sides from its southern corner.
  if (Math.abs(z) <= 2 / 3) {
    // Facet edges run along u = turns + 0.5 ± 0.75 z.
    const rising = turns + 0.5 - 0.75 * z, falling = turns + 0.5 + 0.75 * z;
    const fromEdgeA = Math.floor(rising), fromEdgeB = Math.floor(falling);
    x = falling - fromEdgeB;
    y = 1 - (rising - fromEdgeA);
    if (fromEdgeA === fromEdgeB) face = 4 + (fromEdgeB % 4);
    else if (fromEdgeA < fromEdgeB) face = fromEdgeA % 4;
    else face = 8 + (fromEdgeB % 4);
  } else {
    const quarter = Math.min(3, Math.floor(turns));
    const along = turns - quarter;
    // 1 − |z| without cancellation near the pole.
    const colatitude = ((90 - Math.abs(decDeg)) * Math.PI) / 180;
    const width = Math.sqrt(3 * 2) * Math.sin(colatitude / 2); // √(3 (1 − |z|))
    const a = along * width, b = (1 - along) * width;
    if (z > 0) { face = quarter; x = 1 - b; y = 1 - a; } else { face = 8 + quarter; x = a; y = b; }
  }
  const column = clampedCell(x, side), row = clampedCell(y, side);
  return face * side * side + interleave(column) + 2 * interleave(row);
}

function clampedCell(fraction: number, side: number): number {
  return Math.min(side - 1, Math.max(0, Math.floor(fraction * side)));
}

/** Spreads the 13 low bits of a number to the even places. */
function interleave(cell: number): number {
  let spread = cell;
  spread = (spread | (spread << 8)) & 0x00ff00ff;
  spread = (spread | (spread << 4)) & 0x0f0f0f0f;
  spread = (spread | (spread << 2)) & 0x33333333;
  return (spread | (spread << 1)) & 0x55555555;
}
