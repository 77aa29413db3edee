/**
 * Writes FITS (Pence et al. 2010, A&A 524, A42). The simulator's own: it shares no code with the engine's reader, so
 * that a misreading of the standard cannot cancel.
 */

import type { Compression } from './model.ts';
import { riceCompress } from './riceCompression.ts';

export type CardValue = string | number | boolean;
/** One header card: keyword of up to 8 characters, value, comment. */
export type Card = readonly [keyword: string, value: CardValue, comment?: string];

/** Pixels of one HDU; float32 and int16 as they are, uint16 with BZERO 32768. Row-major, first row first. */
export type HduImage = Readonly<{ width: number; height: number; pixels: HduPixels }>;
export type HduPixels = Float32Array | Uint16Array | Int16Array;

export type Hdu = Readonly<{ cards: readonly Card[]; image: HduImage | null }>;

const BLOCK = 2880, CARD = 80;

/** An HDU as it is stored: its header's own cards, and its data. */
type StoredHdu = Readonly<{ structure: readonly Card[]; bytes: number; write: (file: Buffer, offset: number) => void }>;

/**
 * The bytes of a file: the first HDU is the primary one, the others are IMAGE extensions. No dates, so that equal
 * content gives equal bytes.
 *
 * @param compression `rice` stores 16-bit extensions as tile-compressed tables, which cfitsio and astropy read as
 * images.
 * @throws Error when a card does not fit its 80 characters.
 */
export function encodeFits(hdus: readonly Hdu[], compression: Compression = 'none'): Buffer {
  const stored = hdus.map((hdu, index) =>
    (compression === 'rice' && index > 0 && hdu.image?.pixels instanceof Uint16Array
      ? compressedHdu(hdu.image, hdu.image.pixels) : plainHdu(hdu, index, hdus.length > 1)));
  const headers = stored.map(({ structure }, i) => encodeHeader([...structure, ...hdus[i].cards]));
  const total = stored.reduce((sum, { bytes }, i) => sum + headers[i].length + padded(bytes), 0);
  const file = Buffer.alloc(total);
  let offset = 0;
  stored.forEach(({ bytes, write }, i) => {
    offset += headers[i].copy(file, offset);
    write(file, offset);
    offset += padded(bytes);
  });
  return file;
}

function plainHdu(hdu: Hdu, index: number, hasExtensions: boolean): StoredHdu {
  const { image } = hdu;
  return {
    structure: structuralCards(hdu, index, hasExtensions), bytes: dataBytes(image),
    write: (file, offset) => { if (image) encodePixels(image.pixels, file, offset); },
  };
}

/** A binary table of one row a tile: length and place of its bytes in the heap that follows (§10.1). */
function compressedHdu({ width, height }: HduImage, pixels: Uint16Array): StoredHdu {
  const { heap, lengths } = riceCompress(pixels, width, height);
  const structure: Card[] = [
    ['XTENSION', 'BINTABLE', 'compressed image'], ['BITPIX', 8, 'bytes'], ['NAXIS', 2, 'a table'],
    ['NAXIS1', 8, 'bytes of a row'], ['NAXIS2', height, 'rows'], ['PCOUNT', heap.length, 'bytes of the heap'],
    ['GCOUNT', 1, 'one group'],
    ['TFIELDS', 1, 'columns'], ['TTYPE1', 'COMPRESSED_DATA', 'name'],
    ['TFORM1', `1PB(${lengths.reduce((a, b) => Math.max(a, b), 0)})`, 'bytes in the heap'],
    ['ZIMAGE', true, 'this is a compressed image'], ['ZTENSION', 'IMAGE', 'of an image extension'],
    ['ZBITPIX', 16, 'bits per pixel'],
    ['ZNAXIS', 2, 'number of axes'], ['ZNAXIS1', width, 'columns'], ['ZNAXIS2', height, 'rows'],
    ['ZPCOUNT', 0, 'no parameters'], ['ZGCOUNT', 1, 'one group'],
    ['ZTILE1', width, 'a tile is a row'], ['ZTILE2', 1, 'a tile is a row'], ['ZCMPTYPE', 'RICE_1', 'compression'],
    ['ZNAME1', 'BLOCKSIZE', 'pixels of a block'], ['ZVAL1', 32], ['ZNAME2', 'BYTEPIX', 'bytes of a pixel'],
    ['ZVAL2', 2],
    ['BSCALE', 1, 'unsigned 16-bit'], ['BZERO', 32768, 'unsigned 16-bit'],
  ];
  return {
    structure, bytes: 8 * height + heap.length,
    write(file, offset) {
      for (let y = 0, at = 0; y < height; at += lengths[y++]) {
        file.writeUInt32BE(lengths[y], offset + 8 * y);
        file.writeUInt32BE(at, offset + 8 * y + 4);
      }
      file.set(heap, offset + 8 * height);
    },
  };
}

