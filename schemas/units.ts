/** Fluxes are nanojanskys (DMS-REQ-0347); magnitudes are AB: m = 31.4 − 2.5 log10(flux / nJy) (Oke & Gunn 1983). */
export const AB_ZERO_POINT_NJY = 31.4;

/** NaN for a flux that is not positive. */
export function abMagOfNJy(fluxNJy: number): number {
  return AB_ZERO_POINT_NJY - 2.5 * Math.log10(fluxNJy);
}

export function nJyOfAbMag(mag: number): number {
  return 10 ** (0.4 * (AB_ZERO_POINT_NJY - mag));
}

export const BANDS = ['u', 'g', 'r', 'i', 'z', 'y'] as const;
export type Band = (typeof BANDS)[number];

export function isBand(name: string): name is Band {
  return (BANDS as readonly string[]).includes(name);
}
