import { expect, test } from 'vitest';
import { PacketMemory } from '../../engine/stream/packetMemory.ts';

test('buffers of one commit never overlap, those of the next one use the memory again', () => {
  const memory = new PacketMemory();
  const commit = (sizes: readonly number[]): Buffer[] => {
    memory.reset();
    return sizes.map((size, i) => memory.allocate(size).fill(i + 1));
  };
  const sizes = [100, 1, 90_000, 7];
  commit(sizes); // Tells how much is needed.
  const second = commit(sizes);
  expect(second.map((bytes) => bytes.every((byte, _, all) => byte === all[0]))).toEqual([true, true, true, true]);
  expect(second.map((bytes) => [bytes.length, bytes[0]])).toEqual(sizes.map((size, i) => [size, i + 1]));
  const third = commit([...sizes, 500]); // More than before: what does not fit has memory of its own.
  expect(third.map((bytes) => [bytes.length, bytes[0]])).toEqual([...sizes, 500].map((size, i) => [size, i + 1]));
  expect(third[0].buffer).toBe(second[0].buffer);
  expect(third[4].buffer).not.toBe(second[0].buffer);
});
