/**
 * Pixel products: three planes of one size that live in a frame arena (or any buffer), and types that keep them apart.
 * A `VisitImage` cannot be passed where a `MatchedTemplate` is wanted.
 */

/**
 * Planes are row-major [height × width]; pixel (x, y) is at y × width + x. NaN in `image` means no data, with NO_DATA
 * set.
 */
export type MaskedImage = Readonly<{
  width: number; height: number;
  image: Float32Array; variance: Float32Array;
  /** Bits as in `MASK_PLANES`. */
  mask: Uint16Array;
}>;

type Product<Name extends string> = MaskedImage & Readonly<{ product: Name }>;

/** Assembled, instrument signature removed; electrons. */
export type PostIsrImage = Product<'postIsrImage'>;
/** Calibrated and background subtracted; nJy. */
export type VisitImage = Product<'visitImage'>;
/** Coadd on its own pixel grid, nJy. */
export type Template = Product<'template'>;
/** Template on the visit's pixel grid, not yet convolved; nJy. */
export type WarpedTemplate = Product<'warpedTemplate'>;
/** Template convolved to the visit's PSF, on its pixels; nJy. */
export type MatchedTemplate = Product<'matchedTemplate'>;
/** visitImage − matchedTemplate, nJy. */
export type DifferenceImage = Product<'differenceImage'>;

export function asProduct<Name extends string>(product: Name, planes: MaskedImage): Product<Name> {
  return { ...planes, product };
}

/** Planes of their own memory; for tests and small images. Large ones come from the frame arena. */
export function allocateMaskedImage(width: number, height: number): MaskedImage {
  const n = width * height;
  return { width, height, image: new Float32Array(n), variance: new Float32Array(n), mask: new Uint16Array(n) };
}
