/** The pool of detector workers: one task a detector, several in flight, the main thread free of pixel work. */
import { Piscina } from 'piscina';
import { engineConfig } from '../config.ts';
import type { DetectorOutcome, DetectorTask } from './detectorTask.ts';

export type DetectorPool = Readonly<{
  /** Runs one task; a worker that died, or did not end in time, is a failure that may pass. */
  run(task: Omit<DetectorTask, 'cancel'>): Promise<DetectorOutcome>;
  close(): Promise<void>;
}>;

/** @param threads Detectors in flight at most; each has an arena of its own. */
export function createDetectorPool(threads: number): DetectorPool {
  const pool = new Piscina({
    filename: new URL('./detectorWorker.ts', import.meta.url).href,
    minThreads: threads, maxThreads: threads, concurrentTasksPerWorker: 1, idleTimeout: Infinity,
  });
  return {
    run: (task) => runLimited(pool, task),
    close: () => pool.destroy(),
  };
}

/** Asks the task to stop at its limit by the flag in shared memory, and ends its worker when it does not. */
async function runLimited(pool: Piscina, work: Omit<DetectorTask, 'cancel'>): Promise<DetectorOutcome> {
  const cancel = new Int32Array(new SharedArrayBuffer(4));
  const kill = new AbortController();
  const asked = setTimeout(() => Atomics.store(cancel, 0, 1), engineConfig.detectorLimitMs);
  const killed = setTimeout(() => kill.abort(), engineConfig.detectorLimitMs + engineConfig.workerGraceMs);
  try {
    return await pool.run({ ...work, cancel } satisfies DetectorTask, { signal: kill.signal }) as DetectorOutcome; // The worker's return type.
  } catch (error) {
    const message = kill.signal.aborted
      ? `detector ${work.detector} of visit ${work.visit} did not end within ${(engineConfig.detectorLimitMs + engineConfig.workerGraceMs) / 1000} s`
      : `the worker of detector ${work.detector} of visit ${work.visit} died: ${(error as Error).message}`;
    const code = kill.signal.aborted ? 'DETECTOR_TIMEOUT' : 'WORKER_DIED';
    return { status: 'failed', progress: [], failure: { stage: 'process', code, message, disposition: 'retry', details: {} } };
  } finally {
    clearTimeout(asked);
    clearTimeout(killed);
  }
}
