import type { JsMsg } from '@nats-io/jetstream';
import { alertHeaders } from '../../schemas/subjects.ts';
import type { CompiledFilter, FilterableAlert } from './expression.ts';
import { lazyAlert } from './lazyAlert.ts';

/** What a filter has made of the alerts that it was shown. */
export type Tally = {
  evaluated: number;
  matched: number;
  /** Not matched because the answer depended on a null. */
  undecided: number;
  /** Evaluations (or packets) that failed; the alert is passed over. */
  errors: number;
  lastError: string | null;
  /** Of every `TIMED_ONE_IN`th evaluation: how many, and their wall clock together. */
  timedEvaluations: number;
  timedMs: number;
};

/** Two looks at the clock cost 80 ns, a tenth of a short filter's evaluation: seldom enough to be no cost. */
const TIMED_ONE_IN = 16;

export function emptyTally(): Tally {
  return { evaluated: 0, matched: 0, undecided: 0, errors: 0, lastError: null, timedEvaluations: 0, timedMs: 0 };
}

/** Evaluates one alert and counts; true when it matches. */
export function tally(count: Tally, compiled: CompiledFilter, alert: () => FilterableAlert): boolean {
  const isTimed = count.evaluated++ % TIMED_ONE_IN === 0;
  let verdict;
  try {
    const decoded = alert(), startMs = isTimed ? performance.now() : 0;
    verdict = compiled.evaluate(decoded);
    if (isTimed) {
      count.timedEvaluations++;
      count.timedMs += performance.now() - startMs;
    }
  } catch (error) {
    // A packet that cannot be decoded is counted here and must not stop the filter for the alerts after it.
    verdict = { outcome: 'failed', reason: (error as Error).message } as const;
  }
  if (verdict.outcome === 'matched') count.matched++;
  if (verdict.outcome === 'undecided') count.undecided++;
  if (verdict.outcome === 'failed') {
    count.errors++;
    count.lastError = verdict.reason;
  }
  return verdict.outcome === 'matched';
}

/** The alert of a message, decoded when first asked for, for all filters together. */
export function decodeOnce(
  { data, headers }: Pick<JsMsg, 'data'> & Partial<Pick<JsMsg, 'headers'>>, decode: typeof lazyAlert = lazyAlert,
): () => FilterableAlert {
  let alert: FilterableAlert | null = null;
  return () => (alert ??= decode(data, headers?.get(alertHeaders.neighbours)));
}
