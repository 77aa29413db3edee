/**
 * Pixel kernels: loops over planes, compiled to WebAssembly with SIMD, over the frame arena's shared memory.
 *
 * Each file beside this one exports kernels that take typed arrays. Planes that lie in a memory for which `loadKernels`
 * was called are worked on by compiled code; any other by the TypeScript twin, in `twins/`, which defines the result.
 * Both give the same bits, so which one ran is a matter of time alone.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { KERNELS_PATH, isCurrent } from './build.mjs';

/** A shared `WebAssembly.Memory`. Declared here, as TypeScript keeps its types in the DOM library. */
export type KernelMemory = Readonly<{ buffer: SharedArrayBuffer }>;
type CompiledModule = object;
declare const WebAssembly: Readonly<{
  Module: new (bytes: Uint8Array) => CompiledModule;
  Instance: new (module: CompiledModule, imports: object) => { exports: unknown };
}>;

/**
 * Memory that kernels work in, for the arena's planner to set aside: one such area for each thread that works on the
 * arena.
 */
export const KERNEL_WORK_BYTES = 8 * 1024 ** 2;
/** A cache line, which work areas begin on. */
const ALIGNMENT_BYTES = 64;

/** Exports of the module; what their arguments mean stands in `assembly/`. Pointers are byte offsets in the memory. */
export type CompiledKernels = Readonly<{
  decodeUnsigned16(from: number, to: number, count: number): void;
  decodeFloat32(from: number, to: number, count: number): void;
  encodeUnsigned16(from: number, to: number, count: number): void;
  decodeScaled16(from: number, to: number, count: number, scale: number, zero: number, blank: number): void;
  decodeRiceRows(
    heap: number, places: number, rows: number, width: number, blockSize: number, flip: number, out: number,
  ): number;
  smoothSeparable(
    image: number, mask: number, zeroBits: number, width: number, height: number, y0: number, y1: number, core: number,
    line: number, taps: number, half: number, out: number, padded: number, ring: number,
  ): void;
  smoothHalved(
    plane: number, mask: number, zeroBits: number, width: number, height: number, taps: number, half: number,
    out: number, padded: number, ring: number, lines: number,
  ): void;
  normalizeHalved(
    score: number, image: number, variance: number, mask: number, zeroBits: number, width: number, height: number,
    taps: number, half: number, least: number, padded: number, ring: number, lines: number,
  ): void;
  normalizeByNoise(
    score: number, image: number, variance: number, mask: number, zeroBits: number, width: number, height: number,
    taps: number, half: number, least: number, padded: number, ring: number, lines: number,
  ): void;
  loadPair(
    plane: number, mask: number, bits: number, variance: number, width: number, height: number, x0: number, y0: number,
    yImaginary: number, side: number, re: number, im: number, strip: number, twiddles: number,
  ): number;
  kernelSpectrum(
    kernel: number, size: number, factor: number, side: number, re: number, im: number, strip: number, twiddles: number,
  ): void;
  combineKernels(kernels: number, terms: number, weights: number, count: number, out: number): void;
  transformTile(re: number, im: number, side: number, twiddles: number): void;
  filterTile(re: number, im: number, kernelRe: number, kernelIm: number, side: number, twiddles: number): void;
  multiplyTile(
    re: number, im: number, kernelRe: number, kernelIm: number, outRe: number, outIm: number, side: number,
    twiddles: number,
  ): void;
  storePair(
    re: number, im: number, side: number, step: number, out: number, width: number, height: number,
    x0: number, y0: number, yImaginary: number, strip: number, twiddles: number,
  ): void;
  addPair(
    re: number, im: number, side: number, step: number, out: number, width: number, height: number,
    x0: number, y0: number, yImaginary: number, columnWeights: number, rowWeights: number, strip: number,
    twiddles: number,
  ): void;
  warpCells(
    planes: number, width: number, height: number, outWidth: number, y0: number, y1: number, cellPx: number,
    cells: number, taps: number, phases: number, bits: number, list: number, lines: number,
  ): number;
  stampVectors(
    image: number, width: number, left: number, top: number, side: number, stride: number, half: number,
    functions: number,
    functionCount: number, profiles: number, supports: number, patch: number, scratch: number, vectors: number,
  ): void;
  addEquations(
    matrix: number, right: number, count: number, local: number, localRight: number, vectors: number, entries: number,
    factors: number, sign: number,
  ): void;
  measurePoints(task: number, places: number, count: number, isFitted: number, out: number): void;
  measureShapes(task: number, places: number, count: number, out: number): void;
  trailEquations(
    task: number, flux: number, x: number, y: number, length: number, cos: number, sin: number, steps: number,
  ): void;
  dipoleEquations(task: number, p: number): void;
  stampPixels(
    image: number, variance: number, convolved: number, unusable: number, width: number, first: number, side: number,
    share: number, errorFraction: number, sums: number, weights: number, data: number,
  ): number;
  normalEquations(
    vectors: number, weights: number, groups: number, pixels: number, plain: number, weighted: number, matrix: number,
  ): void;
  joinRuns(
    score: number, width: number, y0: number, y1: number, sign: number, threshold: number, rowStarts: number,
    runs: number, capacity: number, count: number,
  ): number;
  numberRuns(height: number, rowStarts: number, runs: number, regions: number): number;
  filterRuns(
    image: number, mask: number, zeroBits: number, width: number, height: number, y0: number, y1: number, cells: number,
    columns: number, rows: number, cellWidth: number, cellHeight: number, line: number, taps: number, threshold: number,
    padded: number, ring: number, row: number, rowStarts: number, runs: number, capacity: number, light: number,
    lightCapacity: number, state: number,
  ): number;
  countTops(
    height: number, rowStarts: number, runs: number, light: number, countMin: number, rowLights: number,
    regions: number, tops: number,
  ): number;
  addScaled(plane: number, other: number, factor: number, count: number): void;
  addScaled16(plane: number, stored: number, scale: number, zero: number, factor: number, count: number): void;
  sumEllipse(
    image: number, variance: number, mask: number, marks: number, labels: number, width: number, height: number,
    label: number, badBits: number, pixelVariance: number, x: number, y: number, cxx: number, cyy: number, cxy: number,
    reachX: number, reachY: number, radius: number, result: number,
  ): void;
  scalePlane(plane: number, factor: number, count: number): void;
  subtractRowPolynomial(plane: number, mask: number, bits: number, count: number, columns: number, row: number,
    order: number): void;
  removeSignature(task: number, first: number, end: number): number;
  restoreRows(task: number, first: number, end: number): void;
  finishRows(task: number, first: number, end: number): number;
  fillRuns(
    image: number, variance: number, mask: number, width: number, height: number, list: number, count: number,
    runMax: number, defects: number, saturated: number, filled: number, missing: number,
  ): number;
  overscanMedians(
    from: number, rawWidth: number, count: number, rows: number, step: number, values: number, out: number,
  ): void;
  listBright(
    scienceImage: number, scienceVariance: number, image: number, variance: number, width: number, height: number,
    margin: number, threshold: number, snrMin: number, indices: number, capacity: number,
  ): number;
  listPeaksOver(
    image: number, variance: number, width: number, height: number, margin: number, factor: number, indices: number,
    capacity: number,
  ): number;
  addSlopes(
    plane: number, width: number, height: number, factorX: number, factorY: number, variance: number,
  ): void;
  subtractMatched(
    visit: number, visitMask: number, matchedMask: number, a: number, b: number, factor: number, kept: number,
    blank: number, noData: number, columns: number, terms: number, width: number, height: number, out: number,
    outMask: number,
  ): void;
  blankMasked(image: number, variance: number, mask: number, bits: number, count: number): void;
  keepBits(mask: number, kept: number, count: number): void;
  flagAbove(plane: number, limit: number, mask: number, bit: number, count: number): void;
  flagNaN(plane: number, mask: number, bit: number, count: number): void;
  slopeRow(
    image: number, variance: number, mask: number, blank: number, count: number, most: number, highest: number,
    result: number,
  ): void;
  translateMask(mask: number, count: number, moves: number, moveCount: number): void;
  columnMedians(from: number, rawWidth: number, columns: number, count: number, out: number): void;
  selectSmallest(values: number, count: number, k: number): number;
  gatherColumn(
    from: number, mask: number, width: number, height: number, step: number, ignored: number, values: number,
  ): number;
  takeDistances(values: number, count: number, level: number): void;
  listMasked(mask: number, bits: number, count: number, indices: number, capacity: number): number;
  listAtLeast(plane: number, limit: number, count: number, indices: number): number;
  listSharp(
    image: number, variance: number, width: number, height: number, first: number, end: number, limit2: number,
    indices: number, capacity: number,
  ): number;
  sampleCell(
    image: number, mask: number, width: number, rows: number, rowCount: number, x0: number, x1: number, ignored: number,
    sample: number, result: number,
  ): number;
  varianceRows(task: number, first: number, end: number): void;
  differenceVariance(
    a: number, b: number, difference: number, width: number, height: number, slope: number, believed: number,
    shareMin: number,
    scale: number, out: number,
  ): void;
  clippedCell(
    image: number, mask: number, width: number, x0: number, x1: number, y0: number, y1: number, ignored: number,
    countMin: number,
    clipSigma: number, rowStep: number, sample: number, bins: number, result: number,
  ): number;
  clippedRow(
    image: number, mask: number, width: number, edges: number, columns: number, y0: number, y1: number, end: number,
    ignored: number, clipSigma: number, rowStep: number, sample: number, samples: number, starts: number,
    sums: number, numbers: number, numberBytes: number, result: number,
  ): void;
  markNear(
    mask: number, bits: number, width: number, height: number, reach: number, out: number,
  ): void;
  spreadMask(
    mask: number, width: number, height: number, first: number, end: number, bits: number, radius: number,
    reaches: number, out: number,
  ): void;
  listExtremes(
    plane: number, mask: number, width: number, height: number, ignored: number, step: number, cellPx: number,
    columns: number, rows: number, threshold: number, high: number, low: number, counts: number,
  ): void;
  voteForLines(
    x: number, y: number, weight: number, directions: number, angles: number, distances: number, half: number,
    votes: number,
  ): void;
  mostVotes(votes: number, count: number): number;
  ringNoise(
    image: number, variance: number, mask: number, width: number, ignored: number, scale: number, limit: number,
    x0: number, y0: number, x1: number, y1: number, x: number, y: number, inner2: number, outer2: number,
    window: number, result: number,
  ): void;
  ratePixels(task: number, places: number, count: number, out: number): void;
  sumLeaves(
    nodes: number, trees: number, treeCount: number, rows: number, count: number, features: number, sums: number,
  ): void;
  addExpectedLight(
    image: number, variance: number, width: number, height: number, cells: number, columns: number, rows: number,
    cellWidth: number, cellHeight: number, lines: number, bright: number, source: number, own: number, light: number,
    shareMin: number,
  ): void;
  columnHeights(
    image: number, width: number, height: number, rowStep: number, distance: number, limit: number, sums: number,
  ): void;
  inspectPixels(
    image: number, variance: number, mask: number, count: number, hasVariance: number, saturation: number,
    noData: number, unusable: number, result: number,
  ): number;
  markBlank(mask: number, bits: number, image: number, count: number, out: number): void;
  listAbove(plane: number, noise: number, count: number, factor: number, indices: number, capacity: number): number;
  measureWindow(
    image: number, mask: number, width: number, height: number, xStart: number, yStart: number, sigma: number,
    reach: number, table: number, steps: number, tolerance: number, drift: number, flagReach2: number, lines: number,
    result: number,
  ): number;
  placePsf(
    coefficients: number, terms: number, weights: number, size: number, stride: number, table: number, dx: number,
    dy: number, work: number,
  ): void;
  movePadded(size: number, stride: number, table: number, dx: number, dy: number, work: number): void;
  fitStar(
    image: number, variance: number, mask: number, width: number, height: number, skip: number, coefficients: number,
    terms: number, weights: number, size: number, stride: number, table: number, xStart: number, yStart: number,
    radius: number, light: number, work: number, result: number,
  ): number;
  subtractMesh(
    from: number, to: number, width: number, y0: number, y1: number, cells: number, columns: number, rows: number,
    cellWidth: number, cellHeight: number, line: number,
  ): void;
  smoothSources(
    image: number, mask: number, zeroBits: number, imageWidth: number, imageHeight: number, bin: number, width: number,
    height: number, y0: number, y1: number, level: number, noise: number, columns: number, rows: number,
    cellWidth: number, cellHeight: number, line: number, taps: number, half: number, out: number, padded: number,
    ring: number, markFactor: number, peakFactor: number, reach: number, border: number, bit: number, marks: number,
    row: number, indices: number, capacity: number, found: number,
  ): number;
}>;

