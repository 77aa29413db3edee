/** CPU time of one step after another: user and system, all threads of the process. */
export type CpuMs = () => number;

export class StepClock {
  readonly #now: CpuMs;
  #last: number;
  readonly #steps: Record<string, number> = {};

  /** @param now CPU time of the process so far, ms. */
  constructor(now: CpuMs) {
    this.#now = now;
    this.#last = 0;
    this.end('start');
  }

  /** Books what was spent since the last step's end. */
  end(step: string): void {
    const now = this.#now();
    this.#steps[step] = (this.#steps[step] ?? 0) + now - this.#last;
    this.#last = now;
  }

  /** Milliseconds of each step in order, and of the whole process. */
  report(): Record<string, number> {
    const rounded = Object.entries(this.#steps).map(([step, ms]) => [step, Math.round(ms * 10) / 10] as const);
    return { ...Object.fromEntries(rounded), total: Math.round(this.#last * 10) / 10 };
  }
}
