/** The solar-system objects of a running night: loaded beside it, waited for a little, never in its way. */
import { engineConfig } from '../config.ts';
import type { KnownBodies } from './knownBodies.ts';

export class NightBodies {
  readonly #load: () => Promise<KnownBodies | null>;
  readonly #note: (line: string) => void;
  readonly #limitMs: number;
  #loading: Promise<KnownBodies | null> | null = null;
  #isLate = false;

  /** @param load Null when the instrument has no orbits yet. Fails with an Error of one line. */
  constructor(
    load: () => Promise<KnownBodies | null>, note: (line: string) => void,
    limitMs: number = engineConfig.knownBodiesLimitMs,
  ) {
    this.#load = load;
    this.#note = note;
    this.#limitMs = limitMs;
  }

  /** Begins to load, or looks again where there was nothing. A failure is told, and the night goes on without. */
  begin(): void {
    if (this.#loading) return;
    const loading = this.#load().catch((error: unknown) => {
      // Loaders throw Errors.
      this.#note(`the night goes on without solar-system objects: ${(error as Error).message}`);
      return undefined;
    });
    this.#loading = loading.then((bodies) => {
      if (bodies === null) this.#loading = null; // Orbits may be imported before the next visit.
      return bodies ?? null;
    });
  }

  /** The bodies, or null when there are none, or none in time: then the sources become diaObjects. */
  async inTime(): Promise<KnownBodies | null> {
    if (!this.#loading) return null;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => { timer = setTimeout(() => resolve('late'), this.#limitMs); });
    const bodies = await Promise.race([this.#loading, late]);
    clearTimeout(timer);
    if (bodies !== 'late') return bodies;
    if (!this.#isLate) this.#note('the orbits are still being read: alerts leave without solar-system objects');
    this.#isLate = true;
    return null;
  }
}
