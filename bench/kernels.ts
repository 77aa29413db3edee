/**
 * How much CPU time does each pixel kernel take on a whole detector, and its TypeScript twin? Seeded planes in one
 * shared memory. The digest covers every kernel's result, which the twins' must equal.
 *
 *     node bench/kernels.ts [--side N] [--runs N] [--only NAME] [--without-twins] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { buildKernels } from '../engine/kernels/build.mjs';
import { KERNEL_WORK_BYTES, loadKernels, type KernelMemory } from '../engine/kernels/kernels.ts';
import { benchResult, measureCpuMs, reportResult, spreadOf, type Spread } from './harness.ts';
import { KERNEL_CASES, type Scene } from './kernelScene.ts';

declare const WebAssembly: Readonly<{ Memory: new (size: { initial: number; maximum: number; shared: true }) =>
  KernelMemory }>;

const { values } = parseArgs({ options: {
  side: { type: 'string', default: '1024' }, runs: { type: 'string', default: '5' }, only: { type: 'string' },
  'without-twins': { type: 'boolean', default: false }, json: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
} });
const side = Number(values.side), runs = Number(values.runs);
await buildKernels();
const figures: Record<string, Spread> = {}, digest = createHash('sha256');
for (const { name, prepare } of KERNEL_CASES) {
  if (values.only !== undefined && !name.includes(values.only)) continue;
  const compiled = prepare(sharedScene(side));
  figures[`${name}, ms`] = spreadOf(measureCpuMs(runs, 2, compiled.run).cpuMs);
  const compiledDigest = digestOf(compiled.result());
  digest.update(name).update(compiledDigest);
  if (values['without-twins']) continue;
  // The same call on planes outside the memory runs the twin.
  const twin = prepare(ownScene(side));
  figures[`${name}: twin, ms`] = spreadOf(measureCpuMs(Math.min(runs, 2), 1, twin.run).cpuMs);
  if (digestOf(twin.result()) !== compiledDigest) throw new Error(`${name}: the kernel's result is not its twin's`);
}
reportResult(benchResult({
  bench: `kernels${side}`, question: 'CPU milliseconds of each pixel kernel on one detector, beside its twin',
    size: { side },
  figures, checksum: digest.digest('hex').slice(0, 16),
}), { json: values.json, keep: values.keep });

function digestOf(planes: readonly (Float32Array | Float64Array | Int32Array | Uint16Array | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const plane of planes) hash.update(new Uint8Array(plane.buffer, plane.byteOffset, plane.byteLength));
  return hash.digest('hex');
}

/** Planes one after another in a memory of their own; a case needs ten planes of float32 at most. */
function sharedScene(pixels: number): Scene {
  const pages = Math.ceil((10 * 4 * pixels * pixels + 64 * 1024 ** 2 + KERNEL_WORK_BYTES) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  loadKernels(memory, 0);
  let used = KERNEL_WORK_BYTES;
  const take = (bytes: number): number => { const offset = used; used += Math.ceil(bytes / 64) * 64; return offset; };
  return {
    side: pixels,
    floats: (length) => new Float32Array(memory.buffer, take(4 * length), length),
    doubles: (length) => new Float64Array(memory.buffer, take(8 * length), length),
    ints: (length) => new Int32Array(memory.buffer, take(4 * length), length),
    words: (length) => new Uint16Array(memory.buffer, take(2 * length), length),
    bytes: (length) => new Uint8Array(memory.buffer, take(length), length),
  };
}

function ownScene(pixels: number): Scene {
  return {
    side: pixels, floats: (length) => new Float32Array(length), doubles: (length) => new Float64Array(length),
    ints: (length) => new Int32Array(length), words: (length) => new Uint16Array(length),
    bytes: (length) => new Uint8Array(length),
  };
}
