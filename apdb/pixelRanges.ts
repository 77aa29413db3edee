import type { PixelRange } from './pixelization.ts';

/**
 * At most `countMax` ranges that hold all the pixels: the narrowest gaps between them are taken in. Ascending and
 * disjoint. Pixels of a field lie in runs along the curve that numbers them, and so few ranges take in little else.
 *
 * @param pixels In any order, repeated or not.
 */
export function rangesAround(pixels: readonly number[], countMax: number): readonly PixelRange[] {
  const sorted = Int32Array.from(pixels).sort();
  const gaps: number[] = [];
  for (let i = 1; i < sorted.length; i++) if (sorted[i] > sorted[i - 1] + 1) gaps.push(sorted[i] - sorted[i - 1]);
  // Gaps that are not among the countMax − 1 widest are closed.
  gaps.sort((a, b) => b - a);
  const widestClosed = gaps.length < countMax ? 1 : gaps[countMax - 1];
  const ranges: { from: number; to: number }[] = [];
  for (const pixel of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && pixel - (last.to - 1) <= widestClosed) last.to = pixel + 1;
    else ranges.push({ from: pixel, to: pixel + 1 });
  }
  return ranges;
}
