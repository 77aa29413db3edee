/**
 * What the bench of pixel kernels works on: a sky of 5,000 sources on a 4k detector, or as many for its size, with
 * noise and masks.
 */
import { scalePlane, subtractPolynomial } from '../engine/kernels/arithmetic.ts';
import { createClippedCells } from '../engine/kernels/background.ts';
import { clipCells } from '../engine/kernels/cells.ts';
import { convolveByCell, convolvePolynomial } from '../engine/kernels/convolve.ts';
import { decodeFloat32, decodeUnsigned16 } from '../engine/kernels/decode.ts';
import { differenceVariance, listAbove } from '../engine/kernels/difference.ts';
import { finishSignature } from '../engine/kernels/finish.ts';
import { listSharp } from '../engine/kernels/list.ts';
import { blankMasked, flagAbove, keepBits, listBright, slopeSums, subtractMatched } from '../engine/kernels/match.ts';
import { overscanMedians } from '../engine/kernels/overscan.ts';
import { removeSignature, type SignatureAmp } from '../engine/kernels/signature.ts';
import { fillVariance } from '../engine/kernels/variance.ts';
import { findFootprints, type Footprints } from '../engine/kernels/footprints.ts';
import { listRunRegions } from '../engine/kernels/label.ts';
import { normalizeByNoise, smoothSeparable } from '../engine/kernels/smooth.ts';
import { smoothSources } from '../engine/kernels/sources.ts';
import { markBlank, markNear } from '../engine/kernels/near.ts';
import { createStampEquations } from '../engine/kernels/stamps.ts';
import { createWarp } from '../engine/kernels/warp.ts';

/** Planes of the bench, in shared memory or not. */
export type Scene = Readonly<{
  side: number;
  floats(length: number): Float32Array; doubles(length: number): Float64Array; ints(length: number): Int32Array;
  words(length: number): Uint16Array; bytes(length: number): Uint8Array;
}>;

export type KernelCase = Readonly<{
  name: string;
  prepare(scene: Scene): Readonly<{ run: () => void; result: () =>
    readonly (Float32Array | Float64Array | Int32Array | Uint16Array | Uint8Array)[] }>;
}>;

const SIGMA_PX = 1.9, NOISE = 30;

function decodeCounts(scene: Scene): ReturnType<KernelCase['prepare']> {
  const bytes = storedBytes(2 * scene.side ** 2), out = scene.words(scene.side ** 2);
  return { run: () => { decodeUnsigned16(bytes, out); }, result: () => [out] };
}

function decodeFloats(scene: Scene): ReturnType<KernelCase['prepare']> {
  const bytes = storedBytes(4 * scene.side ** 2), out = scene.floats(scene.side ** 2);
  return { run: () => { decodeFloat32(bytes, out); }, result: () => [out] };
}

function smooth(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), mask = maskOf(scene), out = scene.floats(side * side),
    taps = gaussian(1.9, 10);
  return { run: () => { smoothSeparable(image, mask, 0x0101, side, side, taps, out); }, result: () => [out] };
}

/** A kernel that changes along x by a third, as PSFs do. */
function convolveCells(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), out = scene.floats(side * side);
  const terms = [1.7, 2.1].map((sigma) => {
    const taps = gaussian(sigma, 15);
    return Float32Array.from({ length: 31 * 31 }, (_, j) => taps[j % 31] * taps[Math.floor(j / 31)]);
  });
  const run = (): void => {
    convolveByCell(image, side, side, 31, {
      terms, weightsAt: (x, _, weights) => { weights.set([1 - x / side, x / side]); },
    }, out);
  };
  return { run, result: () => [out] };
}

function convolveOrder2(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), out = scene.floats(side * side);
  const kernels = Array.from({ length: 6 }, (_, s) => {
    const taps = gaussian(1.2 + 0.2 * s, 15);
    return Float32Array.from({ length: 31 * 31 },
      (_, j) => taps[j % 31] * taps[Math.floor(j / 31)] * (s === 0 ? 1 : 0.1));
  });
  const degrees = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]] as const;
  return { run: () => { convolvePolynomial(image, side, side, 31, kernels, degrees, out); }, result: () => [out] };
}

