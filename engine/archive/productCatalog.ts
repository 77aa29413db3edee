/** The index of products: what calibrations, templates and references exist, and which one serves a visit. */
import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { productPaths, type Product, type ProductIndex, type DetectorProductKind } from '../../schemas/products.ts';
import type { DayObs, DetectorId } from '../../schemas/ids.ts';
import type { Band } from '../../schemas/units.ts';
import { isInside } from '../preload.ts';

export type ProductQuery = Readonly<{
  kind: DetectorProductKind; band: Band; detector: DetectorId; dayObs: DayObs;
  /** Where it must lie on the sky; degrees. */
  raDeg: number; decDeg: number;
}>;

/** A product with the path to open. */
export type LocatedProduct = Product & Readonly<{ path: string }>;

export class ProductCatalog {
  readonly #dataDir: string;
  readonly #instrument: string;
  /** The index as it was read last: a visit of 189 detectors asks it 1,500 times. */
  #held: { state: string; index: ProductIndex } | null = null;

  constructor(dataDir: string, instrument: string) {
    this.#dataDir = dataDir;
    this.#instrument = instrument;
  }

  /**
   * The newest product that fits, or null. The index is replaced as a whole, and read anew when it was.
   *
   * @throws Error of one line when the index is there but cannot be read.
   */
  find(query: ProductQuery): LocatedProduct | null {
    const fitting = this.#read().products.filter((product) => product.kind === query.kind
      && (product.band === null || product.band === query.band)
      && (product.detector === null || product.detector === query.detector)
      && product.fromDayObs <= query.dayObs
      && (product.sky === null || isInside(product.sky, query.raDeg, query.decDeg)));
    if (fitting.length === 0) return null;
    // Newest first; the digest breaks ties, so that the choice does not depend on the order of the index.
    fitting.sort((a, b) => b.fromDayObs - a.fromDayObs || (a.checksum < b.checksum ? -1 : 1));
    return this.#located(fitting[0]);
  }

  /** The orbits in force on a night, or null. */
  findOrbits(dayObs: DayObs): LocatedProduct | null {
    const fitting = this.#read().products.filter((p) => p.kind === 'orbits' && p.fromDayObs <= dayObs)
      .sort((a, b) => a.fromDayObs - b.fromDayObs); // Of one night's the last in the index came last.
    return fitting.length === 0 ? null : this.#located(fitting[fitting.length - 1]);
  }

  /** The product with a given digest, or null: for replays, which use what was recorded. */
  byChecksum(checksum: string): LocatedProduct | null {
    const product = this.#read().products.find((p) => p.checksum === checksum);
    return product ? this.#located(product) : null;
  }

  #located(product: Product): LocatedProduct {
    return { ...product, path: isAbsolute(product.uri) ? product.uri : join(this.#dataDir, product.uri) };
  }

  #read(): ProductIndex {
    const path = join(this.#dataDir, productPaths.index(this.#instrument));
    let text: string, state: string;
    try {
      const { ino, size, mtimeMs } = statSync(path);
      state = `${ino} ${size} ${mtimeMs}`;
      if (this.#held?.state === state) return this.#held.index;
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { instrument: this.#instrument, products: [] };
      throw new Error(`cannot read the product index ${path}: ${(error as Error).message}`, { cause: error });
    }
    try {
      this.#held = { state, index: JSON.parse(text) as ProductIndex }; // Written whole, by rename, from this type.
    } catch (error) {
      throw new Error(`the product index ${path} is not JSON: ${(error as Error).message}`, { cause: error });
    }
    return this.#held.index;
  }
}
