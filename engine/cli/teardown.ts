/**
 * What was opened is closed in reverse order, whatever happened; a failure to close one thing does not keep the others
 * open.
 */
import { note } from './output.ts';

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