/** Rotated by 0.3°, as pointings differ; cells of 64². */
function warp(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, n = side * side;
  const from = { width: side, height: side, image: skyOf(scene), variance: scene.floats(n).fill(900),
    mask: maskOf(scene) };
  const out = { width: side, height: side, image: scene.floats(n), variance: scene.floats(n), mask: scene.words(n) };
  const taps = Float64Array.from({ length: 1025 * 8 }, (_, i) => {
    const d = (i % 8) - 3 - Math.floor(i / 8) / 1024, x = Math.PI * d;
    return Math.abs(d) >= 4 ? 0 : d === 0 ? 1 : (Math.sin(x) * Math.sin(x / 4)) / (x * x / 4);
  });
  const bits = { noData: 256, carried: 1 | 16384, moved: [[2, 512], [4096, 8192]] } as const;
  const warpCells = createWarp({ from, out, taps, halfWidth: 4, phases: 1024, bits });
  const c = Math.cos(0.005), s = Math.sin(0.005);
  const run = (): void => {
    for (let y = 0; y < side; y += 64) {
      warpCells(Array.from({ length: Math.ceil(side / 64) }, (_, i) => (
        { tx: c * 64 * i - s * y + 2.3, ty: s * 64 * i + c * y - 1.7, xx: c, xy: -s, yx: s, yy: c })),
      64, y, Math.min(y + 64, side));
    }
  };
  return { run, result: () => [out.image, out.variance, out.mask] };
}

/** 250 stamps of 31² with 28 basis functions of 31², the difference stage's. */
function stamps(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), half = 15, count = 250, n = 29, random = randomOf(5);
  const profiles: Float64Array[] = [], functions: { x: number; y: number; scale: number; isEven: boolean }[] = [];
  [[0.8, 4], [1.6, 2], [3.2, 2], [5, 0]].forEach(([sigma, degree]) => {
    const first = profiles.length;
    for (let i = 0; i <= degree; i++) {
      profiles.push(Float64Array.from(
        { length: 31 }, (_, k) => ((k - half) / sigma) ** i * Math.exp(-0.5 * ((k - half) / sigma) ** 2)));
      for (let j = 0; i + j <= degree; j++) functions.push(
        { x: first + i, y: first + j, scale: 0.1, isEven: i % 2 === 0 && j % 2 === 0 });
    }
  });
  const places = Array.from({ length: count },
    () => [31 + Math.floor(random() * (side - 62)), 31 + Math.floor(random() * (side - 62))]);
  const weights = new Float64Array(31 * 31).fill(1 / 900),
    data = Float64Array.from({ length: 31 * 31 }, () => 1000 * random());
  const matrices = scene.doubles(count * n * n), rights = scene.doubles(count * n);
  const run = (): void => {
    const equations = createStampEquations(
      { basis: { halfSize: half, profiles, functions }, image, width: side, stampHalf: 15 });
    places.forEach(([x, y], i) => {
      equations(x, y, weights, data, matrices.subarray(i * n * n, (i + 1) * n * n),
        rights.subarray(i * n, (i + 1) * n));
    });
  };
  return { run, result: () => [matrices, rights] };
}

/** Both signs, as the detect stage asks. */
function label(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene);
  let counts = new Int32Array(0);
  const run = (): void => {
    counts = Int32Array.from(([-1, 1] as const).flatMap((sign) => (
      listRunRegions(image, side, side, sign, 5 * NOISE).map(({ pixelCount }) => pixelCount)
    )));
  };
  return { run, result: () => [counts] };
}

/** Without sky to take off, so that every run finds the same. */
function footprints(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), mask = maskOf(scene), light = scene.floats(side * side);
  const mesh = { columns: 64, rows: 64, cellWidth: side / 64, cellHeight: side / 64, cells: new Float32Array(64 * 64) };
  const task = {
    image, mask, zeroBits: 0x0101, width: side, height: side, mesh, middleTap: 0.5, sideTap: 0.25, threshold: 5 * NOISE,
    countMin: 5,
  };
  let found: Footprints | null = null;
  return {
    run: () => { found = findFootprints(task, light); },
    result: () => (found === null ? [] : [found.runs, found.light, found.tops, found.regions.boxes]),
  };
}

