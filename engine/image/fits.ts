/**
 * FITS files in and out (FITS Standard 4.0): primary and IMAGE HDUs, and tile-compressed images, which read as IMAGEs;
 * other extensions are stepped over.
 *
 * `.gz` files are recognised by their content. Written files carry no dates, so equal pixels give equal bytes.
 * Planes are [height × width] row-major with FITS axis 1 as x. FITS's 1-based convention stays in headers.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { decodeFloat32, decodeScaled16, decodeUnsigned16 } from '../kernels/decode.ts';
import {
  CARD_BYTES, FitsError, formatCard, numberCard, parseCard, requireNumber, stringCard,
  type FitsCard, type FitsHeader,
} from './fitsHeader.ts';
import { fileSource, memorySource, type FitsSource } from './fitsSource.ts';
import { decodeTiles } from './tileDecoding.ts';
import { imageHeaderOf, isTiledImage, tiledImageOf, type TiledImage } from './tiledImage.ts';

export { FitsError, cardValue, numberCard, requireNumber, requireString, stringCard } from './fitsHeader.ts';
export type { FitsCard, FitsErrorCode, FitsHeader, FitsValue } from './fitsHeader.ts';

const BLOCK_BYTES = 2880;
const BITPIX_BYTES: Readonly<Record<number, number>> = { 8: 1, 16: 2, 32: 4, [-32]: 4, [-64]: 8 };

export type FitsHdu = Readonly<{
  /** File that it came from, for messages. */
  path: string;
  header: FitsHeader;
  /** EXTNAME, or '' where there is none. */
  name: string;
  /** True for primary and IMAGE HDUs, and for compressed images. */
  isImage: boolean;
  bitpix: number;
  /** NAXIS1 … NAXISn; empty when the HDU has no data. */
  axes: readonly number[];
  /** Data as stored: big-endian, unscaled; of a compressed image, its table and heap. Read when they are asked for. */
  readonly bytes: Uint8Array;
  /** As many of `bytes` from a place on, 0 when it is not given, as the caller's memory has room for. */
  readBytesInto(out: Uint8Array, from?: number): void;
  /** The same for many places in a row, the file being opened once. */
  readingBytes(work: (readInto: (from: number, out: Uint8Array) => void) => void): void;
  /** Null where the pixels are not compressed. */
  tiles: TiledImage | null;
}>;

export type FitsFile = Readonly<{ path: string; hdus: readonly FitsHdu[] }>;

export type ImagePlane = Float32Array | Float64Array | Uint16Array | Int16Array | Int32Array | Uint8Array;

/** What `writeFits` makes into one HDU. Structural keywords (BITPIX, NAXIS, BZERO …) follow from the data. */
export type FitsHduOut = Readonly<{
  name?: string;
  cards?: readonly FitsCard[];
  /** [height × width] row-major; null for a header alone. Uint16 is stored as BITPIX 16 with BZERO 32768. */
  data: ImagePlane | null;
  width?: number;
  height?: number;
}>;

/**
 * Reads a file and splits it into HDUs; pixels are decoded only by `readImageInto`.
 *
 * @throws FitsError with one line that names the file: missing, not FITS, truncated, damaged gzip, bad header.
 */
export function readFits(path: string): FitsFile {
  return parseSource(fileSource(path), path);
}

/** As `readFits`, from bytes in memory; `path` serves the messages. */
export function parseFits(stored: Uint8Array, path: string): FitsFile {
  return parseSource(memorySource(stored), path);
}

function parseSource(stored: FitsSource, path: string): FitsFile {
  const magic = stored.read(0, 2), isGzip = magic[0] === 0x1f && magic[1] === 0x8b;
  const source = isGzip ? memorySource(gunzipped(stored.read(0, stored.size), path)) : stored;
  if (source.size === 0) throw new FitsError('FITS_TRUNCATED', path, 'the file is empty');
  if (textAt(source, 0) !== 'SIMPLE  =') {
    throw new FitsError('FITS_NOT_FITS', path, 'not a FITS file (does not begin with SIMPLE)');
  }
  const hdus: FitsHdu[] = [];
  for (let offset = 0; offset < source.size;) {
    // What follows the last HDU and is no extension is "special records", which readers must ignore (§3.5).
    if (offset > 0 && textAt(source, offset) !== 'XTENSION=') break;
    const { hdu, end } = parseHdu(source, offset, path, hdus.length);
    hdus.push(hdu);
    offset = end;
  }
  return { path, hdus };
}

function textAt(source: FitsSource, offset: number): string {
  return ascii(source.read(offset, 9), 0, 9);
}

/** Truncated downloads and damaged ones look alike to zlib; both are named as what they are. */
function gunzipped(stored: Uint8Array, path: string): Uint8Array {
  try {
    return gunzipSync(stored);
  } catch (cause) {
    throw new FitsError('FITS_GZIP', path, `damaged gzip (${(cause as Error).message})`, cause); // zlib throws Errors.
  }
}

