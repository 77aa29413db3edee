/** Float32 numbers beside a number: limits that compare with planes as the number itself would. */

/** The smallest float32 that is not below a number: scores reach the one exactly when they reach the other. */
export function leastFloatFrom(value: number): number {
  const rounded = Math.fround(value);
  if (!(rounded < value)) return rounded;
  const float = Float32Array.of(rounded), bits = new Int32Array(float.buffer);
  if (rounded === 0) return 2 ** -149; // A positive number too small for float32.
  bits[0] += rounded > 0 ? 1 : -1;
  return float[0];
}

/** The largest float32 that is not above a number. */
export function greatestFloatTo(value: number): number {
  return -leastFloatFrom(-value);
}
