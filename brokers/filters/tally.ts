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
};

/** Evaluates one alert and counts; true when it matches. */
export function tally(count: Tally, compiled: CompiledFilter, alert: () => FilterableAlert): boolean {
  count.evaluated++;
  let verdict;
  try {
    verdict = compiled.evaluate(alert());
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
