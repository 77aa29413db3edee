import { expect, test } from 'vitest';
import { allocateMaskedImage } from '../../engine/image/maskedImage.ts';
import { createPlaneMemory, threadPlaneMemory } from '../../engine/image/planeMemory.ts';
import { scalePlane } from '../../engine/kernels/arithmetic.ts';
import { kernelsOf } from '../../engine/kernels/kernels.ts';

test('planes lie beside one another in one memory that has kernels', () => {
  const memory = createPlaneMemory(3 * 10 + 4 * 5 + 7), image = memory.maskedImage(3, 1), ints = memory.int32(5);
  const planes = [image.image, image.variance, image.mask, ints, memory.uint8(7)]
    .sort((a, b) => a.byteOffset - b.byteOffset);
  expect(kernelsOf(...planes)).not.toBeNull();
  let end = 0;
  for (const plane of planes) {
    expect(plane.byteOffset % 64).toBe(0);
    expect(plane.byteOffset).toBeGreaterThanOrEqual(end);
    end = plane.byteOffset + plane.byteLength;
  }
});

test('a copy has the pixels of its original and leaves it alone', () => {
  const original = allocateMaskedImage(2, 2);
  original.image.set([1, 2, NaN, 4]);
  original.mask[3] = 9;
  const copy = createPlaneMemory(40).copyOf(original);
  expect([...copy.image]).toEqual([1, 2, NaN, 4]);
  expect(copy.mask[3]).toBe(9);
  scalePlane(copy.image, 2);
  expect(original.image[0]).toBe(1);
});

test('more than was announced is refused', () => {
  const memory = createPlaneMemory(1000);
  expect(() => memory.float32(1_000_000)).toThrow('1000 bytes');
});

test('what 4 GB do not hold gets memory of its own', () => {
  const memory = createPlaneMemory(5e9), image = memory.maskedImage(2, 2);
  expect(kernelsOf(image.image, memory.float32(4))).toBeNull();
});

test('the thread\'s memory is used again, and grows when it has to', () => {
  const first = threadPlaneMemory(100).float32(4), again = threadPlaneMemory(50).float32(4);
  expect([again.buffer, again.byteOffset]).toEqual([first.buffer, first.byteOffset]);
  expect(threadPlaneMemory(2_000_000).float32(500_000)).toHaveLength(500_000);
});