function parseHdu(source: FitsSource, start: number, path: string, index: number): { hdu: FitsHdu; end: number } {
  const { header, dataStart } = parseHeader(source, start, path, index);
  const bitpix = requireNumber(header, 'BITPIX', path), axes = axesOf(header, '', path);
  const elementCount = axes.length === 0 ? 0 : axes.reduce((product, n) => product * n, 1);
  const groups = (numberCard(header, 'GCOUNT') ?? 1) * (elementCount + (numberCard(header, 'PCOUNT') ?? 0));
  const dataBytes = (Math.abs(bitpix) / 8) * groups;
  if (source.size - dataStart < dataBytes) {
    throw new FitsError('FITS_TRUNCATED', path,
      `truncated: HDU ${index} should hold ${dataBytes} bytes of data, the file has ${source.size - dataStart}`);
  }
  const extension = stringCard(header, 'XTENSION'), isTiled = isTiledImage(header);
  const hdu: FitsHdu = {
    path, name: stringCard(header, 'EXTNAME') ?? '',
    header: isTiled ? imageHeaderOf(header) : header,
    isImage: extension === null || extension === 'IMAGE' || isTiled,
    bitpix: isTiled ? requireNumber(header, 'ZBITPIX', path) : bitpix,
    axes: isTiled ? axesOf(header, 'Z', path) : axes,
    get bytes() { return source.read(dataStart, dataBytes); },
    readBytesInto: (out, from = 0) => source.readInto(dataStart + from, out),
    readingBytes: (work) => source.reading((readInto) => work((from, out) => readInto(dataStart + from, out))),
    tiles: isTiled ? tiledImageOf(header, axesOf(header, 'Z', path), path) : null,
  };
  return { hdu, end: dataStart + wholeBlocks(dataBytes) };
}

/** NAXISn, or ZNAXISn of a compressed image. */
function axesOf(header: FitsHeader, prefix: '' | 'Z', path: string): number[] {
  const naxis = requireNumber(header, `${prefix}NAXIS`, path);
  if (!Number.isInteger(naxis) || naxis < 0 || naxis > 999) {
    throw new FitsError('FITS_HEADER', path, `${prefix}NAXIS is ${naxis}`);
  }
  return Array.from({ length: naxis }, (_, i) => {
    const name = `${prefix}NAXIS${i + 1}`, length = requireNumber(header, name, path);
    if (!Number.isInteger(length) || length < 0) throw new FitsError('FITS_HEADER', path, `${name} is ${length}`);
    return length;
  });
}

function parseHeader(
  source: FitsSource, start: number, path: string, index: number,
): { header: FitsHeader; dataStart: number } {
  const header: FitsCard[] = [];
  for (let block = start; block < source.size; block += BLOCK_BYTES) {
    const bytes = source.read(block, BLOCK_BYTES);
    for (let at = 0; at + CARD_BYTES <= bytes.length; at += CARD_BYTES) {
      const text = ascii(bytes, at, at + CARD_BYTES);
      if (text.startsWith('END') && text.trimEnd() === 'END') return { header, dataStart: block + BLOCK_BYTES };
      header.push(parseCard(text));
    }
  }
  throw new FitsError('FITS_TRUNCATED', path, `truncated: the header of HDU ${index} has no END`);
}

/** @throws FitsError (FITS_NO_EXTENSION) when the file has no image HDU of that EXTNAME. */
export function requireHdu(file: FitsFile, name: string): FitsHdu {
  const found = file.hdus.find((hdu) => hdu.name === name && hdu.isImage);
  if (!found) throw new FitsError('FITS_NO_EXTENSION', file.path, `has no image extension ${name}`);
  return found;
}

/** First HDU that holds a 2-dimensional image (a plain frame's primary, or the first extension of a packed one). */
export function firstImageHdu(file: FitsFile): FitsHdu {
  const found = file.hdus.find((hdu) => hdu.isImage && imageAxes(hdu) !== null);
  if (!found) throw new FitsError('FITS_NO_EXTENSION', file.path, 'holds no 2-dimensional image');
  return found;
}

/** Width and height of an image HDU; further axes of length 1 are allowed, as some cameras write them. */
function imageAxes(hdu: FitsHdu): readonly [number, number] | null {
  if (!hdu.isImage || hdu.axes.length < 2 || hdu.axes.slice(2).some((n) => n !== 1)) return null;
  return hdu.axes[0] > 0 && hdu.axes[1] > 0 ? [hdu.axes[0], hdu.axes[1]] : null;
}

