/** The simulator's own pool of threads. */
import { Piscina } from 'piscina';
import { renderConfig } from './config.ts';
import type { RenderResults, RenderTask, RenderWorkerData } from './renderTasks.ts';

export type Renderer = Readonly<{
  /** Rejects with the task's own error, or when the pool is closed before the task began. */
  run: <Name extends RenderTask['task']>(task: Extract<RenderTask, { task: Name }>) => Promise<RenderResults[Name]>;
  /** Lets the tasks under way end, which takes a fraction of a second, drops the others and ends the threads. */
  close: () => Promise<void>;
}>;

/**
 * Opens the pool. Results do not depend on the number of threads.
 *
 * Tasks wait here, and Piscina is given no more than it has threads: it cannot drop waiting tasks and let running
 * ones end. `destroy` with a task under way throws "Unexpected message from Worker" where nobody can catch it, and
 * `close` takes two tasks done by one worker for two workers done (5.3.2).
 */
export function createRenderer(workerData: RenderWorkerData, threads: number = renderConfig.threads): Renderer {
  const pool = new Piscina({
    filename: new URL('./renderWorker.ts', import.meta.url).href, workerData, minThreads: 0, maxThreads: threads,
    idleTimeout: renderConfig.idleTimeoutMs,
  });
  const waiting: (() => void)[] = [], underWay = new Set<Promise<unknown>>();
  let isClosed = false;
  return {
    async run(task) {
      while (underWay.size >= threads && !isClosed) await new Promise<void>((resolve) => { waiting.push(resolve); });
      if (isClosed) throw new Error('the observatory was closed');
      const result = pool.run(task);
      underWay.add(result);
      try {
        return await result;
      } finally {
        underWay.delete(result);
        waiting.shift()?.();
      }
    },
    async close() {
      isClosed = true;
      for (const resume of waiting.splice(0)) resume();
      await Promise.allSettled(underWay);
      await pool.destroy();
    },
  };
}
