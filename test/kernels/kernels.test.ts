import { beforeAll, expect, test } from 'vitest';
import { buildKernels, isCurrent } from '../../engine/kernels/build.mjs';
import { KERNEL_WORK_BYTES, kernelsDigest, kernelsOf, loadKernels, pointerTo } from '../../engine/kernels/kernels.ts';
import { smoothSeparable } from '../../engine/kernels/smooth.ts';
import { createStampEquations } from '../../engine/kernels/stamps.ts';
import { createWarp } from '../../engine/kernels/warp.ts';
import { convolveByCell } from '../../engine/kernels/convolve.ts';
import { testArena, type TestArena } from './memory.ts';
import { finiteImageOf } from './planes.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(1024 ** 2); });

test('compiling again gives the same bytes', async () => {
  const { bytes: before } = await buildKernels();
  const { bytes: after, isNew } = await buildKernels({ force: true });
  expect(isNew).toBe(true);
  expect(after.equals(before)).toBe(true);
  expect(kernelsDigest()).toMatch(/^[0-9a-f]{64}$/);
});

test('a file that other sources made is not current', async () => {
  const { bytes } = await buildKernels();
  const other = Uint8Array.from(bytes);
  other[other.length - 1] ^= 1;
  expect(isCurrent(bytes)).toBe(true);
  expect(isCurrent(other)).toBe(false);
});

test('the module holds no static data, so that loading it changes no byte of the arena', async () => {
  const { bytes } = await buildKernels();
  // Sections follow the 8 bytes of magic number and version: id, size in LEB128, content. 11 is the data section.
  const ids: number[] = [];
  for (let at = 8; at < bytes.length;) {
    ids.push(bytes[at++]);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]; size |= (byte & 0x7f) << shift; if (byte < 0x80) break;
    }
    at += size;
  }
  expect(ids).toContain(10);
  expect(ids).not.toContain(11);
});

test('planes elsewhere have no compiled kernels, planes of two memories are refused', () => {
  const inside = arena.floats(new Float32Array(4)), outside = new Float32Array(4);
  expect(kernelsOf(inside)).toBe(arena.kernels);
  expect(kernelsOf(outside)).toBeNull();
  expect(() => kernelsOf(inside, outside)).toThrow('different memories');
  expect(() => pointerTo(arena.kernels, outside)).toThrow('not on the memory');
});

test('a work area outside the memory is refused', () => {
  expect(() => loadKernels(arena.memory, arena.memory.buffer.byteLength - KERNEL_WORK_BYTES + 64)).toThrow(
    'does not fit');
  expect(() => loadKernels(arena.memory, 8)).toThrow('does not fit');
});

const SIDE = 64;

/** Planes in shared memory, and a kernel that takes the whole work area for itself. */
function planesAndIntruder() {
  arena.reset();
  const image = arena.floats(finiteImageOf({ width: SIDE, height: SIDE, seed: 3, kind: 'noise', masks: 'none' }));
  const plane = () => arena.floats(new Float32Array(SIDE * SIDE)),
    bits = () => arena.words(new Uint16Array(SIDE * SIDE));
  const mask = bits(), scratch = plane();
  const intrude = () => { smoothSeparable(image, mask, 0, SIDE, SIDE, new Float64Array(21).fill(1 / 21), scratch); };
  return { image, plane, bits, mask, scratch, intrude };
}

test('another kernel between two bands of a warp changes nothing', () => {
  const { image, plane, bits, mask, intrude } = planesAndIntruder(), width = SIDE, height = SIDE;
  const taps = Float64Array.from({ length: 5 * 8 }, (_, i) => 1 / (1 + i)), variance = plane();
  const [disturbed, calm] = [true, false].map((isDisturbed) => {
    const out = { width, height, image: plane(), variance: plane(), mask: bits() };
    const warpCells = createWarp({
      from: { width, height, image, variance, mask }, out, taps, halfWidth: 4, phases: 4,
      bits: { noData: 1, carried: 2, moved: [[4, 8], [16, 32]] },
    });
    for (let y = 0; y < SIDE; y += 16) {
      warpCells([{ tx: 0.3, ty: y + 0.4, xx: 1, xy: 0, yx: 0, yy: 1 }], SIDE, y, y + 16);
      if (isDisturbed) intrude();
    }
    return [...out.image];
  });
  expect(disturbed).toEqual(calm);
});

test('another kernel between two stamps changes nothing', () => {
  const { image, intrude } = planesAndIntruder(), weights = new Float64Array(81).fill(1),
    data = new Float64Array(81).fill(3);
  const basis = { halfSize: 3, profiles: [Float64Array.of(0, 1, 2, 3, 2, 1, 0)],
    functions: [{ x: 0, y: 0, scale: 1, isEven: true }] };
  const [disturbed, calm] = [true, false].map((isDisturbed) => {
    const equations = createStampEquations({ basis, image, width: SIDE, stampHalf: 4 });
    return [20, 30].map((x) => {
      const matrix = new Float64Array(4), right = new Float64Array(2),
        squares = equations(x, 25, weights, data, matrix, right);
      if (isDisturbed) intrude();
      return [...matrix, ...right, squares];
    });
  });
  expect(disturbed).toEqual(calm);
});

test('a kernel that runs inside a convolution is refused', () => {
  const { image, scratch, plane, intrude } = planesAndIntruder(), out = plane();
  expect(scratch).not.toBe(out);
  const kernel = { terms: [new Float32Array(25)], weightsAt: () => { intrude(); } };
  expect(() => { convolveByCell(image, SIDE, SIDE, 5, kernel, out); }).toThrow('another kernel ran');
});
