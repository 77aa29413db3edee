/** The simulator's own pool of threads. */
import { Piscina } from 'piscina';
import { renderConfig } from './config.ts';
import type { RenderResults, RenderTask, RenderWorkerData } from './renderTasks.ts';

export type Renderer = Readonly<{
  run: <Name extends RenderTask['task']>(task: Extract<RenderTask, { task: Name }>) => Promise<RenderResults[Name]>;
  close: () => Promise<void>;
}>;

/** Opens the pool. Results do not depend on the number of threads. */
export function createRenderer(workerData: RenderWorkerData, threads: number = renderConfig.threads): Renderer {
  const pool = new Piscina({
    filename: new URL('./renderWorker.ts', import.meta.url).href, workerData, minThreads: 0, maxThreads: threads,
    idleTimeout: renderConfig.idleTimeoutMs,
  });
  return {
    run: async (task) => pool.run(task),
    close: async () => { await pool.destroy(); },
  };
}
