/**
 * Memory in which the compiled kernels work, for images that have no frame arena: files of any size, in batch work.
 * Planes are given out one after another; kernels take only planes of one memory together.
 */
import { KERNEL_WORK_BYTES, loadKernels } from '../kernels/kernels.ts';
import { ARENA_BYTES_MAX, createArena, paddedBytes } from './arena.ts';
import { allocateMaskedImage, type MaskedImage } from './maskedImage.ts';

/** Planes of a memory at most; what lies between them has room for so many. */
const PLANE_COUNT_MAX = 64;

/** Planes come with any contents. */
export type PlaneMemory = Readonly<{
  /** Bytes of pixels that it has room for. */
  capacityBytes: number;
  float32(length: number): Float32Array;
  int32(length: number): Int32Array;
  uint8(length: number): Uint8Array;
  maskedImage(width: number, height: number): MaskedImage;
  copyOf(planes: MaskedImage): MaskedImage;
  /** Takes all planes back: what is given out next overwrites them. */
  reset(): void;
}>;

/**
 * Room for `capacityBytes` of pixels. What exceeds the 4 GB that the kernels can address gets memory of its own, plane
 * by plane, where the kernels' twins give the same bits in more time.
 */
export function createPlaneMemory(capacityBytes: number): PlaneMemory {
  const start = paddedBytes(KERNEL_WORK_BYTES), bytes = start + capacityBytes + PLANE_COUNT_MAX * paddedBytes(0);
  if (bytes > ARENA_BYTES_MAX) return ownMemory(capacityBytes);
  const memory = createArena({ bytes }), { buffer } = memory;
  loadKernels(memory, 0);
  let used = start;
  const take = (length: number): number => {
    const offset = used;
    used += paddedBytes(length);
    if (used > buffer.byteLength) throw new Error(`planes exceed the ${capacityBytes} bytes that were announced`);
    return offset;
  };
  const float32 = (length: number) => new Float32Array(buffer, take(4 * length), length);
  const maskedImage = (width: number, height: number): MaskedImage => {
    const length = width * height;
    return {
      width, height, image: float32(length), variance: float32(length),
      mask: new Uint16Array(buffer, take(2 * length), length),
    };
  };
  return {
    capacityBytes, float32, maskedImage,
    int32: (length) => new Int32Array(buffer, take(4 * length), length),
    uint8: (length) => new Uint8Array(buffer, take(length), length),
    copyOf: (planes) => copied(planes, maskedImage(planes.width, planes.height)),
    reset: () => { used = start; },
  };
}

function ownMemory(capacityBytes: number): PlaneMemory {
  return {
    capacityBytes, float32: (length) => new Float32Array(length), int32: (length) => new Int32Array(length),
    uint8: (length) => new Uint8Array(length), maskedImage: allocateMaskedImage,
    copyOf: (planes) => copied(planes, allocateMaskedImage(planes.width, planes.height)), reset: () => undefined,
  };
}

function copied(from: MaskedImage, to: MaskedImage): MaskedImage {
  to.image.set(from.image);
  to.variance.set(from.variance);
  to.mask.set(from.mask);
  return to;
}

let ofThread: PlaneMemory | null = null;

/**
 * The memory that this thread keeps for work whose planes nobody needs when the next begins: with room for
 * `capacityBytes`, and with all planes taken back.
 */
export function threadPlaneMemory(capacityBytes: number): PlaneMemory {
  if (ofThread === null || ofThread.capacityBytes < capacityBytes) ofThread = createPlaneMemory(capacityBytes);
  ofThread.reset();
  return ofThread;
}
