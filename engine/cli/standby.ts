/** The stand-by of a night: waits beside the process that runs it, and goes on with the night when that one dies. */
import { setTimeout as sleep } from 'node:timers/promises';
import { engineConfig } from '../config.ts';
import { DirectoryInUse, lockDataDir } from '../setup/services.mjs';
import { note } from './output.ts';

type Lock = ReturnType<typeof lockDataDir>;

/**
 * Resolves with the data directory's lock as soon as nobody else has it: a process that is killed loses it at once.
 * Null when `signal` ended the wait.
 *
 * The lock says whose turn it is; that a night has one writer is the fence of COMMITS' doing, whatever locks say.
 */
export async function awaitTurn(dataDir: string, signal: AbortSignal): Promise<Lock | null> {
  for (let isTold = false; !signal.aborted; isTold = true) {
    try {
      return lockDataDir(dataDir, 'night');
    } catch (error) {
      if (!(error instanceof DirectoryInUse)) throw error;
      // Names who has it.
      if (!isTold) note(`stand-by: ${(error as Error).message}`);
    }
    await sleep(engineConfig.standbyPollMs, undefined, { signal }).catch(() => undefined);
  }
  return null;
}
