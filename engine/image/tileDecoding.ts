/** Pixels of tile-compressed images. */
import { gunzipSync } from 'node:zlib';
import { decodeRiceRows, decodeRiceTile } from '../kernels/rice.ts';
import { FitsError } from './fitsHeader.ts';
import type { TiledImage } from './tiledImage.ts';

/** What is decoded: the HDU's type of number and its data, table and heap. */
export type TiledData = Readonly<{ path: string; name: string; bitpix: number; bytes: Uint8Array; tiles: TiledImage }>;

/** Scale and zero of whole numbers, and the stored number that means "no value", or null. */
type Scaling = Readonly<{ scale: number; zero: number; blank: number | null }>;

/** Stored numbers of quantized floats that stand for NaN, and in SUBTRACTIVE_DITHER_2 for an exact 0 (cfitsio's). */
const QUANTIZED_NULLS: readonly number[] = [-2147483647, -2147483648];
const QUANTIZED_ZERO = -2147483646;

/**
 * Decodes a compressed image with its scales applied.
 *
 * @param out [height × width] row-major, overwritten; NaN where a number says that it is blank. Integers are rounded.
 * @throws FitsError: FITS_TILE for a tile, or the whole of them, that is damaged or missing.
 */
export function decodeTiles(
  data: TiledData, scaling: Scaling, out: Float32Array | Float64Array | Uint16Array,
): void {
  const { tiles, bytes } = data, { width, height, tileWidth, tileHeight } = tiles;
  if (tiles.dataSum !== null && sumOf(bytes) !== tiles.dataSum) {
    throw damaged(data, 'its bytes do not have their DATASUM');
  }
  const across = Math.ceil(width / tileWidth), count = across * Math.ceil(height / tileHeight);
  if (count > tiles.rowCount) throw damaged(data, `${tiles.rowCount} tiles, of ${count}`);
  if (out instanceof Uint16Array && decodeCounts(data, scaling, out)) return;
  for (let tile = 0; tile < count; tile++) {
    const x0 = (tile % across) * tileWidth, y0 = Math.floor(tile / across) * tileHeight;
    const columns = Math.min(tileWidth, width - x0), rows = Math.min(tileHeight, height - y0);
    const values = tileValues(data, tile, columns * rows, scaling);
    for (let y = 0, i = 0; y < rows; y++) {
      for (let x = 0, to = (y0 + y) * width + x0; x < columns; x++, i++, to++) {
        out[to] = out instanceof Uint16Array ? Math.round(values[i]) : values[i];
      }
    }
  }
}

/** The usual raw image, whose tiles are rows of unsigned 16-bit counts, in one go. False when it is another. */
function decodeCounts(data: TiledData, { scale, zero, blank }: Scaling, out: Uint16Array): boolean {
  const { tiles, bitpix, bytes } = data, { method, numberBytes, width, height, tileWidth, tileHeight } = tiles;
  if (method !== 'RICE_1' || numberBytes !== 2 || bitpix !== 16 || tileWidth !== width || tileHeight !== 1
    || scale !== 1 || zero !== 32768 || blank !== null) return false;
  const places = new Int32Array(2 * height);
  for (let y = 0; y < height; y++) {
    const place = placeOf(data, 'COMPRESSED_DATA', y);
    if (place === null || place.count === 0) return false;
    places[2 * y] = place.start;
    places[2 * y + 1] = place.count;
  }
  const bad = decodeRiceRows(bytes, places, width, tiles.blockSize, 0x8000, out);
  if (bad >= 0) throw damaged(data, `tile ${bad + 1}`);
  return true;
}

/** Scaled values of one tile. */
function tileValues(data: TiledData, tile: number, count: number, scaling: Scaling): Float64Array {
  const compressed = placeOf(data, 'COMPRESSED_DATA', tile), plainFloat = placeOf(data, 'GZIP_COMPRESSED_DATA', tile);
  const plain = placeOf(data, 'UNCOMPRESSED_DATA', tile), { bytes, bitpix, tiles } = data;
  const part = ({ start, count: length }: Place, size: number) => bytes.subarray(start, start + length * size);
  if (compressed !== null && compressed.count > 0) {
    const quantum = quantumOf(data, tile), stored = part(compressed, 1);
    if (quantum === null && bitpix < 0) {
      return numbersOf(data, tile, inflated(data, tile, stored, bitpix), bitpix, count);
    }
    const kind = quantum !== null ? 32 : bitpix;
    const whole = tiles.method === 'RICE_1' ? riceOf(data, tile, stored, count)
      : numbersOf(data, tile, inflated(data, tile, stored, kind), kind, count);
    return quantum === null ? scaled(whole, scaling) : dequantized(data, tile, whole, quantum);
  }
  if (plainFloat !== null && plainFloat.count > 0) {
    const values = numbersOf(data, tile, unzipped(data, tile, part(plainFloat, 1)), bitpix, count);
    return bitpix < 0 ? values : scaled(values, scaling);
  }
  if (plain === null || plain.count === 0) throw damaged(data, `tile ${tile + 1}, which has no bytes`);
  const values = numbersOf(data, tile, part(plain, Math.abs(bitpix) / 8), bitpix, count);
  return bitpix < 0 ? values : scaled(values, scaling);
}

function scaled(values: Float64Array, { scale, zero, blank }: Scaling): Float64Array {
  return values.map((value) => (value === blank ? NaN : value * scale + zero));
}

type Place = Readonly<{ start: number; count: number }>;

