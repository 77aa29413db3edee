/** Files that a task reads must be the ones that its commit will name. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { InputFile } from './detectorTask.ts';

/** A file that is not the one named, or not there; one line. */
export class ChecksumError extends Error {
  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.name = 'ChecksumError';
  }
}

/** @throws ChecksumError when the file is missing or its SHA-256 differs. */
export function requireChecksum({ path, checksum }: InputFile): void {
  let bytes: Buffer;
  try { bytes = readFileSync(path); } catch (error) {
    throw new ChecksumError(path, `cannot be read (${(error as Error).message})`); // fs throws Errors.
  }
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== checksum) {
    throw new ChecksumError(path, `has SHA-256 ${actual.slice(0, 12)}…, announced was ${checksum.slice(0, 12)}…`);
  }
}

/** Files that were checked already: path and what the file system says of them. */
const checked = new Map<string, string>();

/**
 * As `requireChecksum`, once a file: products serve many visits, and reading 170 MB twice costs a tenth of a second.
 */
export function requireChecksumOnce(file: InputFile): void {
  let state: string;
  try {
    const { mtimeMs, size, ino } = statSync(file.path);
    state = `${mtimeMs} ${size} ${ino} ${file.checksum}`;
  } catch (error) {
    throw new ChecksumError(file.path, `cannot be read (${(error as Error).message})`); // fs throws Errors.
  }
  if (checked.get(file.path) === state) return;
  requireChecksum(file);
  checked.set(file.path, state);
}