/** As cosmic rays are begun. */
function sharp(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, n = side * side, image = skyOf(scene), variance = scene.floats(n).fill(NOISE ** 2);
  const indices = scene.ints(n);
  const run = (): void => { listSharp(image, variance, side, side, 6, indices); };
  return { run, result: () => [indices] };
}

/** Each once, as the difference stage goes over its planes. */
function passes(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, n = side * side, image = skyOf(scene), mask = maskOf(scene),
    variance = scene.floats(n).fill(NOISE ** 2), matched = scene.floats(n), indices = scene.ints(n);
  const a = scene.floats(n), outMask = scene.words(n), size = { width: side, height: side };
  const degrees = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]] as const,
    coefficients = Float64Array.of(3, 2, 1, 0.5, 0.25, 0.125);
  const run = (): void => {
    listBright({ ...size, image, variance }, { ...size, image, variance }, 30, 5 * NOISE, 10, indices);
    subtractMatched({
      ...size, visit: { image, mask }, kept: 0xffff, noData: 256, matchedMask: mask, a: image, b: matched, factor: 1,
      coefficients, degrees, blank: 259, out: { image: a, mask: outMask },
    });
    subtractPolynomial(a, side, side, coefficients, degrees, outMask, 259);
    slopeSums({ ...size, image: a, variance, mask },
      { blank: 259, differenceSquareMax: 1e9, varianceMax: 1e9, rowStep: 8 });
    flagAbove(variance, 2 * NOISE ** 2, outMask, 32);
    blankMasked({ image: a, variance, mask: outMask }, 256);
    normalizeByNoise({ ...size, image, variance, mask: outMask }, 259, gaussian(1.9, 6), 0, a);
    scalePlane(a, 1.1);
    keepBits(outMask, 0xffdf);
  };
  return { run, result: () => [a, outMask, indices] };
}

/**
 * Two rows of eight amps, read as LSSTCam's are, each with crosstalk of seven others: what a whole exposure's fused
 * pass does, with or without the steps that a plain camera does not need.
 */
function signature(scene: Scene, isWhole: boolean): ReturnType<KernelCase['prepare']> {
  const { side } = scene, n = side * side, sky = skyOf(scene), image = scene.floats(n), mask = scene.words(n);
  const columns = side >> 3, rows = side >> 1, rawWidth = columns + 64, raw = scene.words(16 * rawWidth * rows);
  for (let j = 0; j < raw.length; j++) raw[j] = Math.min(65535, 2000 + sky[j % n]);
  const plane = (value: number) => scene.floats(n).fill(value), levels = new Float32Array(rows).fill(1000.25);
  const amps = Array.from({ length: 16 }, (_, k): SignatureAmp => ({
    pixels: raw.subarray(k * rawWidth * rows, (k + 1) * rawWidth * rows), x0: (k % 8) * columns, y0: k < 8 ? 0 : rows,
    flipX: k < 8, flipY: k >= 8, gain: 1.5, levels, columnLevels: null, polynomial: isWhole ? [1e-7, -1e-12] : [0, 0],
    table: null, serialCti: isWhole ? 2e-6 : 0, parallelCti: isWhole ? 1e-6 : 0, suspectAdu: 54_000,
    saturationAdu: 60_000, isDead: false,
    crosstalk: isWhole ? [1, 2, 3, 4, 5, 6, 7].map((d) => ({ index: (k + d) % 16, part: 2e-4 / d })) : [],
  }));
  const task = {
    amps, rawWidth, rawX0: 3, rawY0: 0, columns, rows, bias: plane(1.5), dark: isWhole ? plane(0.03) : null,
    flat: plane(0.97), darkSeconds: 30, isFinished: true, quietAdu: 0.02, saturatedBit: 2, suspectBit: 128, badBit: 1, missingBits: 257,
    limits: { biasMax: 500, darkMax: 20, responseMin: 0.5, responseMax: 1.5 },
  };
  return { run: () => { removeSignature(task, { image, mask, inverse: null, width: side }); }, result: () => [image, mask] };
}