/** @throws FitsError (FITS_SIZE) when the HDU is not a 2-dimensional image. */
export function imageSize(hdu: FitsHdu): { width: number; height: number } {
  const axes = imageAxes(hdu);
  if (!axes) throw new FitsError('FITS_SIZE', hdu.path, `HDU ${labelOf(hdu)} is not a 2-dimensional image`);
  return { width: axes[0], height: axes[1] };
}

/** @throws FitsError (FITS_SIZE) when the image is not of the size wanted. */
export function requireSize(hdu: FitsHdu, width: number, height: number): void {
  const size = imageSize(hdu);
  if (size.width !== width || size.height !== height) {
    throw new FitsError('FITS_SIZE', hdu.path,
      `HDU ${labelOf(hdu)} is ${size.width} × ${size.height} pixels, expected ${width} × ${height}`);
  }
}

/**
 * Decodes an image into memory of the caller's, with BSCALE and BZERO applied.
 *
 * @param out [height × width] row-major, overwritten. Float planes get NaN where an integer image says BLANK.
 *            Integer planes accept only files whose scaled values they can hold exactly; values are rounded.
 * @param onDecoded Told of numbers [from, to) of `out` while they are still in the cache; in order, of all in the end.
 * @throws FitsError when the size differs or the BITPIX is not supported.
 */
export function readImageInto(
  hdu: FitsHdu, out: Float32Array | Float64Array | Uint16Array, onDecoded: OnDecoded = () => undefined,
): void {
  const { width, height } = imageSize(hdu);
  if (out.length !== width * height) {
    throw new FitsError('FITS_SIZE', hdu.path,
      `HDU ${labelOf(hdu)} has ${width} × ${height} pixels, the plane has room for ${out.length}`);
  }
  if (!(hdu.bitpix in BITPIX_BYTES)) {
    throw new FitsError('FITS_BITPIX', hdu.path, `BITPIX ${hdu.bitpix} is not supported`);
  }
  const { scale, zero } = scalingOf(hdu);
  const blank = hdu.bitpix > 0 ? numberCard(hdu.header, 'BLANK') : null;
  if (hdu.tiles !== null) {
    const { path, name, bitpix, tiles, bytes } = hdu;
    decodeTiles({ path, name, bitpix, tiles, bytes }, { scale, zero, blank }, out);
    return onDecoded(0, out.length);
  }
  const isUnsigned16 = hdu.bitpix === 16 && scale === 1 && zero === 32768;
  // What has the plane's own size is turned round where it lies.
  if (isUnsigned16 && out instanceof Uint16Array) return decodePieces(hdu, out, decodeUnsigned16, onDecoded);
  const isPlainFloat = hdu.bitpix === -32 && scale === 1 && zero === 0;
  if (isPlainFloat && out instanceof Float32Array) return decodePieces(hdu, out, decodeFloat32, onDecoded);
  if (hdu.bitpix === 16 && out instanceof Float32Array) decodeScaled16(hdu.bytes, scale, zero, blank, out);
  else scaledInto(hdu.bytes, hdu.bitpix, scale, zero, blank, out);
  onDecoded(0, out.length);
}

/**
 * What the stored numbers are multiplied with and what is then added.
 *
 * @throws FitsError (FITS_HEADER) for a card that is no number, and a factor of 0.
 */
export function scalingOf({ header, path }: FitsHdu): Readonly<{ scale: number; zero: number }> {
  const of = (keyword: string, otherwise: number): number => (
    header.some(([name]) => name === keyword) ? requireNumber(header, keyword, path) : otherwise);
  const scale = of('BSCALE', 1), zero = of('BZERO', 0);
  if (scale === 0) throw new FitsError('FITS_HEADER', path, 'BSCALE is 0: all pixels would be equal');
  return { scale, zero };
}

export type OnDecoded = (from: number, to: number) => void;

/**
 * The numbers of an uncompressed image of 16 bits as they are stored, plus 32768; BSCALE and BZERO are the caller's.
 *
 * @param out As long as the image.
 */
export function readStored16Into(hdu: FitsHdu, out: Uint16Array): void {
  const { width, height } = imageSize(hdu);
  if (hdu.bitpix !== 16 || hdu.tiles !== null || out.length !== width * height) throw new Error('no such image');
  decodePieces(hdu, out, decodeUnsigned16, () => undefined);
}

/** What is read at a time of a plane that is turned round where it lies: it is then still in the second-level cache. */
const PIECE_BYTES = 512 * 1024;

/** The HDU's data, brought into the plane's own bytes and turned round there. */
function decodePieces<Plane extends Float32Array | Uint16Array>(
  hdu: FitsHdu, out: Plane, decode: (stored: Uint8Array, out: Plane) => void, onDecoded: OnDecoded,
): void {
  const step = PIECE_BYTES / out.BYTES_PER_ELEMENT;
  hdu.readingBytes((readInto) => {
    for (let first = 0; first < out.length; first += step) {
      // A part of an array is one of the same kind.
      const part = out.subarray(first, first + step) as Plane;
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      readInto(first * out.BYTES_PER_ELEMENT, bytes);
      decode(bytes, part);
      onDecoded(first, first + part.length);
    }
  });
}

