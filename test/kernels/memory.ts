/** A small frame arena for kernel tests: planes in shared memory, with the compiled kernels working on it. */
import { buildKernels } from '../../engine/kernels/build.mjs';
import { KERNEL_WORK_BYTES, loadKernels, type KernelMemory, type Kernels } from '../../engine/kernels/kernels.ts';

declare const WebAssembly: Readonly<{ Memory: new (size: { initial: number; maximum: number; shared: true }) =>
  KernelMemory }>;

export type TestArena = Readonly<{
  kernels: Kernels; memory: KernelMemory;
  /** Copies of the values in shared memory; each starts `skew` elements after a multiple of 64 bytes. */
  floats(values: Float32Array, skew?: number): Float32Array;
  words(values: Uint16Array, skew?: number): Uint16Array;
  ints(values: Int32Array): Int32Array;
  longs(values: Uint32Array): Uint32Array;
  bytes(values: Uint8Array, skew?: number): Uint8Array;
  /** Gives back all planes; their bytes stay. */
  reset(): void;
}>;

/** Compiles the kernels when they are not, and makes an arena of `planeBytes`. */
export async function testArena(planeBytes: number): Promise<TestArena> {
  await buildKernels();
  const pages = Math.ceil((planeBytes + KERNEL_WORK_BYTES) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const kernels = loadKernels(memory, 0);
  let used = KERNEL_WORK_BYTES;
  const take = (bytes: number, skew: number): number => {
    const offset = used + skew;
    used += Math.ceil((bytes + skew) / 64) * 64;
    if (used > memory.buffer.byteLength) throw new Error('the test arena is full');
    return offset;
  };
  const placed = <T extends { set(values: T): void }>(view: T, values: T): T => { view.set(values); return view; };
  return {
    kernels, memory,
    floats: (values, skew = 0) => placed(
    new Float32Array(memory.buffer, take(values.byteLength, 4 * skew), values.length), values),
    words: (values, skew = 0) => placed(
    new Uint16Array(memory.buffer, take(values.byteLength, 2 * skew), values.length), values),
    ints: (values) => placed(new Int32Array(memory.buffer, take(values.byteLength, 0), values.length), values),
    longs: (values) => placed(new Uint32Array(memory.buffer, take(values.byteLength, 0), values.length), values),
    bytes: (values, skew = 0) => placed(new Uint8Array(memory.buffer, take(values.byteLength, skew), values.length),
    values),
    reset: () => { used = KERNEL_WORK_BYTES; },
  };
}
