/** Convolution of planes by overlap-save in Fourier tiles; two tiles that share a real kernel share one transform. */
import { createFourier, transform, transformBack, type Fourier } from './fourier.ts';
import { termDegrees } from './polynomial.ts';

/** Writes the kernel for a place into `out`, [size × size] row-major, its centre in the middle pixel. */
export type KernelAt = (x: number, y: number, out: Float32Array) => void;

/**
 * Convolves a plane with a kernel that is constant in cells of about a tile.
 *
 * out(x) = Σ_d kernel(d) · plane(x − d); outside the plane is zero.
 *
 * @param plane [height × width], finite. Read only.
 * @param size  Side of the kernel, odd, ≤ 101.
 * @param out   [height × width], overwritten; must not be `plane`.
 */
export function convolveByCell(
  plane: Float32Array, width: number, height: number, size: number, kernelAt: KernelAt, out: Float32Array,
): void {
  const tiles = createTiles(size);
  const kernel = new Float32Array(size * size);
  forTilePairs(tiles, width, height, (x0, y0) => {
    loadPair(tiles, plane, width, height, x0, y0);
    transform(tiles.fourier, tiles.re, tiles.im);
    kernelAt(Math.min(x0 + tiles.step / 2, width - 1), Math.min(y0 + tiles.step, height - 1), kernel);
    spectrumOf(tiles, kernel, tiles.kernelRe, tiles.kernelIm);
    multiply(tiles.re, tiles.im, tiles.kernelRe, tiles.kernelIm, tiles.re, tiles.im);
    transformBack(tiles.fourier, tiles.re, tiles.im);
    storePair(tiles, out, width, height, x0, y0);
  });
}

/** Convolves a plane with one kernel everywhere; otherwise as `convolveByCell`. `out` may not be `plane`. */
export function convolveConstant(
  plane: Float32Array, width: number, height: number, size: number, kernel: Float32Array, out: Float32Array,
): void {
  convolvePolynomial(plane, width, height, size, [kernel], 0, out);
}

/**
 * Convolves a plane with a kernel that varies as a polynomial over the plane, exactly:
 * out(x) = Σ_s P_s(x) · (kernels[s] ⊗ plane)(x), with the terms of `polynomialTerms` of the pixel that is written.
 *
 * @param kernels One a term, [size × size] each.
 */
export function convolvePolynomial(
  plane: Float32Array, width: number, height: number, size: number, kernels: readonly Float32Array[],
  order: number, out: Float32Array,
): void {
  const tiles = createTiles(size);
  const n = tiles.fourier.side ** 2;
  const spectra = kernels.map((kernel) => {
    const re = new Float64Array(n), im = new Float64Array(n);
    spectrumOf(tiles, kernel, re, im);
    return { re, im };
  });
  const degrees = termDegrees(order);
  const columnPowers = degrees.map(
    ([a]) => Float64Array.from({ length: width }, (_, x) => ((2 * x) / (width - 1) - 1) ** a),
  );
  const workRe = new Float64Array(n), workIm = new Float64Array(n);
  out.fill(0);
  forTilePairs(tiles, width, height, (x0, y0) => {
    if (!loadPair(tiles, plane, width, height, x0, y0)) return;
    transform(tiles.fourier, tiles.re, tiles.im);
    for (let s = 0; s < spectra.length; s++) {
      multiply(tiles.re, tiles.im, spectra[s].re, spectra[s].im, workRe, workIm);
      transformBack(tiles.fourier, workRe, workIm);
      addTile(tiles, workRe, x0, y0, columnPowers[s], degrees[s][1], out, width, height);
      addTile(tiles, workIm, x0, y0 + tiles.step, columnPowers[s], degrees[s][1], out, width, height);
    }
  });
}

type Tiles = Readonly<{
  fourier: Fourier;
  half: number;
  /** Pixels of a tile's side that come out right. */
  step: number;
  re: Float64Array; im: Float64Array; kernelRe: Float64Array; kernelIm: Float64Array;
}>;

/** Tiles of 128 lose 30 of their side to a kernel of 31; larger kernels take tiles of 256. */
function createTiles(size: number): Tiles {
  if (size % 2 !== 1 || size > 101) throw new Error(`kernel size ${size} is not odd and ≤ 101`);
  const fourier = createFourier(size <= 51 ? 128 : 256);
  const n = fourier.side ** 2;
  return {
    fourier, half: (size - 1) / 2, step: fourier.side - size + 1,
    re: new Float64Array(n), im: new Float64Array(n), kernelRe: new Float64Array(n), kernelIm: new Float64Array(n),
  };
}

