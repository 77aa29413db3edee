/** Files that appear whole or not at all, and errors of one line. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const STAGED = '.staged';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the device', EDQUOT: 'the disk quota is used up', EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only', ENOTDIR: 'a part of its path is not a directory', EISDIR: 'it is a directory',
  EEXIST: 'a part of its path is not a directory', EIO: 'input/output error', EMFILE: 'too many open files',
};

/** A raw file that lies beside its final place until its readout has ended. */
export type StagedFile = Readonly<{ staged: string; path: string; bytes: number; checksum: string }>;

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Writes a file beside its final place; `publishStaged` moves it there.
 *
 * @param suffix Tells two stagings of one place apart.
 * @throws Error of one line; nothing is left behind.
 */
export function stage(path: string, bytes: Uint8Array, suffix = ''): StagedFile {
  const staged = `${path}${suffix}${STAGED}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(staged, bytes);
  } catch (error) {
    discard(staged);
    throw cannotWrite(path, error);
  }
  return { staged, path, bytes: bytes.byteLength, checksum: sha256(bytes) };
}

export function publishStaged(file: StagedFile): void {
  try {
    renameSync(file.staged, file.path);
  } catch (error) {
    discard(file.staged);
    throw cannotWrite(file.path, error);
  }
}

export function discardStaged(file: StagedFile): void {
  discard(file.staged);
}

/** Removes a file if it is there. Where not even that can be asked, no part of the file exists either. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    if (codeOf(error) !== 'ENOTDIR') throw error;
  }
}

/** Removes what a process that ended early left staged anywhere below a folder. */
export function removeStaged(folder: string): void {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith(STAGED)) discard(join(folder, name));
  }
}

/** Replaces a file as a whole. @throws Error of one line; the old file, if any, is untouched. */
export function writeWhole(path: string, bytes: Uint8Array | string): { bytes: number; checksum: string } {
  // A rendered frame of the same name may lie staged while its truncated twin is written.
  const file = stage(path, typeof bytes === 'string' ? Buffer.from(bytes) : bytes, '.whole');
  publishStaged(file);
  return { bytes: file.bytes, checksum: file.checksum };
}

/** SHA-256 of a file, or null when there is none. */
export function checksumOfFile(path: string): string | null {
  const bytes = readIfPresent(path);
  return bytes === null ? null : sha256(bytes);
}

/** The bytes of a file, or null when there is none. @throws Error of one line when it cannot be read. */
export function readIfPresent(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw new Error(`cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function cannotWrite(path: string, error: unknown): Error {
  return new Error(`cannot write ${path}: ${reasonOf(error)}`, { cause: error });
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return (code !== null && REASONS[code]) || (error instanceof Error ? error.message.split('\n')[0] : String(error));
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
