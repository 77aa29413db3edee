/** The pool of detector workers: one task a detector, several in flight, the main thread free of pixel work. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Piscina } from 'piscina';
import { engineConfig } from '../config.ts';
import type { DetectorOutcome, DetectorTask, WorkerSetting } from './detectorTask.ts';

export type DetectorPool = Readonly<{
  /** Runs one task; a worker that died, or did not end in time, is a failure that may pass. */
  run(task: Omit<DetectorTask, 'cancel'>): Promise<DetectorOutcome>;
  /** Resolves when no task is under way. */
  idle(): Promise<void>;
  close(): Promise<void>;
}>;

/**
 * @param threads Detectors in flight at most; each has an arena of its own.
 * @param isBackground Threads of the lowest priority, made when they are needed.
 */
export function createDetectorPool(threads: number, isBackground = false): DetectorPool {
  const pool = new Piscina({
    filename: new URL('./detectorWorker.ts', import.meta.url).href,
    minThreads: isBackground ? 0 : threads, maxThreads: threads, concurrentTasksPerWorker: 1, idleTimeout: Infinity,
    workerData: { isBackground } satisfies WorkerSetting,
  });
  const inFlight = new Map<Int32Array, Promise<DetectorOutcome>>();
  const slots = new Slots(threads);
  return {
    async run(work) {
      // A task's time runs from its start: one that had to wait is late, and late alerts are better than none.
      if (!await slots.take(engineConfig.detectorQueueLimitMs)) return waitedTooLong(work);
      const cancel = new Int32Array(new SharedArrayBuffer(4));
      const outcome = runLimited(pool, { ...work, cancel }).finally(() => {
        inFlight.delete(cancel);
        slots.giveBack();
      });
      inFlight.set(cancel, outcome);
      return outcome;
    },
    async idle() {
      while (inFlight.size > 0) await Promise.allSettled(inFlight.values());
    },
    async close() {
      slots.close();
      // A pool that is destroyed under a running task throws where nobody can catch it: ask the tasks to stop, then
      // wait.
      for (const cancel of inFlight.keys()) Atomics.store(cancel, 0, 1);
      await Promise.race([Promise.allSettled(inFlight.values()), sleep(engineConfig.workerGraceMs)]);
      await pool.destroy();
    },
  };
}

/** Places in the pool, given in the order in which they were asked for. */
class Slots {
  #free: number;
  readonly #waiting = new Set<(isGiven: boolean) => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves to false when none came within `limitMs`, or the pool was closed. */
  take(limitMs: number): Promise<boolean> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => answer(false), limitMs);
      const answer = (isGiven: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(answer);
        resolve(isGiven);
      };
      this.#waiting.add(answer);
    });
  }

  giveBack(): void {
    const [next] = this.#waiting;
    if (next) next(true); else this.#free++;
  }

  close(): void {
    for (const answer of [...this.#waiting]) answer(false);
  }
}

function waitedTooLong({ detector, visit }: Readonly<{ detector: number; visit: number }>): DetectorOutcome {
  const waitedSeconds = engineConfig.detectorQueueLimitMs / 1000;
  const message = `detector ${detector} of visit ${visit} waited ${waitedSeconds} s for a worker`;
  return {
    status: 'failed', progress: [],
    failure: { stage: 'process', code: 'QUEUE_TOO_LONG', message, disposition: 'reject', details: {} },
  };
}

/** Asks the task to stop at its limit by the flag in shared memory, and ends its worker when it does not. */
async function runLimited(pool: Piscina, task: DetectorTask): Promise<DetectorOutcome> {
  const kill = new AbortController();
  const killMs = engineConfig.detectorLimitMs + engineConfig.workerGraceMs;
  const asked = setTimeout(() => Atomics.store(task.cancel, 0, 1), engineConfig.detectorLimitMs);
  const killed = setTimeout(() => kill.abort(), killMs);
  try {
    return await pool.run(task, { signal: kill.signal }) as DetectorOutcome; // The worker's return type.
  } catch (error) {
    const message = kill.signal.aborted
      ? `detector ${task.detector} of visit ${task.visit} did not end within ${killMs / 1000} s`
      : `the worker of detector ${task.detector} of visit ${task.visit} died: ${(error as Error).message}`;
    const code = kill.signal.aborted ? 'DETECTOR_TIMEOUT' : 'WORKER_DIED';
    return {
      status: 'failed', progress: [], failure: { stage: 'process', code, message, disposition: 'retry', details: {} },
    };
  } finally {
    clearTimeout(asked);
    clearTimeout(killed);
  }
}
