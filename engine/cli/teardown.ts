/**
 * What was opened is closed in reverse order, whatever happened; a failure to close one thing does not keep the others
 * open.
 */
import { note } from './output.ts';

/**
 * Waits for the end of something, but not for ever.
 *
 * @throws Error of one line that names what did not end.
 */
export async function within<T>(limitMs: number, what: string, end: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${limitMs / 1000} s`)), limitMs);
  });
  try { return await Promise.race([end, tooLong]); } finally { clearTimeout(timer); }
}

export class Teardown {
  readonly #steps: (() => void | Promise<void>)[] = [];

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      // Steps throw Errors.
      try { await step(); } catch (error) { note(`vesper: while closing: ${(error as Error).message}`); }
    }
  }
}
