import { PNG } from 'pngjs';
import { expect, test } from 'vitest';
import { encodePng } from '../../engine/image/png.ts';

test('an indexed picture is read by another program as it was meant', () => {
  const width = 7, height = 5, pixels = Uint8Array.from({ length: width * height }, (_, i) => i % 3);
  const palette = Uint8Array.of(0, 0, 0, 10, 200, 30, 255, 255, 255);
  const png = PNG.sync.read(Buffer.from(encodePng(pixels, width, height, palette)));
  expect([png.width, png.height]).toEqual([width, height]);
  pixels.forEach((index, i) => {
    expect([...png.data.subarray(4 * i, 4 * i + 3)]).toEqual([...palette.subarray(3 * index, 3 * index + 3)]);
  });
});
