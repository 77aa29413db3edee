/** Runs filters over a night's alerts and publishes what matches, each alert once per filter. */
import { DeliverPolicy, type JsMsg } from '@nats-io/jetstream';
import type { DayObs } from '../../schemas/ids.ts';
import { streams } from '../../schemas/subjects.ts';
import { brokersConfig } from '../config.ts';
import { feedMessages, jetStreamOf, type FeedOptions } from '../messageFeed.ts';
import type { CompiledFilter } from './expression.ts';
import { fixedRoster, type FilterRoster } from './filterLog.ts';
import { alertProjection, type AlertProjection } from './projectedAlert.ts';
import { PlainFilters } from './plainFilters.ts';
import { FilteredPublisher } from './publisher.ts';
import { startRankedFilters } from './rankedFilters.ts';
import { decodeOnce, emptyTally, tally, type Tally } from './tally.ts';

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
    /** Filters that are at work all night … */
    filters: readonly CompiledFilter[];
    /** … and those that come and go while it runs. */
    roster?: FilterRoster;
    /** Whether a user may have cutouts; by default all may. */
    hasPixels?: (user: string) => boolean;
    /** Called after each handful of alerts. */
    onProgress?: (progress: readonly FilterProgress[]) => void;
  }>;

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
  const publisher = new FilteredPublisher(js, jsm, streams.filtered(instrument, dayObs), options.hasPixels);
  const roster = options.roster ?? fixedRoster([]);
  await roster.refresh();
  const { created } = await jsm.streams.info(source);
  const tonight = [...options.filters, ...roster.activeSince(BigInt(Date.parse(created)) * 1_000_000n)];
  const plain = new PlainFilters(publisher, instrument, dayObs);
  await plain.prepare(tonight);
  const failure = new AbortController();
  const ranked = await startRankedFilters(options, publisher, tonight, (error) => failure.abort(error));
  const start = Math.max(1, Math.min(Infinity, ...plain.resumeFrom, ...ranked.resumeFrom));
  const consumer = await js.consumers.get(source, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Number.isFinite(start) ? start : 1,
  });
  const activeAt = joined(options.filters, roster);
  const projection = new GrowingProjection(tonight);
  let seen = Number.isFinite(start) ? start - 1 : 0;
  const progress = (): FilterProgress[] => {
    const all = [...plain.progress(), ...ranked.progress(seen)];
    const fixed = options.filters.map(({ label }) => find(all, label));
    return [...fixed, ...all.filter((each) => !fixed.includes(each))];
  };
  const handle = async (messages: readonly JsMsg[]): Promise<void> => {
    // Whatever was changed before any of these alerts was stored is in FILTERS by now.
    await roster.refresh();
    const actives = messages.map((message) => activeAt(message.timestampNanos));
    for (const active of new Set(actives)) {
      projection.include(active);
      await plain.prepare(active);
      await ranked.prepare(active);
    }
    for (const [i, message] of messages.entries()) {
      if (options.signal.aborted) break;
      const alert = decodeOnce(message, projection.decode);
      await plain.apply(message, alert, actives[i]);
      ranked.observe(message, alert, actives[i]);
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
  const { feedMessagesMax } = brokersConfig;
  const kind = { handfulMax: feedMessagesMax, readAheadMax: feedMessagesMax, isAcknowledged: false };
  const signal = AbortSignal.any([options.signal, failure.signal]);
  try {
    await feedMessages({ ...options, signal, stream: source }, consumer, kind, handle, isCaughtUp);
  } finally {
    await ranked.stop();
  }
  failure.signal.throwIfAborted();
  options.onProgress?.(progress()); // With what the last selections took and left.
  return progress();
}

/** What a filter makes of packets, computed from them alone: the check against what the service has published. */
export async function countMatches(
  compiled: CompiledFilter,
  packets: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Readonly<{ evaluated: number; matched: number; undecided: number; errors: number }>> {
  const count = emptyTally();
  for await (const packet of packets) tally(count, compiled, decodeOnce({ data: packet }));
  return { evaluated: count.evaluated, matched: count.matched, undecided: count.undecided, errors: count.errors };
}

function find(all: readonly FilterProgress[], label: string): FilterProgress {
  const found = all.find(({ filter }) => filter === label);
  if (found === undefined) throw new Error(`filter ${label} does not run`);
  return found;
}

/** Decodes what the filters of this run read; a filter that was taken off may still have a visit open. */
class GrowingProjection {
  decode: AlertProjection;
  readonly #reads: Set<string>;
  #last: readonly CompiledFilter[] = [];

  constructor(filters: readonly CompiledFilter[]) {
    this.#reads = new Set(filters.flatMap(({ reads }) => [...reads]));
    this.decode = alertProjection(this.#reads);
  }

  include(filters: readonly CompiledFilter[]): void {
    if (filters === this.#last) return;
    this.#last = filters;
    const before = this.#reads.size;
    for (const { reads } of filters) for (const name of reads) this.#reads.add(name);
    if (this.#reads.size > before) this.decode = alertProjection(this.#reads);
  }
}

/** Filters at work at a time; the same list as long as nothing changes. */
function joined(
  fixed: readonly CompiledFilter[], roster: FilterRoster,
): (timeNanos: bigint) => readonly CompiledFilter[] {
  let lastRoster: readonly CompiledFilter[] = [];
  let last = fixed;
  return (timeNanos) => {
    const active = roster.activeAt(timeNanos);
    if (active !== lastRoster) {
      lastRoster = active;
      last = fixed.length === 0 ? active : [...fixed, ...active];
    }
    return last;
  };
}
