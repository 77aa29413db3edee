/** Calibration products in 16 bits: stored × BSCALE + BZERO, BLANK where there is no value. */
import type { Card } from './fitsWriter.ts';

const BLANK = -32768, STORED_MAX = 32767;
/**
 * Coarsest step in the noise between neighbours, whose rounding adds 1 / 3000 of that noise's square: pixels so hot that
 * they do not fit are stored as the hottest that do.
 */
const STEP_OF_NOISE = 1 / 16;

/** @returns The numbers to store, and the cards that say what they mean. */
export function scaledPixels(pixels: Float32Array): { pixels: Int16Array; cards: readonly Card[] } {
  const { low, high, middle, noise } = extentOf(pixels), whole = (high - low) / (2 * STORED_MAX);
  const isClipped = noise > 0 && noise * STEP_OF_NOISE < whole;
  const scale = Math.fround(isClipped ? noise * STEP_OF_NOISE : whole * (1 + 1e-6)) || 1;
  const zero = Math.fround(isClipped ? middle : (low + high) / 2);
  return {
    pixels: Int16Array.from(pixels, (value) => (Number.isFinite(value)
      ? Math.max(-STORED_MAX, Math.min(STORED_MAX, Math.round((value - zero) / scale))) : BLANK)),
    cards: [['BSCALE', scale, 'value of a step'], ['BZERO', zero, 'value of 0'], ['BLANK', BLANK, 'no value']],
  };
}

/** Lowest and highest pixel; median, and noise by the median difference of neighbours, of every 251st. */
function extentOf(pixels: Float32Array): { low: number; high: number; middle: number; noise: number } {
  let low = Infinity, high = -Infinity;
  for (const value of pixels) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const places = Array.from({ length: Math.ceil(pixels.length / 251) }, (_, k) => 251 * k)
    .filter((i) => Number.isFinite(pixels[i]) && Number.isFinite(pixels[i + 1]));
  if (places.length === 0) return { low: 0, high: 0, middle: 0, noise: 0 };
  const medianOf = (of: (i: number) => number): number =>
    Float64Array.from(places, of).sort()[places.length >> 1];
  // The difference of two values has √2 of their noise, and half of it lies within 0.6745 of that.
  const noise = medianOf((i) => Math.abs(pixels[i + 1] - pixels[i])) / (Math.SQRT2 * 0.6745);
  return { low, high, middle: medianOf((i) => pixels[i]), noise };
}
