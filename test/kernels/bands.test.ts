import { beforeAll, expect, test } from 'vitest';
import { setCheckpoint } from '../../engine/kernels/bands.ts';
import { clipCells } from '../../engine/kernels/cells.ts';
import { findFootprints } from '../../engine/kernels/footprints.ts';
import { listRunRegions } from '../../engine/kernels/label.ts';
import { subtractMesh } from '../../engine/kernels/mesh.ts';
import { smoothSeparable } from '../../engine/kernels/smooth.ts';
import { testArena, type TestArena } from './memory.ts';

const width = 32, height = 1200;
let arena: TestArena;
beforeAll(async () => { arena = await testArena(2 * 1024 ** 2); });

/** Asks how often a kernel looks up, and stops it the time after `lives`. */
function stopAfter(plane: Float32Array, lives: number, work: () => void): number {
  let asked = 0;
  setCheckpoint(plane, () => { if (asked++ === lives) throw new Error('out of time'); });
  try {
    work();
  } catch (error) {
    expect(String(error)).toContain('out of time');
  } finally {
    setCheckpoint(plane, null);
  }
  return asked;
}

test('kernels look up between bands, and one that is stopped leaves the rows below as they were', () => {
  arena.reset();
  const image = arena.floats(new Float32Array(width * height).fill(2)), mask = arena.words(new Uint16Array(image.length));
  const mesh = { columns: 1, rows: 1, cellWidth: width, cellHeight: height, cells: Float32Array.of(1) };
  expect(stopAfter(image, 1, () => { subtractMesh(image, width, 0, height, mesh); })).toBe(2);
  expect([image[0], image[511 * width], image[512 * width], image[image.length - 1]]).toEqual([1, 1, 2, 2]);
  const out = arena.floats(new Float32Array(image.length).fill(-7));
  const smooth = (): void => smoothSeparable(image, mask, 1, width, height, Float64Array.of(0.25, 0.5, 0.25), out);
  expect(stopAfter(image, 2, smooth)).toBe(3);
  expect([out[1023 * width], out[1024 * width]]).toEqual([1.5, -7]);
  expect(stopAfter(image, 99, smooth)).toBe(3);
  expect(out[1024 * width]).toBe(1.5);
});

test('cells and regions are not begun without time', () => {
  arena.reset();
  const image = arena.floats(new Float32Array(width * height).fill(2)), mask = arena.words(new Uint16Array(image.length));
  const task = { image, mask, ignoredBits: 1, width, clipSigma: 3, rowStep: 1 };
  expect(stopAfter(image, 0, () => { clipCells(task, Int32Array.of(0, width), 0, height); })).toBe(1);
  expect(stopAfter(image, 1, () => { listRunRegions(image, width, height, 1, 1); })).toBe(2);
});

test('footprints look up between bands, and leave the rows below as they were', () => {
  arena.reset();
  const image = arena.floats(new Float32Array(width * height).fill(2)), mask = arena.words(new Uint16Array(image.length));
  const mesh = { columns: 1, rows: 1, cellWidth: width, cellHeight: height, cells: Float32Array.of(1) };
  const task = { image, mask, zeroBits: 1, width, height, mesh, middleTap: 0.5, sideTap: 0.25, threshold: 5, countMin: 5 };
  const light = arena.floats(new Float32Array(image.length));
  expect(stopAfter(image, 1, () => { findFootprints(task, light); })).toBe(2);
  // The filter of row 511 asks for row 512.
  expect([image[0], image[512 * width], image[513 * width]]).toEqual([1, 1, 2]);
});