export type PlaneView = Readonly<{ buffer: ArrayBufferLike; byteOffset: number }>;

export type Kernels = Readonly<{
  compiled: CompiledKernels;
  memory: KernelMemory;
  /** Byte offset of the work area. */
  work: number;
  /** What `layOutWork` gave out last, and what looks between two bands whether there is still time. */
  holder: { parts: object | null; checkpoint: (() => void) | null };
}>;

const loaded = new WeakMap<ArrayBufferLike, Kernels>();

/**
 * Makes the compiled kernels work on a memory, in this thread; planes elsewhere are left to the twins.
 *
 * @param memory     The frame arena; it may not grow. Calling again for the same memory and place changes nothing.
 * @param workOffset Byte offset of `KERNEL_WORK_BYTES` of it that nothing else uses, a multiple of 64.
 * @throws Error when the work area is not within the memory, or `kernels.wasm` is missing or not that of the present
 *   sources.
 */
export function loadKernels(memory: KernelMemory, workOffset: number): Kernels {
  const known = loaded.get(memory.buffer);
  if (known?.work === workOffset) return known;
  const end = workOffset + KERNEL_WORK_BYTES;
  if (!Number.isInteger(workOffset) || workOffset < 0 || workOffset % ALIGNMENT_BYTES !== 0
    || end > memory.buffer.byteLength) {
    throw new Error(`a work area at ${workOffset} does not fit a memory of ${memory.buffer.byteLength} bytes`);
  }
  const { exports } = new WebAssembly.Instance(compiledModule(), { env: { memory } });
  // As `assembly/index.ts` says.
  const kernels: Kernels = {
    compiled: exports as CompiledKernels, memory, work: workOffset, holder: { parts: null, checkpoint: null },
  };
  loaded.set(memory.buffer, kernels);
  return kernels;
}

