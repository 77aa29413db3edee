/** Mask planes: bit numbers of a uint16 mask, with Rubin's names. FITS files carry them as MP_* keywords. */
export const MASK_PLANES = {
  BAD: 0, SAT: 1, INTRP: 2, CR: 3, EDGE: 4, DETECTED: 5, DETECTED_NEGATIVE: 6, SUSPECT: 7,
  NO_DATA: 8, SAT_TEMPLATE: 9, HIGH_VARIANCE: 10, STREAK: 11, INJECTED: 12, INJECTED_TEMPLATE: 13, SPIKE: 14,
  CROSSTALK: 15,
} as const;

export type MaskPlane = keyof typeof MASK_PLANES;

/** Bits of the planes named, for `mask & bits(...)`. */
export function maskBits(...planes: readonly MaskPlane[]): number {
  let bits = 0;
  for (const plane of planes) bits |= 1 << MASK_PLANES[plane];
  return bits;
}