/** Visits pairs of tiles, one above the other, by the first output pixel of the upper. */
function forTilePairs(tiles: Tiles, width: number, height: number, visit: (x0: number, y0: number) => void): void {
  for (let y0 = 0; y0 < height; y0 += 2 * tiles.step) {
    for (let x0 = 0; x0 < width; x0 += tiles.step) visit(x0, y0);
  }
}

/** Spectrum of a kernel whose centre is moved to the origin, scaled so that a transform and back is the identity. */
function spectrumOf(tiles: Tiles, kernel: Float32Array, re: Float64Array, im: Float64Array): void {
  const { fourier: { side }, half } = tiles, size = 2 * half + 1, scale = 1 / (side * side);
  re.fill(0);
  im.fill(0);
  for (let y = 0; y < size; y++) {
    const row = ((y - half + side) % side) * side;
    for (let x = 0; x < size; x++) re[row + ((x - half + side) % side)] = kernel[y * size + x] * scale;
  }
  transform(tiles.fourier, re, im);
}

/** Loads two tiles with their borders as real and imaginary part. Returns whether any pixel is not zero. */
function loadPair(
  tiles: Tiles, plane: Float32Array, width: number, height: number, x0: number, y0: number,
): boolean {
  const upper = loadTile(tiles, tiles.re, plane, width, height, x0, y0);
  const lower = loadTile(tiles, tiles.im, plane, width, height, x0, y0 + tiles.step);
  return upper || lower;
}

function loadTile(
  tiles: Tiles, part: Float64Array, plane: Float32Array, width: number, height: number, x0: number, y0: number,
): boolean {
  const { fourier: { side }, half } = tiles;
  const left = Math.max(0, half - x0), right = Math.min(side, width + half - x0);
  let any = 0;
  for (let row = 0; row < side; row++) {
    const y = y0 - half + row, start = row * side;
    if (y < 0 || y >= height || right <= left) { part.fill(0, start, start + side); continue; }
    part.fill(0, start, start + left);
    const from = y * width + x0 - half;
    for (let i = left; i < right; i++) {
      const value = plane[from + i];
      part[start + i] = value;
      if (value !== 0) any = 1;
    }
    part.fill(0, start + right, start + side);
  }
  return any === 1;
}

function multiply(
  aRe: Float64Array, aIm: Float64Array, bRe: Float64Array, bIm: Float64Array, re: Float64Array, im: Float64Array,
): void {
  for (let j = 0; j < aRe.length; j++) {
    const x = aRe[j], y = aIm[j], u = bRe[j], v = bIm[j];
    re[j] = x * u - y * v;
    im[j] = x * v + y * u;
  }
}

function storePair(
  tiles: Tiles, out: Float32Array, width: number, height: number, x0: number, y0: number,
): void {
  const { fourier: { side }, half, step } = tiles, columns = Math.min(step, width - x0);
  for (let row = 0; row < 2 * step && y0 + row < height; row++) {
    const part = row < step ? tiles.re : tiles.im;
    const from = ((row % step) + half) * side + half, to = (y0 + row) * width + x0;
    for (let i = 0; i < columns; i++) out[to + i] = part[from + i];
  }
}

/**
 * Adds one term u^a v^b of a polynomial convolution to the output pixels of a tile.
 *
 * @param columnPowers [width]: u^a of every column.
 */
function addTile(
  tiles: Tiles, part: Float64Array, x0: number, y0: number, columnPowers: Float64Array, rowDegree: number,
  out: Float32Array, width: number, height: number,
): void {
  const { fourier: { side }, half, step } = tiles;
  const columns = Math.min(step, width - x0), rows = Math.min(step, height - y0);
  for (let row = 0; row < rows; row++) {
    const from = (row + half) * side + half, to = (y0 + row) * width + x0;
    const rowPower = ((2 * (y0 + row)) / (height - 1) - 1) ** rowDegree;
    for (let i = 0; i < columns; i++) out[to + i] += rowPower * columnPowers[x0 + i] * part[from + i];
  }
}
