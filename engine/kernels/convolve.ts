/** Convolution of planes by overlap-save in Fourier tiles; two tiles that share a real kernel share one transform. */
import { passCheckpoint } from './bands.ts';
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { tileSizeOf, type PairPlace, type TilePair, type TileTask, type UsablePixels } from './tiles.ts';
import { twiddlesOf } from './twins/fourier.ts';
import { createTilePairTwin } from './twins/tilePair.ts';

/** A kernel that varies over a plane: at a place it is the sum of the terms with the weights for it. */
export type VaryingKernel = Readonly<{
  /** [size × size] row-major each, the centre in the middle pixel. */
  terms: readonly Float32Array[];
  /** Writes the weights, [terms]. */
  weightsAt: (x: number, y: number, out: Float64Array) => void;
}>;

const NO_WEIGHTS = new Float32Array(0);

/**
 * Convolves a plane with a kernel that is constant in cells of about a hundred pixels.
 *
 * out(x) = Σ_d kernel(d) · plane(x − d); outside the plane is zero. In single precision: the error of a pixel is some
 * 2e-7 of √(Σ kernel² × Σ plane²) over the tile, so a source of 10⁶ in a PSF of 4.7 px leaves 0.003 around it.
 *
 * @param plane [height × width], finite. Read only.
 * @param size  Side of the kernel, odd, ≤ 101.
 * @param out   [height × width], overwritten; must not be `plane`.
 * @param usable Which pixels are used, where not all are; then the others need not be finite. Read only.
 * @param cellPairs Cells along x that share a kernel: that of their middle.
 */
export function convolveByCell(
  plane: Float32Array, width: number, height: number, size: number, kernel: VaryingKernel, out: Float32Array,
  usable: UsablePixels | null = null, cellPairs = 1,
): void {
  const task = { plane, usable, out, width, height, kernelSize: size, slotCount: 1, terms: kernel.terms,
    columnWeights: NO_WEIGHTS, rowWeights: NO_WEIGHTS };
  const pair = createTilePair(task), { step } = tileSizeOf(size), weights = new Float64Array(kernel.terms.length);
  const span = step * cellPairs;
  let xOfKernel = -1, yOfKernel = -1;
  forPairs(task, (place) => {
    if (!pair.load(place)) { clearPair(task, place); return; }
    const x = Math.min(place.x0 - (place.x0 % span) + span / 2, width - 1), y = Math.min(place.y0 + step, height - 1);
    if (x !== xOfKernel || y !== yOfKernel) {
      kernel.weightsAt(x, y, weights);
      pair.setCombination(0, weights);
      xOfKernel = x;
      yOfKernel = y;
    }
    pair.filterAndStore(0, place);
  });
}

/** Convolves a plane with one kernel everywhere; otherwise as `convolveByCell`. */
export function convolveConstant(
  plane: Float32Array, width: number, height: number, size: number, kernel: Float32Array, out: Float32Array,
  usable: UsablePixels | null = null,
): void {
  const task = { plane, usable, out, width, height, kernelSize: size, slotCount: 1, terms: [],
    columnWeights: NO_WEIGHTS, rowWeights: NO_WEIGHTS };
  const pair = createTilePair(task);
  pair.setKernel(0, kernel);
  forPairs(task, (place) => {
    if (pair.load(place)) pair.filterAndStore(0, place);
    else clearPair(task, place);
  });
}

/**
 * Convolves a plane with a kernel that varies as a polynomial over the plane:
 * out(x) = Σ_s u^a v^b (kernels[s] ⊗ plane)(x), u = 2x/(width − 1) − 1, v alike, at the pixel that is written.
 *
 * @param kernels One a term, [size × size] each.
 * @param degrees [a, b] of each term; those of the first are 0.
 */
export function convolvePolynomial(
  plane: Float32Array, width: number, height: number, size: number, kernels: readonly Float32Array[],
  degrees: readonly (readonly [number, number])[], out: Float32Array,
): void {
  if (kernels.length !== degrees.length || degrees[0][0] !== 0 || degrees[0][1] !== 0) {
    throw new Error(`${kernels.length} kernels for ${degrees.length} terms, of which the first has to be constant`);
  }
  if (kernels.length === 1) { convolveConstant(plane, width, height, size, kernels[0], out); return; }
  const task = {
    plane, usable: null, out, width, height, kernelSize: size, slotCount: kernels.length, terms: [],
    columnWeights: powersOf(degrees.map(([a]) => a), width), rowWeights: powersOf(degrees.map(([, b]) => b), height),
  };
  const pair = createTilePair(task);
  kernels.forEach((kernel, slot) => { pair.setKernel(slot, kernel); });
  forPairs(task, (place) => {
    if (!pair.load(place)) { clearPair(task, place); return; }
    pair.transform();
    pair.multiplyAndStore(0, place);
    for (let slot = 1; slot < kernels.length; slot++) pair.multiplyAndAdd(slot, place);
  });
}

/** [degrees × length]: powers of 2i/(length − 1) − 1. */
function powersOf(degrees: readonly number[], length: number): Float32Array {
  const powers = new Float32Array(degrees.length * length);
  degrees.forEach((degree, slot) => {
    for (let i = 0; i < length; i++) {
      const u = length === 1 ? 0 : (2 * i) / (length - 1) - 1;
      let power = 1;
      for (let k = 0; k < degree; k++) power *= u;
      powers[slot * length + i] = power;
    }
  });
  return powers;
}

