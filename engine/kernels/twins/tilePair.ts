import { tileSizeOf, type PairPlace, type TilePair, type TileTask } from '../tiles.ts';
import { transformColumns, transformColumnsBack, transposeTile, twiddlesOf } from './fourier.ts';

const { fround } = Math;
type Complex = Readonly<{ re: Float32Array; im: Float32Array }>;

/** Twin of the compiled pair of tiles. */
export function createTilePairTwin(task: TileTask): TilePair {
  const { side, step } = tileSizeOf(task.kernelSize), twiddles = twiddlesOf(side), n = side * side;
  const make = (): Complex => ({ re: new Float32Array(n), im: new Float32Array(n) });
  const tile = make(), product = make(), spectra = Array.from({ length: task.slotCount }, make);
  const transformX = ({ re, im }: Complex): void => {
    transposeTile(re, side);
    transposeTile(im, side);
    transformColumns(twiddles, side, re, im);
  };
  const back = ({ re, im }: Complex): void => {
    transformColumnsBack(twiddles, side, re, im);
    transposeTile(re, side);
    transposeTile(im, side);
    transformColumnsBack(twiddles, side, re, im);
  };
  const setKernel = (slot: number, kernel: Float32Array): void => {
    const { re, im } = spectra[slot], size = task.kernelSize, scale = 1 / n;
    re.fill(0);
    im.fill(0);
    for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) re[y * side + x] = kernel[y * size + x] * scale;
    transformColumns(twiddles, side, re, im);
    transformX(spectra[slot]);
  };
  const convolveTo = (slot: number): void => { multiply(tile, spectra[slot], product); back(product); };
  return {
    load({ x0, y0 }) {
      // Index i of a tile is pixel x0 + half − (side − step) + i of the plane.
      const shift = ((task.kernelSize - 1) >> 1) - (side - step);
      const upper = loadTile(task, tile.re, side, x0 + shift, y0 + shift);
      const lower = loadTile(task, tile.im, side, x0 + shift, y0 + step + shift);
      transformColumns(twiddles, side, tile.re, tile.im);
      return upper || lower;
    },
    setKernel,
    setCombination(slot, weights) {
      setKernel(slot, Float32Array.from({ length: task.kernelSize ** 2 }, (_, j) => {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * task.terms[k][j];
        return sum;
      }));
    },
    transform() { transformX(tile); },
    filterAndStore(slot, place) { transformX(tile); convolveTo(slot); storePair(task, product, side, step, place); },
    multiplyAndStore(slot, place) { convolveTo(slot); storePair(task, product, side, step, place); },
    multiplyAndAdd(slot, place) { convolveTo(slot); addPair(task, product, side, step, place, slot); },
  };
}

function loadTile(
  task: TileTask, part: Float32Array, side: number, left: number, top: number,
): boolean {
  const { width, height } = task;
  let any = false;
  for (let row = 0; row < side; row++) {
    const y = top + row, isRow = y >= 0 && y < height;
    for (let i = 0; i < side; i++) {
      const x = left + i, value = isRow && x >= 0 && x < width ? pixelOf(task, y * width + x) : 0;
      part[row * side + i] = value;
      if (value !== 0) any = true;
    }
  }
  return any;
}

function pixelOf({ plane, usable }: TileTask, j: number): number {
  const value = plane[j];
  if (usable === null) return value;
  if ((usable.mask[j] & usable.bits) !== 0 || value - value !== 0) return 0;
  if (usable.variance === null) return value;
  return usable.variance[j] > 0 ? value / usable.variance[j] : 0;
}

function multiply(a: Complex, b: Complex, out: Complex): void {
  for (let j = 0; j < out.re.length; j++) {
    const x = a.re[j], y = a.im[j], u = b.re[j], v = b.im[j];
    out.re[j] = fround(x * u) - fround(y * v);
    out.im[j] = fround(x * v) + fround(y * u);
  }
}

function storePair(
  { out, width, height }: TileTask, pair: Complex, side: number, step: number, { x0, y0 }: PairPlace,
): void {
  const first = side - step, columns = Math.min(step, width - x0);
  for (let row = 0; row < 2 * step && y0 + row < height; row++) {
    const part = row < step ? pair.re : pair.im, from = (first + (row % step)) * side + first,
      to = (y0 + row) * width + x0;
    for (let i = 0; i < columns; i++) out[to + i] = part[from + i];
  }
}

function addPair(task: TileTask, pair: Complex, side: number, step: number, { x0, y0 }: PairPlace, slot: number): void {
  const { out, width, height } = task, first = side - step, columns = Math.min(step, width - x0);
  const columnWeights = task.columnWeights.subarray(slot * width + x0);
  for (let row = 0; row < 2 * step && y0 + row < height; row++) {
    const part = row < step ? pair.re : pair.im, from = (first + (row % step)) * side + first,
      to = (y0 + row) * width + x0;
    const rowWeight = task.rowWeights[slot * height + y0 + row];
    for (let i = 0; i < columns; i++) out[to + i] += fround(fround(rowWeight * columnWeights[i]) * part[from + i]);
  }
}
