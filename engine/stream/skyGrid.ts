/** Positions on the sky by cells, so that a detector's objects are found without a walk over those of the visit. */
import type { SkyCone } from '../preload.ts';

/** Height of a zone of declination and least width of its cells, degrees: half of a 4k detector's side. */
const CELL_DEG = 0.1;
const ZONE_COUNT = Math.round(180 / CELL_DEG);
/** More than any zone's cells: those of the equator are 3,600. */
const CELLS_A_ZONE = 4096;

/**
 * Items by where they have been seen. One that has moved over a cell's edge is in both cells: whoever asks about an
 * earlier time finds it too, and tests its position himself.
 */
export class SkyGrid<Item> {
  readonly #cells = new Map<number, Set<Item>>();

  add(item: Item, raDeg: number, decDeg: number): void {
    const zone = zoneOf(decDeg);
    const key = zone * CELLS_A_ZONE + cellOf(raDeg, cellCount(zone));
    const cell = this.#cells.get(key);
    if (cell) cell.add(item); else this.#cells.set(key, new Set([item]));
  }

  /** Keeps those for which `isKept` is true. */
  keep(isKept: (item: Item) => boolean): void {
    for (const [key, cell] of this.#cells) {
      for (const item of cell) if (!isKept(item)) cell.delete(item);
      if (cell.size === 0) this.#cells.delete(key);
    }
  }

  /** Every item that may lie in the cone, and some around it; each once, in no order. */
  near({ raDeg, decDeg, radiusDeg }: SkyCone): Set<Item> {
    const found = new Set<Item>();
    const halfWidthDeg = halfWidth(decDeg, radiusDeg);
    for (let zone = zoneOf(decDeg - radiusDeg); zone <= zoneOf(decDeg + radiusDeg); zone++) {
      const count = cellCount(zone);
      const first = Math.floor(((raDeg - halfWidthDeg) / 360) * count);
      const last = Math.floor(((raDeg + halfWidthDeg) / 360) * count);
      for (let cell = first; cell <= Math.min(last, first + count - 1); cell++) {
        const items = this.#cells.get(zone * CELLS_A_ZONE + ((cell % count) + count) % count);
        if (items) for (const item of items) found.add(item);
      }
    }
    return found;
  }
}

/** Half of the range of right ascension that a circle spans, degrees: all of it when a pole lies inside. */
function halfWidth(decDeg: number, radiusDeg: number): number {
  const rad = Math.PI / 180;
  if (Math.abs(decDeg) + radiusDeg >= 90) return 180;
  return Math.asin(Math.min(1, Math.sin(radiusDeg * rad) / Math.cos(decDeg * rad))) / rad + 1e-9;
}

function zoneOf(decDeg: number): number {
  return Math.min(ZONE_COUNT - 1, Math.max(0, Math.floor((decDeg + 90) / CELL_DEG)));
}

/** Cells of a zone: they are nowhere narrower than `CELL_DEG`. */
function cellCount(zone: number): number {
  const farthestDeg = Math.max(Math.abs(zone * CELL_DEG - 90), Math.abs((zone + 1) * CELL_DEG - 90));
  return Math.max(1, Math.floor((360 * Math.cos(farthestDeg * Math.PI / 180)) / CELL_DEG));
}

function cellOf(raDeg: number, count: number): number {
  const turns = raDeg / 360;
  return Math.min(count - 1, Math.floor((turns - Math.floor(turns)) * count));
}