let moduleOfThread: CompiledModule | null = null, isCompiledOnUse = false;

/**
 * Has each kernel compiled when it is first called, and not all of them at once, in this process: for a command that
 * runs once and needs half of them. Before the first `loadKernels`.
 */
export function compileKernelsOnUse(): void {
  isCompiledOnUse = true;
}

function compiledModule(): CompiledModule {
  if (moduleOfThread !== null) return moduleOfThread;
  const bytes = kernelBytes();
  // WebAssembly is not replaced while it runs: a plane that begins in the quick compiler's code would end in it, at a
  // quarter of the speed. So everything is compiled by the optimizing compiler, and now.
  setFlagsFromString('--no-liftoff');
  if (isCompiledOnUse) {
    setFlagsFromString('--wasm-lazy-compilation');
    moduleOfThread = new WebAssembly.Module(bytes);
    return moduleOfThread;
  }
  setFlagsFromString('--no-wasm-lazy-compilation');
  try {
    moduleOfThread = new WebAssembly.Module(bytes);
  } finally {
    setFlagsFromString('--liftoff');
    setFlagsFromString('--wasm-lazy-compilation');
  }
  return moduleOfThread;
}

function kernelBytes(): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(KERNELS_PATH);
  } catch (cause) {
    throw new Error('the pixel kernels are not compiled: npm run build:kernels', { cause });
  }
  if (!isCurrent(bytes)) throw new Error('the pixel kernels are older than their sources: npm run build:kernels');
  return bytes;
}