function repulsion(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, n = side * side, sky = skyOf(scene), image = scene.floats(n), mask = scene.words(n);
  const dark = scene.floats(n).fill(0.03), flat = scene.floats(n).fill(0.97);
  const run = (): void => {
    image.set(sky);
    finishSignature({
      flowX: 6e-8, flowY: 6e-8, dark, flat, darkSeconds: 30, badBit: 1, missingBits: 257, hasMissing: false,
      limits: { biasMax: 500, darkMax: 20, responseMin: 0.5, responseMax: 1.5 },
    }, { image, mask, inverse: null, width: side, height: side });
  };
  return { run, result: () => [image, mask] };
}

function variances(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, n = side * side, image = skyOf(scene), out = scene.floats(n);
  const cells = Math.max(1, side >> 7), level = new Float32Array(cells * cells).fill(1000), size = side / cells;
  const run = (): void => {
    fillVariance({
      image, variance: out.fill(1.03), isInverse: true, width: side, height: side, brightSigma: 10, smoothSigma: 1.1,
      sky: { columns: cells, rows: cells, cellWidth: size, cellHeight: size, level },
      readNoise: [{ x0: 0, x1: side, y0: 0, y1: side, variance: 36 }], lists: null,
    });
  };
  return { run, result: () => [out] };
}

/** Overscan of 54 columns of 16 amps. */
function overscan(scene: Scene): ReturnType<KernelCase['prepare']> {
  const rows = scene.side >> 1, raw = scene.words(rows * 576), random = randomOf(9);
  for (let i = 0; i < raw.length; i++) raw[i] = 1000 + 12 * random() + 12 * random();
  const levels = new Float64Array(rows), deviations = new Float64Array(rows);
  const run = (): void => {
    for (let amp = 0; amp < 16; amp++) overscanMedians(raw, 522, 576, 54, levels, deviations);
  };
  return { run, result: () => [levels, deviations] };
}

function noise(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, n = side * side, image = skyOf(scene), a = scene.floats(n).fill(700),
    b = scene.floats(n).fill(200), out = scene.floats(n);
  const sigma = scene.floats(n).fill(NOISE), indices = scene.ints(n);
  const run = (): void => {
    differenceVariance(a, b, image, side, side, { slope: 0.7, believed: 506.25, shareMin: 0.2, scale: 1 }, out);
    listAbove(image, 0, sigma, 4, indices);
  };
  return { run, result: () => [out, indices] };
}

function cellRows(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), mask = maskOf(scene), results: number[] = [];
  const edges = Int32Array.from({ length: Math.ceil(side / 64) + 1 }, (_, c) => Math.min(64 * c, side));
  const task = { image, mask, ignoredBits: 0x0103, width: side, clipSigma: 3, rowStep: 1 };
  const run = (): void => {
    results.length = 0;
    for (let y = 0; y < side; y += 64) {
      for (const cell of clipCells(task, edges, y, Math.min(y + 64, side))) {
        results.push(cell.median, cell.mean, cell.sigma);
      }
    }
  };
  return { run, result: () => [Float64Array.from(results)] };
}

function sources(scene: Scene, bin: 1 | 2): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), mask = maskOf(scene), out = scene.floats(side * side);
  const columns = Math.ceil(side / 64), cells = columns * columns, taps = gaussian(SIGMA_PX / bin, bin === 1 ? 5 : 3);
  const noise = (NOISE / bin) * taps.reduce((sum, tap) => sum + tap * tap, 0);
  const task = {
    image, zeroBits: 0x0101, width: side, height: side, bin, y0: 0, y1: Math.ceil(side / bin), taps, markFactor: 3, peakFactor: 8, reach: 3,
    border: 6, mesh: { columns, rows: columns, cellWidth: side / columns, cellHeight: side / columns },
    level: new Float32Array(cells), noise: new Float32Array(cells).fill(noise),
  };
  let peaks = new Int32Array(0);
  return { run: () => { peaks = smoothSources(task, mask, 32, out).slice(); }, result: () => [peaks, mask, out] };
}

