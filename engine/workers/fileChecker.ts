/**
 * Checks files ahead of their use. While the shutter is open the cores have little to do: a visit's templates and
 * calibrations, some 400 MB a detector of 4k × 4k, are read into the page cache then and compared with their digests, so
 * that after readout nobody has to.
 */
import { Piscina } from 'piscina';
import type { InputFile } from './detectorTask.ts';
import { ChecksumError, fileState } from './inputFiles.ts';

export type FileChecker = Readonly<{
  /** Reads the files that are not known as they are now, one after another; ends early when the checker is closed. */
  check(files: readonly InputFile[]): Promise<void>;
  /** The file with what was found of it. */
  known(file: InputFile): InputFile;
  close(): Promise<void>;
}>;

/** One thread, of the lowest priority: alerts of the visit before are not held up. */
export function createFileChecker(): FileChecker {
  const pool = new Piscina({
    filename: new URL('./fileCheck.ts', import.meta.url).href,
    minThreads: 0, maxThreads: 1, concurrentTasksPerWorker: 1, idleTimeout: Infinity,
  });
  const states = new Map<string, string>(), running = new Set<Promise<unknown>>();
  let isClosed = false;
  const keyOf = ({ path, checksum }: InputFile): string => `${checksum} ${path}`;
  const checkOne = async (file: InputFile): Promise<void> => {
    const found = pool.run(file) as Promise<string | null>; // The worker's return type.
    running.add(found);
    const state = await found.finally(() => running.delete(found));
    if (state !== null) states.set(keyOf(file), state);
  };
  return {
    async check(files) {
      for (const file of files) {
        if (isClosed) return;
        if (!isAsKnown(file.path, states.get(keyOf(file)))) await checkOne(file);
      }
    },
    known: (file) => ({ ...file, checkedState: states.get(keyOf(file)) ?? null }),
    async close() {
      isClosed = true;
      // A pool that is destroyed under a running task throws where nobody can catch it.
      await Promise.allSettled(running);
      await pool.destroy();
    },
  };
}

function isAsKnown(path: string, state: string | undefined): boolean {
  if (state === undefined) return false;
  try { return fileState(path) === state; } catch (error) {
    if (error instanceof ChecksumError) return false;
    throw error;
  }
}
