import { beforeAll, expect, test } from 'vitest';
import { buildKernels, isCurrent } from '../../engine/kernels/build.mjs';
import { KERNEL_WORK_BYTES, kernelsDigest, kernelsOf, loadKernels, pointerTo } from '../../engine/kernels/kernels.ts';
import { testArena, type TestArena } from './memory.ts';

let arena: TestArena;
beforeAll(async () => { arena = await testArena(65536); });

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
    for (let shift = 0; ; shift += 7) { const byte = bytes[at++]; size |= (byte & 0x7f) << shift; if (byte < 0x80) break; }
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
  expect(() => loadKernels(arena.memory, arena.memory.buffer.byteLength - KERNEL_WORK_BYTES + 64)).toThrow('does not fit');
  expect(() => loadKernels(arena.memory, 8)).toThrow('does not fit');
});