function background(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), mask = maskOf(scene),
    results = new Float64Array(3 * Math.ceil(side / 64) ** 2);
  const cells = createClippedCells({
    image, mask, ignoredBits: 0x0103, width: side, pixelsMax: 64 * 64, clipSigma: 3, rowStep: 1,
  });
  const run = (): void => {
    let at = 0;
    for (let y = 0; y < side; y += 64) {
      for (let x = 0; x < side; x += 64) {
        const { median, mean, sigma } = cells(
          { x0: x, x1: Math.min(x + 64, side), y0: y, y1: Math.min(y + 64, side) }, 16);
        results[at++] = median; results[at++] = mean; results[at++] = sigma;
      }
    }
  };
  return { run, result: () => [results] };
}

function near(scene: Scene): ReturnType<KernelCase['prepare']> {
  const { side } = scene, image = skyOf(scene), mask = maskOf(scene), out = scene.bytes(side * side);
  const run = (): void => {
    markNear(mask, 0x0103, side, side, 7, out);
    markBlank(mask, 0x0080, image, out);
  };
  return { run, result: () => [out] };
}

export const KERNEL_CASES: readonly KernelCase[] = [
  { name: 'decode uint16', prepare: decodeCounts },
  { name: 'decode float32', prepare: decodeFloats },
  { name: 'smooth 21 taps', prepare: smooth },
  { name: 'convolve 31² by cell', prepare: convolveCells },
  { name: 'convolve 31² of order 2', prepare: convolveOrder2 },
  { name: 'warp of 8 taps', prepare: warp },
  { name: '250 stamps × 29 vectors', prepare: stamps },
  { name: 'label both signs', prepare: label },
  { name: 'footprints: sky, 3 taps, runs', prepare: footprints },
  { name: 'sharp pixels', prepare: sharp },
  { name: 'nine passes of the difference', prepare: passes },
  { name: 'overscan', prepare: overscan },
  { name: 'signature: bias, flat', prepare: (scene) => signature(scene, false) },
  { name: 'signature: all in one pass', prepare: (scene) => signature(scene, true) },
  { name: 'repulsion, dark, flat', prepare: repulsion },
  { name: 'expected variance', prepare: variances },
  { name: 'variance and list', prepare: noise },
  { name: 'clipped cells', prepare: background },
  { name: 'rows of clipped cells', prepare: cellRows },
  { name: 'smooth, mark, list peaks', prepare: (scene) => sources(scene, 1) },
  { name: 'sources on means of 2 × 2', prepare: (scene) => sources(scene, 2) },
  { name: 'near masked pixels', prepare: near },
];

/** xorshift32 in [0, 1); a bench needs no better. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

/** Bytes as a file gives them: outside the arena. */
function storedBytes(length: number): Uint8Array {
  const random = randomOf(31);
  return Uint8Array.from({ length }, () => 256 * random());
}

function gaussian(sigma: number, half: number): Float64Array {
  const taps = Float64Array.from({ length: 2 * half + 1 }, (_, i) => Math.exp(-0.5 * ((i - half) / sigma) ** 2));
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

/** Noise and Gaussian sources, one on every 3,400 pixels, of peaks from 150 to 15,000 times a power law. */
function skyOf(scene: Scene): Float32Array {
  const { side } = scene, image = scene.floats(side * side), random = randomOf(20261120);
  for (let i = 0; i < image.length; i++) image[i] = NOISE * 1.4 * (random() + random() + random() + random() - 2);
  for (let n = Math.floor(image.length / 3400); n > 0; n--) {
    const x = 12 + random() * (side - 24), y = 12 + random() * (side - 24), peak = 150 / Math.max(random(), 0.01);
    for (let v = Math.ceil(y - 10); v <= y + 10; v++) {
      for (let u = Math.ceil(x - 10); u <= x + 10; u++) {
        image[v * side + u] += peak * Math.exp((-0.5 * ((u - x) ** 2 + (v - y) ** 2)) / SIGMA_PX ** 2);
      }
    }
  }
  return image;
}

/** One pixel in a thousand carries a bit. */
function maskOf(scene: Scene): Uint16Array {
  const mask = scene.words(scene.side ** 2), random = randomOf(77);
  for (let i = 0; i < mask.length; i++) mask[i] = random() < 0.001 ? 1 << Math.floor(16 * random()) : 0;
  return mask;
}
