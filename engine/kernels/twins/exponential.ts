const LOG2E = 1.4426950408889634, LN2_HIGH = 0.693147180369123816490, LN2_LOW = 1.90821492927058770002e-10;
/** Powers of the series: what is left out is below (ln 2 / 2)^14 / 14! = 4e-18. */
const POWERS = 13;

const scale = new Float64Array(1), scaleWords = new Int32Array(scale.buffer);

/**
 * e^x to 3e-16 of itself, by arithmetic that every CPU does alike: a power series of what is left of x without a multiple
 * of ln 2. 0 below −708, infinite above 709.
 */
export function exponentialTwin(x: number): number {
  if (x < -708) return 0;
  if (x > 709) return Infinity;
  const k = Math.floor(x * LOG2E + 0.5), r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = 1;
  for (let n = POWERS; n > 0; n--) sum = 1 + r * (1 / n) * sum;
  scaleWords[1] = (k + 1023) << 20;
  return sum * scale[0];
}
