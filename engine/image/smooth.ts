/**
 * Taps of a Gaussian of the standard deviation given, sampled at pixel centres to `reach` σ, unit sum; length odd. One of
 * 0 leaves everything as it is.
 */
export function gaussianTaps(sigmaPx: number, reach = 3.5): Float64Array {
  if (sigmaPx === 0) return Float64Array.of(1);
  const half = Math.ceil(reach * sigmaPx);
  const taps = new Float64Array(2 * half + 1);
  let sum = 0;
  for (let i = 0; i < taps.length; i++) sum += taps[i] = Math.exp(-0.5 * ((i - half) / sigmaPx) ** 2);
  for (let i = 0; i < taps.length; i++) taps[i] /= sum;
  return taps;
}
