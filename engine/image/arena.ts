/**
 * Frame arena: the one shared memory in which a detector's pixels live while it is worked on.
 *
 * The planner alone gives out offsets. A plan is plain data; with the memory itself it is all that a worker needs to
 * see the same bytes. An arena whose worker had to be killed is dropped whole, so that no wild write reaches another
 * detector.
 */
import { KERNEL_WORK_BYTES } from '../kernels/kernels.ts';
import type { MaskedImage } from './maskedImage.ts';

/** Cache line, and more than any vector register needs. */
const ALIGNMENT_BYTES = 64;
/**
 * Space after each plane: planes of 4 kB multiples would else meet at the same places of the first-level cache, where a
 * store to one hinders loads from all others.
 */
const STAGGER_BYTES = 192;
const WASM_PAGE_BYTES = 65536;
/** What 32-bit WebAssembly can address. */
export const ARENA_BYTES_MAX = 4 * 1024 ** 3;

/**
 * A shared `WebAssembly.Memory`; it passes to other threads by message. Declared here, as TypeScript keeps its types
 * in the DOM library.
 */
export type ArenaMemory = Readonly<{ buffer: SharedArrayBuffer }>;
type MemorySize = { initial: number; maximum: number; shared: true };
declare const WebAssembly: Readonly<{ Memory: new (size: MemorySize) => ArenaMemory }>;

type Grid = 'raw' | 'detector' | 'template' | 'work';
type Element = 'uint8' | 'uint16' | 'int32' | 'float32';
const ELEMENT_BYTES: Readonly<Record<Element, number>> = { uint8: 1, uint16: 2, int32: 4, float32: 4 };

/** Every plane: whose grid it is on and what it holds. Order is order in memory. */
const PLANES = {
  /** Work area of the compiled kernels. */
  kernelWork: ['work', 'uint8'],
  /** All amps' readouts one after another, ADU. */
  raw: ['raw', 'uint16'],
  bias: ['detector', 'float32'], flat: ['detector', 'float32'],
  dark: ['detector', 'float32'], fringe: ['detector', 'float32'],
  visitImage: ['detector', 'float32'], visitVariance: ['detector', 'float32'], visitMask: ['detector', 'uint16'],
  templateImage: ['template', 'float32'], templateVariance: ['template', 'float32'],
  templateMask: ['template', 'uint16'],
  warpedImage: ['detector', 'float32'], warpedVariance: ['detector', 'float32'], warpedMask: ['detector', 'uint16'],
  convolvedImage: ['detector', 'float32'], convolvedVariance: ['detector', 'float32'],
  convolvedMask: ['detector', 'uint16'],
  scratchA: ['detector', 'float32'], scratchB: ['detector', 'float32'],
  labels: ['detector', 'int32'], unusable: ['detector', 'uint8'],
} as const satisfies Readonly<Record<string, readonly [Grid, Element]>>;

export type PlaneName = keyof typeof PLANES;

export type ArenaPlan = Readonly<{
  width: number; height: number; templateWidth: number; templateHeight: number; rawPixels: number;
  /** Byte offset and number of elements of each plane. */
  planes: Readonly<Record<PlaneName, Readonly<{ offset: number; length: number }>>>;
  /** Size of the memory, a whole number of WebAssembly pages. */
  bytes: number;
}>;

/** Views on one arena; planes as the stages take them. */
export type ArenaViews = Readonly<{
  raw: Uint16Array; bias: Float32Array; flat: Float32Array; dark: Float32Array; fringe: Float32Array;
  visit: MaskedImage; template: MaskedImage; warpedTemplate: MaskedImage; convolved: MaskedImage;
  scratch: readonly [Float32Array, Float32Array]; labels: Int32Array; unusable: Uint8Array;
}>;

/**
 * Lays out the planes of a detector. All sizes in pixels.
 *
 * @param rawPixels Pixels of all amps, overscan included: `rawPixelCount`.
 * @throws Error when a size is not a positive integer, or the whole exceeds 4 GB (4k × 4k takes 1.3 GB).
 */
export function planArena(
  width: number, height: number, templateWidth: number, templateHeight: number, rawPixels: number,
): ArenaPlan {
  for (const size of [width, height, templateWidth, templateHeight, rawPixels]) {
    if (!Number.isInteger(size) || size <= 0) throw new Error(`an arena cannot hold a plane of size ${size}`);
  }
  const lengths: Readonly<Record<Grid, number>> = {
    raw: rawPixels, detector: width * height, template: templateWidth * templateHeight,
    work: KERNEL_WORK_BYTES,
  };
  let offset = 0;
  const planes = Object.fromEntries(Object.entries(PLANES).map(([name, [grid, element]]) => {
    const plane = { offset, length: lengths[grid] };
    offset += paddedBytes(plane.length * ELEMENT_BYTES[element]);
    return [name, plane];
  })) as ArenaPlan['planes']; // Made from the same keys.
  const bytes = Math.ceil(offset / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
  if (bytes > ARENA_BYTES_MAX) throw new Error(`an arena of ${bytes} bytes exceeds WebAssembly's 4 GB`);
  return { width, height, templateWidth, templateHeight, rawPixels, planes, bytes };
}

/** From one plane to the next. */
export function paddedBytes(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES + STAGGER_BYTES;
}

/** Shared memory of at least the plan's size, all zero. It cannot grow, so that views on it stay valid. */
export function createArena({ bytes }: Readonly<{ bytes: number }>): ArenaMemory {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/**
 * Typed arrays on an arena; nothing is copied. Any thread that holds the memory may make them.
 *
 * @throws Error when the memory is smaller than the plan.
 */
export function arenaViews(memory: ArenaMemory, plan: ArenaPlan): ArenaViews {
  const buffer = memory.buffer, { width, height, planes } = plan, size = { width, height };
  if (buffer.byteLength < plan.bytes) {
    throw new Error(`memory of ${buffer.byteLength} bytes is smaller than the plan's ${plan.bytes}`);
  }
  const float = (name: PlaneName) => new Float32Array(buffer, planes[name].offset, planes[name].length);
  const bits = (name: PlaneName) => new Uint16Array(buffer, planes[name].offset, planes[name].length);
  return {
    raw: bits('raw'), bias: float('bias'), flat: float('flat'), dark: float('dark'),
    fringe: float('fringe'),
    visit: { ...size, image: float('visitImage'), variance: float('visitVariance'), mask: bits('visitMask') },
    template: {
      width: plan.templateWidth, height: plan.templateHeight,
      image: float('templateImage'), variance: float('templateVariance'), mask: bits('templateMask'),
    },
    warpedTemplate: {
      ...size, image: float('warpedImage'), variance: float('warpedVariance'), mask: bits('warpedMask'),
    },
    convolved: {
      ...size, image: float('convolvedImage'), variance: float('convolvedVariance'), mask: bits('convolvedMask'),
    },
    scratch: [float('scratchA'), float('scratchB')],
    labels: new Int32Array(buffer, planes.labels.offset, planes.labels.length),
    unusable: new Uint8Array(buffer, planes.unusable.offset, planes.unusable.length),
  };
}
