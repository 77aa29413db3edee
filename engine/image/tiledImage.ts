/**
 * Tile-compressed images (FITS Standard 4.0, §10.1), as fpack and astropy write them: RICE_1, GZIP_1, GZIP_2 and
 * NOCOMPRESS; whole numbers, floats as they are, and floats quantized with or without dithering.
 */
import { FitsError, numberCard, requireNumber, stringCard, type FitsCard, type FitsHeader } from './fitsHeader.ts';

/** A column of the table of tiles: where in the row, and its TFORM's letter (P and Q: a descriptor, of `element`). */
type Column = Readonly<{ offset: number; kind: string; element: string }>;

export type TiledImage = Readonly<{
  method: 'RICE_1' | 'GZIP_1' | 'GZIP_2' | 'NOCOMPRESS';
  columns: Readonly<Record<string, Column>>;
  rowBytes: number; rowCount: number; heapStart: number;
  width: number; height: number; tileWidth: number; tileHeight: number;
  /** Of Rice: pixels of a block, bytes of a number. */
  blockSize: number; numberBytes: number;
  /** Of quantized floats, where a keyword gives it for all tiles. */
  scale: number | null; zero: number | null; blank: number | null;
  quantization: 'none' | 'dither1' | 'dither2'; ditherSeed: number;
  /** Of the whole HDU's data, 32 bits; null where it is not given. */
  dataSum: number | null;
}>;

const METHODS: Readonly<Record<string, TiledImage['method']>> = {
  RICE_1: 'RICE_1', RICE_ONE: 'RICE_1', GZIP_1: 'GZIP_1', GZIP_2: 'GZIP_2', NOCOMPRESS: 'NOCOMPRESS',
};
const QUANTIZATIONS: Readonly<Record<string, TiledImage['quantization']>> = {
  NO_DITHER: 'none', NONE: 'none', SUBTRACTIVE_DITHER_1: 'dither1', SUBTRACTIVE_DITHER_2: 'dither2',
};
const ELEMENT_BYTES: Readonly<Record<string, number>> = { L: 1, B: 1, I: 2, J: 4, K: 8, E: 4, D: 8, P: 8, Q: 16 };
/** Keywords of the table itself, which an image does not have. */
const TABLE_KEYWORDS = new RegExp(`^(${[
  'XTENSION|BITPIX|NAXIS\\d*|PCOUNT|GCOUNT|TFIELDS|THEAP|CHECKSUM|DATASUM', 'T(TYPE|FORM|UNIT|DISP|NULL|DIM)\\d+',
  'Z(IMAGE|SIMPLE|TENSION|BITPIX|NAXIS\\d*|PCOUNT|GCOUNT|EXTEND|CMPTYPE|QUANTIZ|DITHER0|HECKSUM|DATASUM|BLOCKED)',
  'Z(TILE|NAME|VAL)\\d+',
].join('|')})$`);

export function isTiledImage(header: FitsHeader): boolean {
  return stringCard(header, 'XTENSION') === 'BINTABLE'
    && header.some(([name, value]) => name === 'ZIMAGE' && value === true);
}

/** The header of the image that was compressed. */
export function imageHeaderOf(header: FitsHeader): FitsHeader {
  const structure: FitsCard[] = [
    ['XTENSION', 'IMAGE'], ...header.flatMap(([name, value]): FitsCard[] =>
      (/^Z(BITPIX|NAXIS\d*)$/.test(name) ? [[name.slice(1), value]] : [])),
  ];
  return [...structure, ...header.filter(([name]) => !TABLE_KEYWORDS.test(name))];
}

/** @throws FitsError: FITS_COMPRESSION for a method that is not supported, FITS_HEADER for a table that is none. */
export function tiledImageOf(header: FitsHeader, axes: readonly number[], path: string): TiledImage {
  const name = stringCard(header, 'ZCMPTYPE') ?? 'none', method = METHODS[name];
  if (method === undefined) throw new FitsError('FITS_COMPRESSION', path, `compression ${name} is not supported`);
  const quantize = stringCard(header, 'ZQUANTIZ') ?? 'NO_DITHER', quantization = QUANTIZATIONS[quantize];
  if (quantization === undefined) {
    throw new FitsError('FITS_COMPRESSION', path, `quantization ${quantize} is not supported`);
  }
  const [width, height] = [axes[0] ?? 0, axes[1] ?? 1], rowBytes = requireNumber(header, 'NAXIS1', path);
  const rowCount = requireNumber(header, 'NAXIS2', path), parameters = parametersOf(header);
  const numberBytes = parameters['BYTEPIX'] ?? 4, blockSize = parameters['BLOCKSIZE'] ?? 32;
  if (![1, 2, 4].includes(numberBytes) || !Number.isInteger(blockSize) || blockSize < 1) {
    throw new FitsError('FITS_COMPRESSION', path,
      `Rice blocks of ${blockSize} numbers of ${numberBytes} bytes are not supported`);
  }
  const tile = (axis: number, fallback: number): number => {
    const length = numberCard(header, `ZTILE${axis}`) ?? fallback;
    if (Number.isInteger(length) && length >= 1) return length;
    throw new FitsError('FITS_HEADER', path, `ZTILE${axis} is ${length}`);
  };
  const sum = Number(stringCard(header, 'DATASUM') ?? NaN);
  return {
    method, columns: columnsOf(header, path), rowBytes, rowCount,
    heapStart: numberCard(header, 'THEAP') ?? rowBytes * rowCount, width, height,
    tileWidth: Math.min(tile(1, width), Math.max(width, 1)), tileHeight: Math.min(tile(2, 1), Math.max(height, 1)),
    blockSize, numberBytes, quantization, ditherSeed: numberCard(header, 'ZDITHER0') ?? 1,
    scale: numberCard(header, 'ZSCALE'), zero: numberCard(header, 'ZZERO'), blank: numberCard(header, 'ZBLANK'),
    dataSum: Number.isInteger(sum) ? sum : null,
  };
}

/** ZNAMEn = ZVALn. */
function parametersOf(header: FitsHeader): Readonly<Record<string, number>> {
  return Object.fromEntries(header.flatMap(([keyword, name]) => {
    const value = keyword.startsWith('ZNAME') ? numberCard(header, `ZVAL${keyword.slice(5)}`) : null;
    return value === null || typeof name !== 'string' ? [] : [[name, value]];
  }));
}

function columnsOf(header: FitsHeader, path: string): Readonly<Record<string, Column>> {
  const columns: Record<string, Column> = {};
  let offset = 0;
  for (let i = 1; i <= requireNumber(header, 'TFIELDS', path); i++) {
    const form = stringCard(header, `TFORM${i}`) ?? '', parts = /^(\d*)([A-Z])([A-Z]?)/.exec(form.trim());
    if (parts === null || !(parts[2] in ELEMENT_BYTES)) {
      throw new FitsError('FITS_HEADER', path, `TFORM${i} is "${form}"`);
    }
    columns[stringCard(header, `TTYPE${i}`) ?? `${i}`] = { offset, kind: parts[2], element: parts[3] };
    offset += (parts[1] === '' ? 1 : Number(parts[1])) * ELEMENT_BYTES[parts[2]];
  }
  return columns;
}
