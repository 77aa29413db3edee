/** The pool that works on a series' pixels; the main thread is free of them. */
import { Piscina } from 'piscina';
import { seriesConfig } from '../batch/series/config.ts';
import type { SeriesResult, SeriesTaskName, SeriesTasks } from '../batch/series/worker.ts';

export type SeriesPool = Readonly<{
  threads: number;
  /** Runs one task; a worker that died or did not end in time is a failure as any other. */
  run<Name extends SeriesTaskName>(kind: Name, input: SeriesTasks[Name][0]): Promise<SeriesResult<Name>>;
  close(): Promise<void>;
}>;

export function createSeriesPool(threads: number): SeriesPool {
  const pool = new Piscina({
    filename: new URL('../batch/series/worker.ts', import.meta.url).href,
    minThreads: 1, maxThreads: threads, concurrentTasksPerWorker: 1, idleTimeout: Infinity,
  });
  let isClosing = false;
  const inFlight = new Set<Promise<unknown>>();
  return {
    threads,
    run<Name extends SeriesTaskName>(kind: Name, input: SeriesTasks[Name][0]): Promise<SeriesResult<Name>> {
      if (isClosing) return Promise.resolve(failed('SERIES_STOPPED', 'the series was stopped'));
      // The worker answers a task of a kind with a result of that kind.
      const outcome = pool.run({ kind, input }, { signal: AbortSignal.timeout(seriesConfig.frameLimitMs) })
        .catch((error: unknown) => failed('WORKER_DIED', reasonOf(error as Error))) as Promise<SeriesResult<Name>>;
      inFlight.add(outcome);
      return outcome.finally(() => inFlight.delete(outcome));
    },
    async close() {
      isClosing = true;
      // A pool that is destroyed under a running task throws where nobody can catch it; a task takes seconds.
      await Promise.allSettled(inFlight);
      await pool.destroy();
    },
  };
}

function failed(code: string, message: string): Extract<SeriesResult<SeriesTaskName>, { status: 'failed' }> {
  return { status: 'failed', failure: { stage: 'process', code, message, details: {} } };
}

function reasonOf(error: Error): string {
  if (error.name === 'AbortError') return `it took longer than ${seriesConfig.frameLimitMs / 1000} s`;
  return `its worker failed: ${error.message}`;
}
