/**
 * The spool: content-addressed files, synced before the commit that names them (law 2). One folder an instrument and
 * night, so that retention removes whole nights.
 */
import {
  closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { sha256, type SpoolFile } from '../../schemas/commit.ts';
import type { DayObs } from '../../schemas/ids.ts';

export class Spool {
  readonly #folder: string;

  constructor(dataDir: string, instrument: string, dayObs: DayObs) {
    this.#folder = join(dataDir, 'spool', instrument, String(dayObs));
  }

  /**
   * Writes bytes and syncs them and their folder; a file that is there already is the same file.
   *
   * @throws Error of one line when the disk is full or not writable; no partial file stays.
   */
  write(bytes: Uint8Array): SpoolFile {
    const digest = sha256(bytes);
    const path = this.#path(digest);
    if (existsSync(path)) return { digest, bytes: bytes.length };
    const folder = dirname(path), temporary = `${path}.${process.pid}.part`;
    try {
      mkdirSync(folder, { recursive: true });
      const file = openSync(temporary, 'w');
      try {
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
        fsyncSync(file);
      } finally { closeSync(file); }
      renameSync(temporary, path);
      syncFolder(folder);
    } catch (error) {
      if (existsSync(temporary)) rmSync(temporary);
      throw new Error(`cannot write the spool file ${path}: ${(error as Error).message}`, { cause: error });
    }
    return { digest, bytes: bytes.length };
  }

  /** @throws Error of one line when the file is missing or its digest is not the one committed. */
  read(file: SpoolFile): Buffer {
    const path = this.#path(file.digest);
    let bytes: Buffer;
    try { bytes = readFileSync(path); } catch (error) {
      throw new Error(`spool file ${path} is missing: ${(error as Error).message}`, { cause: error });
    }
    if (sha256(bytes) !== file.digest) {
      throw new Error(`spool file ${path} is damaged: its digest differs from the commit's`);
    }
    return bytes;
  }

  /** Removes the night's files, except those named: rows that lie nowhere else. */
  clear(keep: ReadonlySet<string>): void {
    if (!existsSync(this.#folder)) return;
    if (keep.size === 0) { rmSync(this.#folder, { recursive: true }); return; }
    for (const entry of readdirSync(this.#folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && !keep.has(entry.name)) rmSync(join(entry.parentPath, entry.name));
    }
  }

  #path(digest: string): string {
    return join(this.#folder, digest.slice(0, 2), digest);
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try { fsyncSync(handle); } finally { closeSync(handle); }
}
