/** The ranked filters of all users: what closes a visit, and one thing at a time. */
import type { JetStreamManager, JsMsg } from '@nats-io/jetstream';
import { streams } from '../../schemas/subjects.ts';
import type { Visit } from '../../schemas/ids.ts';
import { brokersConfig } from '../config.ts';
import { jetStreamOf } from '../messageFeed.ts';
import type { FilterableAlert } from './expression.ts';
import type { FilteredPublisher } from './publisher.ts';
import type { ClosedBy } from './selection.ts';
import type { FilterProgress, FilterServiceOptions } from './service.ts';
import { UserSelections } from './userSelections.ts';
import { VisitClock } from './visitClock.ts';

export type RankedFilters = Readonly<{
  /** For each user the sequence of ALERTS to read from. */
  resumeFrom: readonly number[];
  /** To be called with every alert, in the order of ALERTS. */
  observe(message: JsMsg, alert: () => FilterableAlert): void;
  /** Selects and delivers for every visit that has alerts: no more are to come. */
  closeAll(): Promise<void>;
  progress(alertSequence: number): FilterProgress[];
  stop(): Promise<void>;
}>;

/**
 * Takes up the users' selections where they were left, and looks from then on for visits that are over.
 *
 * @param fail Called once when a selection cannot be recorded or delivered.
 */
export async function startRankedFilters(
  options: FilterServiceOptions,
  publisher: FilteredPublisher,
  fail: (error: Error) => void,
): Promise<RankedFilters> {
  const { connection, instrument, dayObs } = options;
  const filters = options.filters.filter(({ definition }) => definition.rank !== undefined);
  if (filters.length === 0) return NONE;
  const { js, jsm } = await jetStreamOf(connection);
  const names = [...new Set(filters.map(({ definition }) => definition.user))];
  const users = names.map((user) => {
    const own = filters.filter(({ definition }) => definition.user === user);
    return new UserSelections({ connection, js, jsm }, instrument, dayObs, user, own, publisher);
  });
  for (const user of users) await user.resume();
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
  return {
    resumeFrom: users.map((user) => user.resumeFrom),
    observe(message, alert) {
      for (const user of users) user.observe(message, alert);
      closing.seen = message.seq;
    },
    closeAll: () => closing.closeAll(),
    progress: (alertSequence) => users.flatMap((user) => user.filters.map(({ compiled, ...counts }) => ({
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

const NONE: RankedFilters = {
  resumeFrom: [], observe: () => undefined, closeAll: async () => undefined, progress: () => [],
  stop: async () => undefined,
};

/**
 * Closes visits. Once a visit is over, all its alerts are in ALERTS, so that the last sequence at that moment bounds
 * what has to be read before it can be selected from.
 */
class Closing {
  /** Last sequence of ALERTS that was observed. */
  seen = 0;
  readonly #users: readonly UserSelections[];
  readonly #clock: VisitClock;
  readonly #jsm: JetStreamManager;
  readonly #source: string;
  readonly #bounds = new Map<number, Readonly<{ closedBy: ClosedBy; upTo: number }>>();
  #work: Promise<void> = Promise.resolve();
  #isLooking = false;

  constructor(users: readonly UserSelections[], clock: VisitClock, jsm: JetStreamManager, source: string) {
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
    for (const user of this.#users) await user.deliver();
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
    for (const user of this.#users) {
      await user.close(visit, closedBy, this.#clock.readoutEndedMs(visit), this.seen);
    }
  }

  #openVisits(): readonly number[] {
    return [...new Set(this.#users.flatMap((user) => user.openVisits()))].sort((a, b) => a - b);
  }
}
