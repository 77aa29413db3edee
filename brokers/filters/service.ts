/** Runs filters over a night's alerts and publishes what matches, each alert once per filter. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
} from '@nats-io/jetstream';
import { headers as newHeaders, type MsgHdrs } from '@nats-io/nats-core';
import type { DayObs } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { brokersConfig } from '../config.ts';
import { feedMessages, jetStreamOf, type FeedOptions } from '../messageFeed.ts';
import type { CompiledFilter, FilterableAlert } from './expression.ts';
import { lazyAlert } from './lazyAlert.ts';

/** Headers that a filtered alert has beside those of the alert. */
export const filterHeaders = {
  /** Sequence in ALERTS of the alert: where the filter goes on after a crash. */
  alertSequence: 'alert-seq',
  /** `user.name@version`. */
  filter: 'filter',
} as const;

/** What one filter has done in this run. A run after a crash looks again at what followed the last match. */
export type FilterProgress = Readonly<{
  filter: string;
  evaluated: number;
  matched: number;
  /** Not matched because the answer depended on a null. */
  undecided: number;
  /** Evaluations (or packets) that failed; the alert is passed over. */
  errors: number;
  lastError: string | null;
  /** Matches written by this run. */
  published: number;
  /** Matches that were there already: written before a lost acknowledgement, or by another instance. */
  adopted: number;
  /** Sequence in ALERTS up to which all was evaluated. */
  alertSequence: number;
}>;

export type FilterServiceOptions = Omit<FeedOptions, 'stream'> &
  Readonly<{
    instrument: string;
    dayObs: DayObs;
    filters: readonly CompiledFilter[];
    /** Called after each handful of alerts. */
    onProgress?: (progress: readonly FilterProgress[]) => void;
  }>;

type RunningFilter = { -readonly [Key in keyof FilterProgress]: FilterProgress[Key] } & {
  readonly compiled: CompiledFilter;
  readonly subject: string;
  /** Sequence in FILTERED of the last message on this subject: what the next publication expects. */
  subjectSequence: number;
};

/**
 * Reads ALERTS in order and publishes the bytes of each match, unchanged, on the filter's own subject.
 *
 * The subject itself is the record of how far a filter got: the last message names its alert, and each publication
 * expects that message to be still the last one. So a crash between evaluation and publication, or a second
 * instance, neither loses nor doubles a match; the message id is only a first line of defence.
 * Resolves when `signal` fires or, if asked, when every alert of the stream was evaluated.
 *
 * @throws Error when a stream is missing, the server refuses a publication for good, or the connection is lost.
 */
export async function runFilterService(options: FilterServiceOptions): Promise<readonly FilterProgress[]> {
  const { connection, instrument, dayObs } = options;
  const { js, jsm } = await jetStreamOf(connection);
  const source = streams.alerts(instrument, dayObs);
  const publisher = new Publisher(js, jsm, streams.filtered(instrument, dayObs));
  const running = await Promise.all(
    options.filters.map(async (compiled): Promise<RunningFilter> => {
      const { user, name } = compiled.definition;
      const subject = subjects.filtered(user, name, instrument, dayObs);
      return {
        compiled,
        subject,
        filter: compiled.label,
        evaluated: 0,
        matched: 0,
        undecided: 0,
        errors: 0,
        lastError: null,
        published: 0,
        adopted: 0,
        ...(await publisher.lastOf(subject)),
      };
    }),
  );
  const start = Math.min(...running.map((filter) => filter.alertSequence)) + 1;
  const consumer = await js.consumers.get(source, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: start,
  });
  let seen = start - 1;
  const handle = async (messages: readonly JsMsg[]): Promise<void> => {
    for (const message of messages) {
      if (options.signal.aborted) break;
      const alert = decodeOnce(message.data);
      await Promise.all(running.map((filter) => applyFilter(filter, message, alert, publisher)));
      seen = message.seq;
    }
    options.onProgress?.(running.map(progressOf));
  };
  const isCaughtUp = async (): Promise<boolean> => {
    const { state } = await jsm.streams.info(source);
    return state.messages === 0 || seen >= state.last_seq;
  };
  const kind = { handfulMax: brokersConfig.feedMessagesMax, isAcknowledged: false };
  await feedMessages({ ...options, stream: source }, consumer, kind, handle, isCaughtUp);
  return running.map(progressOf);
}

