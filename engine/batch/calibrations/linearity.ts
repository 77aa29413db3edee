/** Linearity of amplifiers from flats of a steady lamp: light is proportional to the shutter's time. */
import { Matrix, solve } from 'ml-matrix';

/** One amp's signal in one flat, and the time of its light. */
export type FlatLevel = Readonly<{ seconds: number; signalAdu: number }>;

export type LinearityFit = Readonly<{
  polynomial: readonly [number, number];
  /** Largest departure from the line, of the signal: before, and after the correction. */
  departure: number; residual: number;
}>;

/**
 * c₂, c₃ for which S + c₂ S² + c₃ S³ is proportional to time, by least squares of relative departures. A steady part of
 * the light or the shutter's delay is not fitted.
 *
 * @returns null for fewer than three levels.
 */
export function fitLinearity(levels: readonly FlatLevel[]): LinearityFit | null {
  if (levels.length < 3) return null;
  // r t = S + c₂ S² + c₃ S³, divided by S: r t / S − c₂ S − c₃ S² = 1. Signals in units of the largest, for the solver.
  const scale = Math.max(...levels.map(({ signalAdu }) => signalAdu));
  const rows = levels.map(({ seconds, signalAdu }) =>
    [seconds / signalAdu, -signalAdu / scale, -((signalAdu / scale) ** 2)]);
  const design = new Matrix(rows), ones = Matrix.ones(levels.length, 1);
  const [rate, second, third] = solve(design, ones, true).to1DArray();
  const polynomial = [second / scale, third / (scale * scale)] as const;
  const straight = levels.reduce((sum, { seconds, signalAdu }) => sum + signalAdu / seconds, 0) / levels.length;
  const largest = (departures: readonly number[]) => Math.max(...departures.map(Math.abs));
  return {
    polynomial,
    departure: largest(levels.map(({ seconds, signalAdu }) => signalAdu / (straight * seconds) - 1)),
    residual: largest(levels.map(({ seconds, signalAdu: s }) =>
      (s + polynomial[0] * s * s + polynomial[1] * s * s * s) / (rate * seconds) - 1)),
  };
}