/** Where a tile's elements lie in the data; null when there is no such column. */
function placeOf(data: TiledData, name: string, tile: number): Place | null {
  const { bytes, tiles } = data, column = tiles.columns[name];
  if (column === undefined) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at = tile * tiles.rowBytes + column.offset;
  const wide = column.kind === 'Q', size = name === 'UNCOMPRESSED_DATA' ? Math.abs(data.bitpix) / 8 : 1;
  const count = wide ? Number(view.getBigInt64(at)) : view.getInt32(at);
  const start = tiles.heapStart + (wide ? Number(view.getBigInt64(at + 8)) : view.getInt32(at + 4));
  if (count < 0 || start < tiles.heapStart || start + count * size > bytes.length) {
    throw damaged(data, `tile ${tile + 1}, which lies outside the file`);
  }
  return { start, count };
}

/** Step and zero of a tile of quantized floats; null where the numbers are not quantized. */
function quantumOf({ bytes, tiles, bitpix }: TiledData, tile: number): { scale: number; zero: number } | null {
  if (bitpix > 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const of = (name: string, keyword: number | null): number | null => {
    const column = tiles.columns[name];
    if (column === undefined) return keyword;
    const at = tile * tiles.rowBytes + column.offset;
    return column.kind === 'E' ? view.getFloat32(at) : view.getFloat64(at);
  };
  const scale = of('ZSCALE', tiles.scale), zero = of('ZZERO', tiles.zero);
  return scale === null || zero === null ? null : { scale, zero };
}

function riceOf(data: TiledData, tile: number, stored: Uint8Array, count: number): Float64Array {
  const out = new Int32Array(count), { blockSize, numberBytes } = data.tiles;
  if (!decodeRiceTile(stored, blockSize, numberBytes, out)) throw damaged(data, `tile ${tile + 1}`);
  return Float64Array.from(out);
}

/** GZIP_2 keeps all first bytes, then all second ones. */
function inflated(data: TiledData, tile: number, stored: Uint8Array, bitpix: number): Uint8Array {
  if (data.tiles.method === 'NOCOMPRESS') return stored;
  const bytes = unzipped(data, tile, stored);
  if (data.tiles.method !== 'GZIP_2') return bytes;
  const size = Math.abs(bitpix) / 8, count = bytes.length / size, out = new Uint8Array(bytes.length);
  for (let k = 0, from = 0; k < size; k++) for (let i = 0; i < count; i++) out[i * size + k] = bytes[from++];
  return out;
}

function unzipped(data: TiledData, tile: number, stored: Uint8Array): Uint8Array {
  try {
    return gunzipSync(stored);
  } catch (cause) {
    throw damaged(data, `tile ${tile + 1} (${(cause as Error).message})`, cause); // zlib throws Errors.
  }
}

/** Big-endian numbers of a BITPIX. */
function numbersOf(data: TiledData, tile: number, bytes: Uint8Array, bitpix: number, count: number): Float64Array {
  if (bytes.length !== (count * Math.abs(bitpix)) / 8) {
    throw damaged(data, `tile ${tile + 1}, of ${bytes.length} bytes for ${count} pixels`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Float64Array.from({ length: count }, (_, i) => (bitpix === 16 ? view.getInt16(2 * i)
    : bitpix === 32 ? view.getInt32(4 * i) : bitpix === -32 ? view.getFloat32(4 * i)
    : bitpix === -64 ? view.getFloat64(8 * i) : bytes[i]));
}

/** (stored − dither + ½) × scale + zero; the dithers are cfitsio's, drawn again for each tile (§10.2.1). */
function dequantized(
  { tiles }: TiledData, tile: number, whole: Float64Array, { scale, zero }: { scale: number; zero: number },
): Float64Array {
  const isNull = (value: number) => value === tiles.blank || (tiles.blank === null && QUANTIZED_NULLS.includes(value));
  if (tiles.quantization === 'none') return whole.map((value) => (isNull(value) ? NaN : value * scale + zero));
  const draws = dithers();
  let seed = (tile + tiles.ditherSeed - 1) % draws.length, next = Math.trunc(draws[seed] * 500);
  return whole.map((value) => {
    const dither = draws[next++];
    if (next === draws.length) {
      seed = (seed + 1) % draws.length;
      next = Math.trunc(draws[seed] * 500);
    }
    if (isNull(value)) return NaN;
    if (tiles.quantization === 'dither2' && value === QUANTIZED_ZERO) return 0;
    return (value - dither + 0.5) * scale + zero;
  });
}

let ditherDraws: Float32Array | null = null;

/** Park & Miller's minimal standard generator from 1, of which the Standard prints the last of 10,000: 1043618065. */
function dithers(): Float32Array {
  if (ditherDraws !== null) return ditherDraws;
  let state = 1;
  ditherDraws = Float32Array.from({ length: 10_000 }, () => {
    state = (16_807 * state) % 2_147_483_647;
    return state / 2_147_483_647;
  });
  return ditherDraws;
}

/** 32-bit ones' complement sum (§J). */
function sumOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length), whole = bytes.length & ~3;
  let sum = 0;
  for (let i = 0; i < whole; i += 4) sum += view.getUint32(i);
  for (let i = whole, shift = 24; i < bytes.length; i++, shift -= 8) sum += bytes[i] * 2 ** shift;
  while (sum > 0xffffffff) sum = (sum % 0x100000000) + Math.floor(sum / 0x100000000);
  return sum;
}

function damaged({ path, name }: TiledData, what: string, cause?: unknown): FitsError {
  return new FitsError('FITS_TILE', path, `compressed image ${name} is damaged: ${what}`, cause);
}
