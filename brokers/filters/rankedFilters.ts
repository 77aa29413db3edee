/** The ranked filters of all users: what closes a visit, and one thing at a time. */
import type { JetStreamManager, JsMsg } from '@nats-io/jetstream';
import { streams } from '../../schemas/subjects.ts';
import type { Visit } from '../../schemas/ids.ts';
import { brokersConfig } from '../config.ts';
import { jetStreamOf } from '../messageFeed.ts';
import type { CompiledFilter, FilterableAlert } from './expression.ts';
import type { FilteredPublisher } from './publisher.ts';
import type { ClosedBy } from './selection.ts';
import type { FilterProgress, FilterServiceOptions } from './service.ts';
import { UserSelections, visitOf } from './userSelections.ts';
import { VisitClock } from './visitClock.ts';

export type RankedFilters = Readonly<{
  /** For each user the sequence of ALERTS to read from. */
  resumeFrom: readonly number[];
  /** To be called before `observe` with all filters that it may be shown. */
  prepare(active: readonly CompiledFilter[]): Promise<void>;
  /**
   * To be called with every alert, in the order of ALERTS.
   *
   * @param active Filters at work when ALERTS stored it.
   */
  observe(message: JsMsg, alert: () => FilterableAlert, active: readonly CompiledFilter[]): void;
  /** Selects and delivers for every visit that has alerts: no more are to come. */
  closeAll(): Promise<void>;
  progress(alertSequence: number): FilterProgress[];
  stop(): Promise<void>;
}>;

/**
 * Takes up the users' selections where they were left, and looks from then on for visits that are over.
 *
 * @param active Filters at work now: their users' selections are read before the first alert.
 * @param fail Called once when a selection cannot be recorded or delivered.
 */
export async function startRankedFilters(
  options: FilterServiceOptions,
  publisher: FilteredPublisher,
  active: readonly CompiledFilter[],
  fail: (error: Error) => void,
): Promise<RankedFilters> {
  const { connection, instrument, dayObs } = options;
  const { js, jsm } = await jetStreamOf(connection);
  const users = new Map<string, UserSelections>();
  const prepare = async (filters: readonly CompiledFilter[]): Promise<void> => {
    for (const { definition: { user, rank } } of filters) {
      if (rank === undefined || users.has(user)) continue;
      const made = new UserSelections({ connection, js, jsm }, instrument, dayObs, user, publisher);
      await made.resume();
      users.set(user, made);
    }
  };
  await prepare(active);
  const source = streams.alerts(instrument, dayObs);
  const clock = new VisitClock(jsm, instrument);
  const ended = new AbortController();
  const { created } = await jsm.streams.info(source);
  const following = clock.follow(connection, new Date(Date.parse(created) - MARGIN_MS), ended.signal).catch(fail);
  const closing = new Closing(users, clock, jsm, source);
  let failures = 0;
  const look = async (): Promise<void> => {
    try {
      await closing.look();
      failures = 0;
    } catch (error) {
      // The server may be away for a moment; what was recorded meanwhile is taken up by the next look.
      if (++failures >= brokersConfig.publishAttempts) fail(error as Error); // Only Errors are thrown there.
    }
  };
  const timer = setInterval(() => void look(), brokersConfig.selectionPollMs);
  const visits = new VisitFilters();
  return {
    resumeFrom: [...users.values()].map((user) => user.resumeFrom),
    prepare,
    observe(message, alert, activeNow) {
      const byUser = visits.of(alert, activeNow);
      for (const [name, user] of users) user.observe(message, alert, byUser.get(name) ?? []);
      closing.seen = message.seq;
    },
    closeAll: () => closing.closeAll(),
    progress: (alertSequence) => [...users.values()].flatMap((user) => user.filters.map(({ compiled, ...counts }) => ({
      filter: compiled.label, ...counts, alertSequence,
    }))),
    async stop() {
      clearInterval(timer);
      ended.abort();
      await Promise.allSettled([following, closing.idle()]);
    },
  };
}

/** A night's streams are made before its first readout; clocks may differ a little. */
const MARGIN_MS = 3_600_000;