/** SHA-256 of the compiled kernels, one of the things that decide a result. @throws Error as `loadKernels`. */
export function kernelsDigest(): string {
  return createHash('sha256').update(kernelBytes()).digest('hex');
}

/**
 * The compiled kernels for planes of one memory; null when none of the planes is in a memory that has any.
 *
 * @throws Error when some planes are in such a memory and others are not.
 */
export function kernelsOf(...planes: readonly PlaneView[]): Kernels | null {
  const first = loaded.get(planes[0].buffer) ?? null;
  for (let i = 1; i < planes.length; i++) {
    if ((loaded.get(planes[i].buffer) ?? null) !== first) throw new Error(
      'planes of one kernel lie in different memories');
  }
  return first;
}

/** Byte offset of a view in the kernels' memory. @throws Error when it is of another memory. */
export function pointerTo(kernels: Kernels, view: PlaneView): number {
  if (view.buffer !== kernels.memory.buffer) throw new Error('a view is not on the memory of these kernels');
  return view.byteOffset;
}

/** Parts of the work area by name: byte offsets, each on a cache line of its own. */
export type WorkParts<Name extends string> = Readonly<Record<Name, number>>;

/**
 * Gives out the work area anew; whoever had it before has lost it. Contents are what the last kernel left.
 *
 * @param bytes Size of each part.
 * @returns Null when they do not fit.
 */
export function layOutWork<Name extends string>(
  kernels: Kernels, bytes: Readonly<Record<Name, number>>): WorkParts<Name> | null {
  let used = 0;
  const entries = Object.entries<number>(bytes).map(([name, size]) => {
    const start = used;
    used += Math.ceil(size / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return [name, kernels.work + start] as const;
  });
  if (used > KERNEL_WORK_BYTES) return null;
  const parts = Object.fromEntries(entries) as WorkParts<Name>; // Made from the same keys.
  kernels.holder.parts = parts;
  return parts;
}

/** Whether no other kernel has been given the work area since these parts were. */
export function holdsWork(kernels: Kernels, parts: object): boolean {
  return kernels.holder.parts === parts;
}