function scaledInto(
  bytes: Uint8Array, bitpix: number, scale: number, zero: number, blank: number | null,
  out: Float32Array | Float64Array | Uint16Array,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const step = BITPIX_BYTES[bitpix];
  const isInteger = out instanceof Uint16Array;
  for (let i = 0, b = 0; i < out.length; i++, b += step) {
    const stored = bitpix === 16 ? view.getInt16(b)
      : bitpix === -32 ? view.getFloat32(b)
      : bitpix === 32 ? view.getInt32(b)
      : bitpix === -64 ? view.getFloat64(b) : view.getUint8(b);
    if (isInteger) out[i] = Math.round(stored * scale + zero);
    else out[i] = stored === blank ? NaN : stored * scale + zero;
  }
}

/**
 * Writes HDUs, the first as the primary one. Equal input gives equal bytes (`.gz` included).
 *
 * @param path File to replace atomically (written beside it, then renamed; folders are made); null for the bytes alone.
 *             A name that ends in `.gz` is compressed.
 * @returns The uncompressed bytes.
 */
export function writeFits(path: string | null, hdus: readonly FitsHduOut[]): Uint8Array {
  const parts = hdus.flatMap((hdu, i) => [encodeHeader(hdu, i === 0), encodeData(hdu)]);
  const bytes = concatenated(parts);
  if (path !== null) writeAtomically(path, path.endsWith('.gz') ? gzipSync(bytes) : bytes);
  return bytes;
}

function writeAtomically(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${process.pid}.${randomUUID()}.part`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, bytes, { flush: true });
    renameSync(temporary, path);
  } catch (cause) {
    if (existsSync(temporary)) rmSync(temporary);
    // fs throws Errors.
    throw new FitsError('FITS_UNREADABLE', path, `cannot be written (${(cause as Error).message})`, cause);
  }
}

/** Header of an HDU to write, whole blocks. */
export function encodeHeader(hdu: FitsHduOut, isPrimary: boolean): Uint8Array {
  const data = hdu.data;
  const cards: FitsCard[] = [
    isPrimary ? ['SIMPLE', true] : ['XTENSION', 'IMAGE'], ['BITPIX', data ? bitpixOf(data) : 8],
  ];
  if (data) cards.push(['NAXIS', 2], ['NAXIS1', hdu.width ?? 0], ['NAXIS2', hdu.height ?? 0]);
  else cards.push(['NAXIS', 0]);
  if (isPrimary) cards.push(['EXTEND', true]);
  else cards.push(['PCOUNT', 0], ['GCOUNT', 1]);
  if (data instanceof Uint16Array) cards.push(['BSCALE', 1], ['BZERO', 32768]);
  if (hdu.name !== undefined) cards.push(['EXTNAME', hdu.name]);
  const text = [...cards, ...(hdu.cards ?? [])].map(formatCard).join('') + 'END'.padEnd(CARD_BYTES);
  return Buffer.from(text.padEnd(wholeBlocks(text.length)), 'latin1');
}

function bitpixOf(data: ImagePlane): number {
  if (data instanceof Float32Array) return -32;
  if (data instanceof Float64Array) return -64;
  if (data instanceof Int32Array) return 32;
  return data instanceof Uint8Array ? 8 : 16;
}

function encodeData(hdu: FitsHduOut): Uint8Array {
  const data = hdu.data;
  if (!data) return new Uint8Array(0);
  if (data.length === 0 || data.length !== (hdu.width ?? 0) * (hdu.height ?? 0)) {
    throw new Error(`HDU ${hdu.name ?? ''} has ${data.length} values for ${hdu.width} × ${hdu.height} pixels`);
  }
  const out = Buffer.alloc(wholeBlocks(data.byteLength));
  // Copied by the data's own bytes, which are little-endian on every machine that Node 24 supports, then swapped.
  out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const used = out.subarray(0, data.byteLength);
  if (data.BYTES_PER_ELEMENT === 2) used.swap16();
  else if (data.BYTES_PER_ELEMENT === 4) used.swap32();
  else if (data.BYTES_PER_ELEMENT === 8) used.swap64();
  if (data instanceof Uint16Array) for (let b = 0; b < used.length; b += 2) used[b] ^= 0x80;
  return out;
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) { bytes.set(part, offset); offset += part.length; }
  return bytes;
}

function labelOf(hdu: FitsHdu): string {
  return hdu.name === '' ? `with axes [${hdu.axes.join(', ')}]` : hdu.name;
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end && i < bytes.length; i++) text += String.fromCharCode(bytes[i]);
  return text;
}

/** Bytes of the blocks that so many need. */
export function wholeBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
