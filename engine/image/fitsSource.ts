/** Where a FITS file's bytes come from: memory, or a file of which only what is asked for is read. */
import { closeSync, fstatSync, openSync, readFileSync, readSync, type Stats } from 'node:fs';
import { FitsError } from './fitsHeader.ts';

export type FitsSource = Readonly<{
  size: number;
  /** Bytes from `start` on, as many as there are up to `length`. Read only. */
  read(start: number, length: number): Uint8Array;
  /** As `read`, into memory of the caller's. @throws FitsError when the file has changed meanwhile. */
  readInto: ReadInto;
  /** For many reads in a row: the file is opened and looked at once for all of them. @throws as `readInto`. */
  reading<T>(work: (readInto: ReadInto) => T): T;
}>;

export type ReadInto = (start: number, out: Uint8Array) => void;

/** Files up to this size are read whole at once: a header more or less costs as much as the bytes. */
const WHOLE_BYTES_MAX = 8 * 1024 ** 2;

export function memorySource(bytes: Uint8Array): FitsSource {
  const readInto: ReadInto = (start, out) => { out.set(bytes.subarray(start, start + out.length)); };
  return {
    size: bytes.length, read: (start, length) => bytes.subarray(start, start + length),
    readInto, reading: (work) => work(readInto),
  };
}

/** @throws FitsError, one line: missing, unreadable. */
export function fileSource(path: string): FitsSource {
  return reading(path, (file) => {
    const found = fstatSync(file), magic = new Uint8Array(2);
    readSync(file, magic, 0, 2, 0);
    const isGzip = magic[0] === 0x1f && magic[1] === 0x8b;
    if (isGzip || found.size <= WHOLE_BYTES_MAX || !found.isFile()) return memorySource(readFileSync(path));
    return partialSource(path, found);
  });
}

/** The file is opened anew each time, so that none stays open; it must still be the one that was looked at first. */
function partialSource(path: string, first: Stats): FitsSource {
  const changed = () => new FitsError('FITS_UNREADABLE', path, 'changed while it was read');
  const readAll = <T>(work: (readInto: ReadInto) => T): T => reading(path, (file) => {
    const now = fstatSync(file);
    if (now.ino !== first.ino || now.size !== first.size || now.mtimeMs !== first.mtimeMs) throw changed();
    return work((start, out) => {
      for (let done = 0; done < out.length;) {
        const count = readSync(file, out, done, out.length - done, start + done);
        if (count === 0) throw changed();
        done += count;
      }
    });
  });
  const readInto: ReadInto = (start, out) => readAll((read) => read(start, out));
  return {
    size: first.size, readInto, reading: readAll,
    read(start, length) {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, first.size - start)));
      readInto(start, bytes);
      return bytes;
    },
  };
}

function reading<T>(path: string, work: (file: number) => T): T {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    return work(file);
  } catch (cause) {
    // fs throws ErrnoExceptions, which name the call; anything else is of the work.
    if (!(cause instanceof Error) || !('syscall' in cause)) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new FitsError('FITS_MISSING', path, 'no such file', cause);
    throw new FitsError('FITS_UNREADABLE', path, `cannot be read (${message})`, cause);
  } finally {
    if (file !== null) closeSync(file);
  }
}
