/** Files that a task reads must be the ones that its commit will name. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { InputFile } from './detectorTask.ts';

/** A file that is not the one named, or not there; one line. */
export class ChecksumError extends Error {
  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.name = 'ChecksumError';
  }
}

/**
 * Files are read in pieces of this size, into one buffer: fresh memory for a whole product costs more than its digest.
 * A piece is still in the second-level cache when it is digested.
 */
const PIECE_BYTES = 256 * 1024;
let piece: Buffer | null = null;

/** SHA-256 of a file, hexadecimal. @throws ChecksumError when it cannot be read. */
function digestOf(path: string): string {
  const hash = createHash('sha256'), buffer = piece ??= Buffer.allocUnsafeSlow(PIECE_BYTES);
  try {
    const file = openSync(path, 'r');
    try {
      for (let count; (count = readSync(file, buffer, 0, PIECE_BYTES, null)) > 0;) hash.update(buffer.subarray(0, count));
    } finally { closeSync(file); }
  } catch (error) {
    throw new ChecksumError(path, `cannot be read (${(error as Error).message})`); // fs throws Errors.
  }
  return hash.digest('hex');
}

/** @throws ChecksumError when the file is missing or its SHA-256 differs. */
export function requireChecksum({ path, checksum }: InputFile): void {
  const actual = digestOf(path);
  if (actual !== checksum) {
    throw new ChecksumError(path, `has SHA-256 ${actual.slice(0, 12)}…, announced was ${checksum.slice(0, 12)}…`);
  }
}

/** What changes when a file does. @throws ChecksumError when there is none. */
export function fileState(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    throw new ChecksumError(path, `cannot be read (${(error as Error).message})`); // fs throws Errors.
  }
}

/** Files that were checked in this thread: by path, their state and digest then. */
const checked = new Map<string, string>();

/** As `requireChecksum`, but a file that was checked as it is now, here or where its task was made, is not read again. */
export function requireChecksumOnce(file: InputFile): void {
  const state = fileState(file.path), known = `${state} ${file.checksum}`;
  if (file.checkedState === state || checked.get(file.path) === known) return;
  requireChecksum(file);
  checked.set(file.path, known);
}