/** Visits pairs of tiles, one above the other. */
function forPairs({ plane, width, height, kernelSize }: TileTask, visit: (place: PairPlace) => void): void {
  const { step } = tileSizeOf(kernelSize);
  for (let y0 = 0; y0 < height; y0 += 2 * step) {
    passCheckpoint(plane);
    for (let x0 = 0; x0 < width; x0 += step) visit({ x0, y0 });
  }
}

function clearPair({ out, width, height, kernelSize }: TileTask, { x0, y0 }: PairPlace): void {
  const { step } = tileSizeOf(kernelSize), x1 = Math.min(x0 + step, width), y1 = Math.min(y0 + 2 * step, height);
  for (let y = y0; y < y1; y++) out.fill(0, y * width + x0, y * width + x1);
}

function createTilePair(task: TileTask): TilePair {
  const kernels = kernelsOf(task.plane, task.out);
  return (kernels === null ? null : createCompiledPair(kernels, task)) ?? createTilePairTwin(task);
}

/** Null when the work area has no room for so many spectra. */
function createCompiledPair(kernels: Kernels, task: TileTask): TilePair | null {
  const { width, height, kernelSize } = task, { side, step } = tileSizeOf(kernelSize), { compiled, memory } = kernels;
  const tileBytes = side * (side + 16) * 4;
  const work = layOutWork(kernels, {
    twiddles: 2 * side * 4, strip: (side >> 3) * (side * 64 + 64), kernelAt: kernelSize ** 2 * 4,
    terms: task.terms.length * kernelSize ** 2 * 4, weights: task.terms.length * 8,
    columns: task.columnWeights.byteLength, rows: task.rowWeights.byteLength,
    re: tileBytes, im: tileBytes, productRe: tileBytes, productIm: tileBytes, spectra: task.slotCount * 2 * tileBytes,
  });
  if (work === null) return null;
  const { twiddles, strip, kernelAt, terms, weights, columns, rows, re, im, productRe, productIm, spectra } = work;
  const floatsAt = (offset: number, values: Float32Array): void => {
    new Float32Array(memory.buffer, offset, values.length).set(values);
  };
  floatsAt(twiddles, twiddlesOf(side));
  task.terms.forEach((kernel, k) => { floatsAt(terms + 4 * k * kernelSize ** 2, kernel); });
  floatsAt(columns, task.columnWeights);
  floatsAt(rows, task.rowWeights);
  const { usable } = task, mask = usable === null ? 0 : pointerTo(kernels, usable.mask), bits = usable?.bits ?? 0;
  const variance = usable === null || usable.variance === null ? 0 : pointerTo(kernels, usable.variance);
  const plane = pointerTo(kernels, task.plane), out = pointerTo(kernels, task.out),
    shift = ((kernelSize - 1) >> 1) - (side - step);
  const reOf = (slot: number): number => spectra + 2 * slot * tileBytes,
    imOf = (slot: number): number => reOf(slot) + tileBytes;
  const requireWork = (): void => {
    if (!holdsWork(kernels, work)) throw new Error('another kernel ran while a plane was being convolved');
  };
  const spectrumOf = (slot: number): void => {
    compiled.kernelSpectrum(kernelAt, kernelSize, 1 / (side * side), side, reOf(slot), imOf(slot), strip, twiddles);
  };
  return {
    load({ x0, y0 }) {
      requireWork();
      const top = y0 + shift;
      return compiled.loadPair(
        plane, mask, bits, variance, width, height, x0 + shift, top, top + step, side, re, im, strip, twiddles,
      ) !== 0;
    },
    setKernel(slot, kernel) {
      requireWork();
      floatsAt(kernelAt, kernel);
      spectrumOf(slot);
    },
    setCombination(slot, weightOf) {
      requireWork();
      new Float64Array(memory.buffer, weights, weightOf.length).set(weightOf);
      compiled.combineKernels(terms, weightOf.length, weights, kernelSize ** 2, kernelAt);
      spectrumOf(slot);
    },
    transform() { compiled.transformTile(re, im, side, twiddles); },
    filterAndStore(slot, { x0, y0 }) {
      compiled.filterTile(re, im, reOf(slot), imOf(slot), side, twiddles);
      compiled.storePair(re, im, side, step, out, width, height, x0, y0, y0 + step, strip, twiddles);
    },
    multiplyAndStore(slot, { x0, y0 }) {
      compiled.multiplyTile(re, im, reOf(slot), imOf(slot), productRe, productIm, side, twiddles);
      compiled.storePair(productRe, productIm, side, step, out, width, height, x0, y0, y0 + step, strip, twiddles);
    },
    multiplyAndAdd(slot, { x0, y0 }) {
      compiled.multiplyTile(re, im, reOf(slot), imOf(slot), productRe, productIm, side, twiddles);
      compiled.addPair(
        productRe, productIm, side, step, out, width, height, x0, y0, y0 + step,
        columns + slot * width * 4, rows + slot * height * 4, strip, twiddles,
      );
    },
  };
}
