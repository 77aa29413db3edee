/** Pairs of Fourier tiles and what overlap-save convolution does with them. */

/** Size of tiles for a kernel. */
export type TileSize = Readonly<{
  /** Pixels of a tile's side, a power of two. */
  side: number;
  /** Pixels of its side that come out right, the last ones; a multiple of 4, so that vectors are stored whole. */
  step: number;
}>;

/** Tiles of 128 lose a quarter of their side to a kernel of 31; larger kernels take tiles of 256. @throws Error. */
export function tileSizeOf(kernelSize: number): TileSize {
  if (kernelSize % 2 !== 1 || kernelSize < 1 || kernelSize > 101) throw new Error(
    `kernel size ${kernelSize} is not odd and ≤ 101`);
  const side = kernelSize <= 51 ? 128 : 256;
  return { side, step: (side - kernelSize + 1) & ~3 };
}

/** One pair of tiles, one above the other, by the plane's pixel that is its first right one. */
export type PairPlace = Readonly<{ x0: number; y0: number }>;

/**
 * Two tiles as real and imaginary part of one transform, with the spectra of some kernels. The tile that is loaded has
 * its origin such that a kernel whose first pixel is at the origin gives out(x) = Σ_d kernel(d) plane(x − d), d counted
 * from the kernel's middle.
 */
export type TilePair = Readonly<{
  /** Loads a pair and transforms it along y; false when all its pixels are 0. */
  load(place: PairPlace): boolean;
  /** Makes the spectrum of a kernel, [size × size], and keeps it in a slot. */
  setKernel(slot: number, kernel: Float32Array): void;
  /** The same of a weighted sum of the task's terms. */
  setCombination(slot: number, weights: Float64Array): void;
  /** Transforms the loaded pair along x, for `multiply`. */
  transform(): void;
  /** Convolves the pair that is loaded, but not transformed along x, and writes what came out. */
  filterAndStore(slot: number, place: PairPlace): void;
  /**
   * Convolves the transformed pair, which stays, and writes what came out, or adds it times the weights of a slot's
   * term.
   */
  multiplyAndStore(slot: number, place: PairPlace): void;
  multiplyAndAdd(slot: number, place: PairPlace): void;
}>;

/** What of a plane is used. */
export type UsablePixels = Readonly<{
  /** Pixels with one of the bits, and those that are not finite, count as 0. */
  mask: Uint16Array; bits: number;
  /** Where it is given, pixels are divided by it; where it is not positive they count as 0. */
  variance: Float32Array | null;
}>;

/** What a pair of tiles is made on. */
export type TileTask = Readonly<{
  /** All pixels are used, and finite, where `usable` is null. */
  plane: Float32Array; usable: UsablePixels | null;
  out: Float32Array; width: number; height: number;
  kernelSize: number; slotCount: number;
  /** Kernels that are weighed and added, [kernelSize × kernelSize] each; none where whole kernels are given. */
  terms: readonly Float32Array[];
  /** [slots × width] and [slots × height]: the factors of each slot's weight. Empty when nothing is added. */
  columnWeights: Float32Array; rowWeights: Float32Array;
}>;
