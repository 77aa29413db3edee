/** A packet's cutout as a picture for people. Measure on the FITS, not on this. */
import { PNG } from 'pngjs';

/** The primary image of a FITS file: `[height × width]` row-major, its first row at the bottom. */
export type FitsImage = Readonly<{ width: number; height: number; pixels: Float32Array }>;

const BLOCK_BYTES = 2880;
const CARD_BYTES = 80;
/** No cutout is larger (DESIGN §7: at most 102 pixels); a damaged header must not ask for gigabytes. */
const SIDE_MAX = 1024;
/** A picture is enlarged by a whole number to at least this many pixels, so that single pixels can be seen. */
const PICTURE_SIDE = 240;

/**
 * The primary image of a FITS file of 32-bit floats, as our cutouts and Rubin's have it.
 *
 * @throws Error of one line when it is none.
 */
export function readPrimaryImage(fits: Uint8Array): FitsImage {
  const bytes = Buffer.from(fits.buffer, fits.byteOffset, fits.length);
  const cards = new Map<string, string>();
  let at = 0;
  for (; ; at += CARD_BYTES) {
    if (at + CARD_BYTES > bytes.length) throw new Error('a cutout has no end of its FITS header');
    const card = bytes.toString('latin1', at, at + CARD_BYTES);
    const keyword = card.slice(0, 8).trimEnd();
    if (keyword === 'END') break;
    if (card[8] === '=') cards.set(keyword, card.slice(10).split('/', 1)[0].trim());
  }
  const width = Number(cards.get('NAXIS1')), height = Number(cards.get('NAXIS2'));
  const isImage = cards.get('SIMPLE') === 'T' && cards.get('BITPIX') === '-32' && cards.get('NAXIS') === '2'
    && [width, height].every((side) => Number.isInteger(side) && side > 0 && side <= SIDE_MAX);
  if (!isImage) throw new Error('a cutout is not a FITS image of 32-bit floats');
  const start = Math.ceil((at + CARD_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
  if (start + 4 * width * height > bytes.length) throw new Error('a cutout ends within its pixels');
  const pixels = new Float32Array(width * height);
  for (let i = 0; i < pixels.length; i++) pixels[i] = bytes.readFloatBE(start + 4 * i);
  return { width, height, pixels };
}

/**
 * A PNG with the first row of the image at the bottom, as FITS viewers show it, linear in flux between the 1st and the
 * 99.5th percentile: bright stars saturate, noise stays visible. Pixels without a value are transparent.
 *
 * @throws as `readPrimaryImage`.
 */
export function cutoutPng(fits: Uint8Array): Buffer {
  const { width, height, pixels } = readPrimaryImage(fits);
  const sorted = pixels.filter((value) => Number.isFinite(value)).sort();
  const last = Math.max(0, sorted.length - 1);
  const low = sorted[Math.floor(0.01 * last)] ?? 0, high = sorted[Math.ceil(0.995 * last)] ?? 0;
  const scale = high > low ? 255 / (high - low) : 0;
  const zoom = Math.max(1, Math.ceil(PICTURE_SIDE / Math.max(width, height)));
  const picture = new PNG({ width: width * zoom, height: height * zoom });
  for (let row = 0; row < picture.height; row++) {
    const y = height - 1 - Math.floor(row / zoom);
    for (let column = 0; column < picture.width; column++) {
      const value = pixels[y * width + Math.floor(column / zoom)];
      const isKnown = Number.isFinite(value);
      const grey = isKnown ? Math.max(0, Math.min(255, Math.round((value - low) * scale))) : 0;
      picture.data.set([grey, grey, grey, isKnown ? 255 : 0], 4 * (row * picture.width + column));
    }
  }
  return PNG.sync.write(picture);
}