type ByUser = ReadonlyMap<string, readonly CompiledFilter[]>;

/** Each visit's ranked filters by user, as they were when its first alert came. */
class VisitFilters {
  readonly #visits = new Map<number, ByUser>();
  #lastActive: readonly CompiledFilter[] = [];
  #lastGrouped: ByUser = new Map();

  of(alert: () => FilterableAlert, active: readonly CompiledFilter[]): ByUser {
    const visit = visitOf(alert);
    if (visit === null) return this.#grouped(active);
    let found = this.#visits.get(visit);
    if (found === undefined) {
      found = this.#grouped(active);
      this.#visits.set(visit, found);
    }
    return found;
  }

  /** The roster gives the same list until it changes. */
  #grouped(active: readonly CompiledFilter[]): ByUser {
    if (active !== this.#lastActive) {
      const ranked = active.filter(({ definition }) => definition.rank !== undefined);
      this.#lastGrouped = Map.groupBy(ranked, ({ definition }) => definition.user);
      this.#lastActive = active;
    }
    return this.#lastGrouped;
  }
}

/**
 * Closes visits. Once a visit is over, all its alerts are in ALERTS, so that the last sequence at that moment bounds
 * what has to be read before it can be selected from.
 */
class Closing {
  /** Last sequence of ALERTS that was observed. */
  seen = 0;
  readonly #users: ReadonlyMap<string, UserSelections>;
  readonly #clock: VisitClock;
  readonly #jsm: JetStreamManager;
  readonly #source: string;
  readonly #bounds = new Map<number, Readonly<{ closedBy: ClosedBy; upTo: number }>>();
  #work: Promise<void> = Promise.resolve();
  #isLooking = false;

  constructor(users: ReadonlyMap<string, UserSelections>, clock: VisitClock, jsm: JetStreamManager, source: string) {
    this.#users = users;
    this.#clock = clock;
    this.#jsm = jsm;
    this.#source = source;
  }

  /** Closes what is over; while an earlier look is at work, nothing. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#inTurn(() => this.#closeEnded());
    } finally {
      this.#isLooking = false;
    }
  }

  closeAll(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#closeEnded();
      for (const visit of this.#openVisits()) await this.#close(visit, 'endOfStream');
    });
  }

  /** Resolves when nothing is being closed. */
  idle(): Promise<void> {
    return this.#work;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined); // The caller has the error.
    return done;
  }

  async #closeEnded(): Promise<void> {
    for (const user of this.#users.values()) await user.deliver();
    for (const visit of this.#openVisits()) {
      const bound = this.#bounds.get(visit) ?? await this.#boundOf(visit);
      if (bound === null || this.seen < bound.upTo) continue;
      await this.#close(visit, bound.closedBy);
      this.#bounds.delete(visit);
    }
  }

  /** Null while the visit is not over. */
  async #boundOf(visit: number): Promise<Readonly<{ closedBy: ClosedBy; upTo: number }> | null> {
    const closedBy = await this.#endOf(visit);
    if (closedBy === null) return null;
    const { state } = await this.#jsm.streams.info(this.#source);
    const bound = { closedBy, upTo: state.last_seq };
    this.#bounds.set(visit, bound);
    return bound;
  }

  async #endOf(visit: number): Promise<ClosedBy | null> {
    if (await this.#clock.isCompleted(visit as Visit)) return 'visitCompleted'; // Out of a diaSourceId.
    const readoutEndedMs = this.#clock.readoutEndedMs(visit);
    if (readoutEndedMs === null) return null;
    return Date.now() > readoutEndedMs + brokersConfig.selectionSeconds * 1000 ? 'deadline' : null;
  }

  async #close(visit: number, closedBy: ClosedBy): Promise<void> {
    for (const user of this.#users.values()) {
      await user.close(visit, closedBy, this.#clock.readoutEndedMs(visit), this.seen);
    }
  }

  #openVisits(): readonly number[] {
    return [...new Set([...this.#users.values()].flatMap((user) => user.openVisits()))].sort((a, b) => a - b);
  }
}