/** What a filter makes of packets, computed from them alone: the check against what the service has published. */
export async function countMatches(
  compiled: CompiledFilter,
  packets: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Readonly<{ evaluated: number; matched: number; undecided: number; errors: number }>> {
  const count = { evaluated: 0, matched: 0, undecided: 0, errors: 0, lastError: null };
  for await (const packet of packets) tally(count, compiled, decodeOnce(packet));
  return { evaluated: count.evaluated, matched: count.matched, undecided: count.undecided, errors: count.errors };
}

async function applyFilter(
  filter: RunningFilter,
  message: JsMsg,
  alert: () => FilterableAlert,
  publisher: Publisher,
): Promise<void> {
  if (message.seq <= filter.alertSequence) return; // Of several filters this one had got further.
  if (tally(filter, filter.compiled, alert)) await publisher.publish(filter, message, alert().diaSourceId);
  filter.alertSequence = Math.max(filter.alertSequence, message.seq);
}

type Tally = { evaluated: number; matched: number; undecided: number; errors: number; lastError: string | null };

/** Evaluates one alert and counts; true when it matches. */
function tally(count: Tally, compiled: CompiledFilter, alert: () => FilterableAlert): boolean {
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

/** The alert of a packet, split when first asked for, for all filters together. */
function decodeOnce(packet: Uint8Array): () => FilterableAlert {
  let alert: FilterableAlert | null = null;
  return () => (alert ??= lazyAlert(packet));
}

class Publisher {
  readonly #js: JetStreamClient;
  readonly #jsm: JetStreamManager;
  readonly #stream: string;

  constructor(js: JetStreamClient, jsm: JetStreamManager, stream: string) {
    this.#js = js;
    this.#jsm = jsm;
    this.#stream = stream;
  }

  /** Where a filter stands by its own record; zeros before its first match. */
  async lastOf(subject: string): Promise<Readonly<{ subjectSequence: number; alertSequence: number }>> {
    const last = await this.#jsm.streams.getMessage(this.#stream, { last_by_subj: subject });
    if (last === null) return { subjectSequence: 0, alertSequence: 0 };
    const alertSequence = Number(last.header.get(filterHeaders.alertSequence));
    if (!Number.isInteger(alertSequence) || alertSequence < 1) {
      throw new Error(`${subject}: message ${last.seq} does not name its alert (${filterHeaders.alertSequence})`);
    }
    return { subjectSequence: last.seq, alertSequence };
  }

  async publish(filter: RunningFilter, message: JsMsg, diaSourceId: bigint): Promise<void> {
    const options = {
      msgID: `${filter.compiled.label}.${diaSourceId}`,
      headers: filteredHeaders(filter.filter, message),
      timeout: brokersConfig.requestTimeoutMs,
    };
    for (let attempt = 1; ; attempt++) {
      const expect = { streamName: this.#stream, lastSubjectSequence: filter.subjectSequence };
      let isDuplicate = false;
      try {
        const ack = await this.#js.publish(filter.subject, message.data, { ...options, expect });
        if (!ack.duplicate) {
          filter.published++;
          filter.subjectSequence = ack.seq;
          return;
        }
        isDuplicate = true;
      } catch (error) {
        await waitOrThrow(filter, error, attempt);
      }
      // Someone has written here: we, before an acknowledgement was lost, or another instance of this service.
      const last = await this.lastOf(filter.subject);
      filter.subjectSequence = last.subjectSequence;
      if (isDuplicate || last.alertSequence >= message.seq) {
        filter.adopted++;
        filter.alertSequence = Math.max(last.alertSequence, filter.alertSequence);
        return;
      }
    }
  }
}

/** Decides after a failed publication: another try, at once or after a pause, or the end. */
async function waitOrThrow(filter: RunningFilter, error: unknown, attempt: number): Promise<void> {
  const isRefused = error instanceof JetStreamApiError;
  const isOvertaken = isRefused && error.code === JetStreamApiCodes.StreamWrongLastSequence;
  if ((isRefused && !isOvertaken) || attempt >= brokersConfig.publishAttempts) {
    throw new Error(`filter ${filter.filter}: cannot publish on ${filter.subject}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (!isOvertaken) await sleep(100 * 2 ** attempt); // The server is away: 0.2 s, 0.4 s, 0.8 s, 1.6 s.
}

/** The alert's own headers, without those that the server acts on, and where it came from. */
function filteredHeaders(filter: string, message: JsMsg): MsgHdrs {
  const made = newHeaders();
  for (const [name, values] of message.headers ?? []) {
    if (!name.toLowerCase().startsWith('nats-')) for (const value of values) made.append(name, value);
  }
  made.set(filterHeaders.alertSequence, String(message.seq));
  made.set(filterHeaders.filter, filter);
  return made;
}

function progressOf(filter: RunningFilter): FilterProgress {
  const { evaluated, matched, undecided, errors, lastError, published, adopted, alertSequence } = filter;
  return {
    filter: filter.filter,
    evaluated,
    matched,
    undecided,
    errors,
    lastError,
    published,
    adopted,
    alertSequence,
  };
}
