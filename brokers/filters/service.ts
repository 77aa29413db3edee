/** Runs filters over a night's alerts and publishes what matches, each alert once per filter. */
import { DeliverPolicy, type JsMsg } from '@nats-io/jetstream';
import type { MsgHdrs } from '@nats-io/nats-core';
import type { DayObs } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { brokersConfig } from '../config.ts';
import { feedMessages, jetStreamOf, type FeedOptions } from '../messageFeed.ts';
import type { CompiledFilter, FilterableAlert } from './expression.ts';
import { filterHeaders, FilteredPublisher, headersFor, type Slot } from './publisher.ts';
import { startRankedFilters } from './rankedFilters.ts';
import { decodeOnce, tally, type Tally } from './tally.ts';

export { filterHeaders } from './publisher.ts';

/** What one filter has done in this run. A run after a crash looks again at what followed the last match. */
export type FilterProgress = Readonly<
  Tally & {
    filter: string;
    /** Matches written by this run. */
    published: number;
    /** Matches that were there already: written before a lost acknowledgement, or by another instance. */
    adopted: number;
    /** Of a ranked filter: matches beyond its user's cap. matched = published + adopted + dropped + late + waiting. */
    dropped: number;
    /** Of a ranked filter: matches that ALERTS stored after the selection of their visit had closed. */
    late: number;
    /** Sequence in ALERTS up to which all was evaluated. */
    alertSequence: number;
  }
>;

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
  readonly slot: Slot;
};

/**
 * Reads ALERTS in order and publishes the bytes of each match, unchanged, on the filter's own subject: at once for
 * filters without a rank, by selection (20 a visit and user) for those with one.
 *
 * The subject itself is the record of how far a filter got: the last message names its alert, and each publication
 * expects that message to be still the last one. So a crash between evaluation and publication, or a second
 * instance, neither loses nor doubles a match; the message id is only a first line of defence. Selections are
 * recorded on a subject of their own before they are delivered.
 * Resolves when `signal` fires or, if asked, when every alert of the stream was evaluated.
 *
 * @throws Error when a stream is missing, the server refuses a publication for good, or the connection is lost.
 */
export async function runFilterService(options: FilterServiceOptions): Promise<readonly FilterProgress[]> {
  const { connection, instrument, dayObs } = options;
  const { js, jsm } = await jetStreamOf(connection);
  const source = streams.alerts(instrument, dayObs);
  const publisher = new FilteredPublisher(js, jsm, streams.filtered(instrument, dayObs));
  const plain = options.filters.filter(({ definition }) => definition.rank === undefined);
  const running = await Promise.all(plain.map((compiled) => startPlain(publisher, instrument, dayObs, compiled)));
  const failure = new AbortController();
  const ranked = await startRankedFilters(options, publisher, (error) => failure.abort(error));
  const starts = [...running.map((filter) => filter.alertSequence + 1), ...ranked.resumeFrom];
  const start = Math.min(...starts);
  const consumer = await js.consumers.get(source, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: start,
  });
  let seen = start - 1;
  const progress = (): FilterProgress[] => {
    const all = [...running.map(progressOf), ...ranked.progress(seen)];
    return options.filters.map(({ label }) => find(all, label));
  };
  const handle = async (messages: readonly JsMsg[]): Promise<void> => {
    for (const message of messages) {
      if (options.signal.aborted) break;
      const alert = decodeOnce(message.data);
      await Promise.all(running.map((filter) => applyFilter(filter, message, alert, publisher)));
      ranked.observe(message, alert);
      seen = message.seq;
    }
    options.onProgress?.(progress());
  };
  const isCaughtUp = async (): Promise<boolean> => {
    const { state } = await jsm.streams.info(source);
    if (state.messages > 0 && seen < state.last_seq) return false;
    await ranked.closeAll();
    return true;
  };
  const kind = { handfulMax: brokersConfig.feedMessagesMax, isAcknowledged: false };
  const signal = AbortSignal.any([options.signal, failure.signal]);
  try {
    await feedMessages({ ...options, signal, stream: source }, consumer, kind, handle, isCaughtUp);
  } finally {
    await ranked.stop();
  }
  failure.signal.throwIfAborted();
  return progress();
}

async function startPlain(
  publisher: FilteredPublisher,
  instrument: string,
  dayObs: DayObs,
  compiled: CompiledFilter,
): Promise<RunningFilter> {
  const { user, name } = compiled.definition;
  const subject = subjects.filtered(user, name, instrument, dayObs);
  const last = await publisher.last(subject);
  const counts = { evaluated: 0, matched: 0, undecided: 0, errors: 0, lastError: null, published: 0, adopted: 0 };
  return {
    compiled,
    slot: { subject, subjectSequence: last?.sequence ?? 0 },
    filter: compiled.label,
    ...counts,
    dropped: 0,
    late: 0,
    alertSequence: last === null ? 0 : alertSequenceOf(subject, last.headers),
  };
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
  publisher: FilteredPublisher,
): Promise<void> {
  if (message.seq <= filter.alertSequence) return; // Of several filters this one had got further.
  if (tally(filter, filter.compiled, alert)) await publishMatch(filter, message, alert().diaSourceId, publisher);
  filter.alertSequence = Math.max(filter.alertSequence, message.seq);
}

async function publishMatch(
  filter: RunningFilter,
  message: JsMsg,
  diaSourceId: bigint,
  publisher: FilteredPublisher,
): Promise<void> {
  const { slot, compiled } = filter;
  const publication = {
    messageId: `${compiled.label}.${diaSourceId}`,
    headers: headersFor(compiled.label, { headers: message.headers, sequence: message.seq }),
    data: message.data,
  };
  const isOurs = await publisher.publish(slot, publication, (last) => {
    const reached = alertSequenceOf(slot.subject, last);
    if (reached >= message.seq) filter.alertSequence = Math.max(filter.alertSequence, reached);
    return reached >= message.seq;
  });
  if (isOurs) filter.published++;
  else filter.adopted++;
}

/** The alert that a message on a filter's subject came from. */
function alertSequenceOf(subject: string, headers: MsgHdrs): number {
  const sequence = Number(headers.get(filterHeaders.alertSequence));
  if (Number.isInteger(sequence) && sequence >= 1) return sequence;
  throw new Error(`${subject}: the last message does not name its alert (${filterHeaders.alertSequence})`);
}

function find(all: readonly FilterProgress[], label: string): FilterProgress {
  const found = all.find(({ filter }) => filter === label);
  if (found === undefined) throw new Error(`filter ${label} does not run`);
  return found;
}

function progressOf({ compiled: _compiled, slot: _slot, ...progress }: RunningFilter): FilterProgress {
  return { ...progress };
}
