/** Large FITS files, written plane by plane: no copy of a whole plane is ever made. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { encodeInPlace } from '../kernels/decode.ts';
import { encodeHeader, wholeBlocks, type FitsHduOut, type ImagePlane } from './fits.ts';

/** What is turned round at a time: it stays in the second-level cache until it has been written. */
const CHUNK_BYTES = 256 * 1024;

/** A plane may be marked as used up: nobody needs its numbers once it is written, so that it is turned round in place. */
export type StreamedHdu = FitsHduOut & Readonly<{ isUsedUp?: boolean }>;

/**
 * As `writeFits`, the same bytes, for a file that is not compressed; replaces an older file whole.
 *
 * @param tables Whole extensions as bytes, as of `encodeTable`, to follow the HDUs.
 * @throws the file system's error; then nothing is left of the new file.
 */
export function streamFits(
  path: string, hdus: readonly StreamedHdu[], tables: readonly Uint8Array[] = [],
): void {
  const temporary = `${path}.${process.pid}.part`, file = openSync(temporary, 'w');
  try {
    hdus.forEach((hdu, i) => {
      writeAll(file, encodeHeader(hdu, i === 0));
      if (hdu.data !== null) writePlane(file, hdu.data, hdu.isUsedUp ?? false);
    });
    for (const table of tables) writeAll(file, table);
  } catch (error) {
    closeSync(file);
    rmSync(temporary);
    throw error;
  }
  closeSync(file);
  renameSync(temporary, path);
}

/** Numbers little-endian, as on every machine that Node 24 supports, become big-endian; the last block is filled. */
function writePlane(file: number, data: ImagePlane, isUsedUp: boolean): void {
  if (isUsedUp && (data instanceof Float32Array || data instanceof Uint16Array)) {
    const step = CHUNK_BYTES / data.BYTES_PER_ELEMENT;
    for (let at = 0; at < data.length; at += step) writeAll(file, encodeInPlace(data.subarray(at, at + step)));
    fillBlock(file, data.byteLength);
    return;
  }
  const chunk = Buffer.alloc(CHUNK_BYTES), words = new Uint32Array(chunk.buffer, chunk.byteOffset, CHUNK_BYTES >> 2);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    const part = chunk.subarray(0, Math.min(CHUNK_BYTES, bytes.length - start));
    chunk.set(bytes.subarray(start, start + part.length));
    // BZERO 32768: the unsigned value with its top bit flipped.
    if (data instanceof Uint16Array) for (let i = 0; 4 * i < part.length; i++) words[i] ^= 0x80008000;
    if (data.BYTES_PER_ELEMENT === 2) part.swap16();
    else if (data.BYTES_PER_ELEMENT === 4) part.swap32();
    else if (data.BYTES_PER_ELEMENT === 8) part.swap64();
    writeAll(file, part);
  }
  fillBlock(file, bytes.length);
}

function fillBlock(file: number, length: number): void {
  writeAll(file, new Uint8Array(wholeBlocks(length) - length));
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}