function structuralCards({ image }: Hdu, index: number, hasExtensions: boolean): Card[] {
  const cards: Card[] = [index === 0 ? ['SIMPLE', true, 'conforms to FITS'] : ['XTENSION', 'IMAGE', 'image extension']];
  const isFloat = image?.pixels instanceof Float32Array;
  cards.push(['BITPIX', image === null ? 8 : isFloat ? -32 : 16, 'bits per pixel']);
  cards.push(['NAXIS', image === null ? 0 : 2, 'number of axes']);
  if (image) cards.push(['NAXIS1', image.width, 'columns'], ['NAXIS2', image.height, 'rows']);
  if (index > 0) cards.push(['PCOUNT', 0, 'no parameters'], ['GCOUNT', 1, 'one group']);
  if (index === 0 && hasExtensions) cards.push(['EXTEND', true, 'has extensions']);
  if (image?.pixels instanceof Uint16Array) cards.push(['BSCALE', 1, 'unsigned 16-bit'], ['BZERO', 32768, 'unsigned 16-bit']);
  return cards;
}

/** Cards, END and blanks, whole blocks. */
export function encodeHeader(cards: readonly Card[]): Buffer {
  const length = padded((cards.length + 1) * CARD);
  const header = Buffer.alloc(length, 0x20);
  cards.forEach((card, i) => header.write(encodeCard(card), i * CARD, 'latin1'));
  header.write('END', cards.length * CARD, 'latin1');
  return header;
}

function encodeCard([keyword, value, comment]: Card): string {
  if (!/^[A-Z0-9_-]{1,8}$/.test(keyword)) throw new Error(`"${keyword}" is not a FITS keyword`);
  const text = `${keyword.padEnd(8)}= ${encodeValue(value)}`;
  if (text.length > CARD) throw new Error(`the value of ${keyword} does not fit a FITS card`);
  return comment === undefined ? text : `${text} / ${comment}`.slice(0, CARD);
}

function encodeValue(value: CardValue): string {
  if (typeof value === 'boolean') return (value ? 'T' : 'F').padStart(20);
  if (typeof value === 'string') return `'${value.replaceAll("'", "''").padEnd(8)}'`.padEnd(20);
  if (!Number.isFinite(value)) throw new Error(`${value} cannot be a FITS value`);
  return value.toString().toUpperCase().padStart(20); // 1E-7: FITS wants the exponent's letter in capitals.
}

function dataBytes(image: HduImage | null): number {
  return image === null ? 0 : image.pixels.byteLength;
}

/** Bytes of the blocks that so many need. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}

/** Big-endian; uint16 minus 32768 flips the top bit. */
function encodePixels(pixels: HduPixels, file: Buffer, offset: number): void {
  if (pixels instanceof Uint16Array) {
    for (let i = 0, o = offset; i < pixels.length; i++, o += 2) {
      const value = pixels[i] ^ 0x8000;
      file[o] = value >>> 8;
      file[o + 1] = value & 0xff;
    }
    return;
  }
  const bytes = Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  bytes.copy(file, offset);
  const stored = file.subarray(offset, offset + bytes.length);
  // Every machine that Node runs on here is little-endian.
  if (pixels instanceof Int16Array) stored.swap16(); else stored.swap32();
}
