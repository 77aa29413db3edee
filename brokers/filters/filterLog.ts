/** The stream FILTERS: changes are checked, written behind what the writer has seen, and read by whoever filters. */
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { readStored } from '../../engine/stream/readStream.ts';
import type { Log } from '../../engine/stream/log.ts';
import { lastSequence, openFilterChanges } from '../../engine/stream/streams.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { brokersConfig } from '../config.ts';
import { jetStreamOf } from '../messageFeed.ts';
import { compileFilter, type CompiledFilter, type FilterDefinition } from './expression.ts';
import { predefinedFilters } from './predefined.ts';
import { FilterBook, type FilterChange, type FilterRecord, type TrialRecord } from './filterBook.ts';

/** A change that is refused; its message is the one line to tell. */
export class FilterChangeRefused extends Error {
  /** As in HTTP: 403 not allowed, 404 no such filter, 409 another state, 422 the definition is wrong. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'FilterChangeRefused';
    this.status = status;
  }
}

/** Who asks for a change. Operators may change every filter, and alone have filters without a cap. */
export type Actor = Readonly<{ user: string; isOperator: boolean }>;

/** What a definition may say, beside whose it is. */
export type FilterText = Readonly<
  { summary: string } & Pick<FilterDefinition, 'expression' | 'rank' | 'region'>
>;

/** Filters at work, for the service: `FilterLog` is one, and so is a fixed list. */
export type FilterRoster = Readonly<{
  /** Takes in what was changed until now. */
  refresh(): Promise<void>;
  /** At a time of the server, ns since 1970. */
  activeAt(timeNanos: bigint): readonly CompiledFilter[];
  /** All that were at work at some time from then on. */
  activeSince(timeNanos: bigint): readonly CompiledFilter[];
}>;

export function fixedRoster(filters: readonly CompiledFilter[]): FilterRoster {
  return { refresh: async () => undefined, activeAt: () => filters, activeSince: () => filters };
}

/** As `FilterLog.open`, on a connection. */
export async function openFilterLog(connection: NatsConnection): Promise<FilterLog> {
  return FilterLog.open({ connection, ...await jetStreamOf(connection) });
}

export class FilterLog implements FilterRoster {
  readonly #log: Log;
  readonly #book = new FilterBook();
  #seen = 0;
  #reading: Promise<void> = Promise.resolve();

  private constructor(log: Log) {
    this.#log = log;
  }

  /** Makes the stream where there is none, and reads what it holds. */
  static async open(log: Log): Promise<FilterLog> {
    await openFilterChanges(log);
    const made = new FilterLog(log);
    await made.refresh();
    return made;
  }

  refresh(): Promise<void> {
    const work = this.#reading.then(() => this.#readOn());
    this.#reading = work.catch(() => undefined); // The caller has the error.
    return work;
  }

  activeAt(timeNanos: bigint): readonly CompiledFilter[] {
    return this.#book.activeAt(timeNanos);
  }

  activeSince(timeNanos: bigint): readonly CompiledFilter[] {
    return this.#book.activeSince(timeNanos);
  }

  list(): readonly FilterRecord[] {
    return this.#book.list();
  }

  get problems(): readonly string[] {
    return this.#book.problems;
  }

  /** @throws FilterChangeRefused when there is none. */
  find(user: string, name: string): FilterRecord {
    const found = this.#book.find(user, name);
    if (found === null) throw new FilterChangeRefused(404, `there is no filter ${user}.${name}`);
    return found;
  }

  /** The definition of a label, `user.name@version`, or null. */
  definitionOf(label: string): FilterDefinition | null {
    const [, user, name, version] = /^([\w-]+)\.([\w-]+)@(\d+)$/.exec(label) ?? [];
    if (user === undefined) return null;
    const versions = this.#book.find(user, name)?.versions ?? [];
    return versions.find(({ definition }) => definition.version === Number(version))?.definition ?? null;
  }

  /** A version of a filter: the one given, else the newest. @throws FilterChangeRefused when there is none. */
  definition(user: string, name: string, version: number | null): FilterDefinition {
    const { versions } = this.find(user, name);
    const found = version === null
      ? versions.at(-1) : versions.find(({ definition }) => definition.version === version);
    if (found === undefined) throw new FilterChangeRefused(404, `${user}.${name} has no version ${version}`);
    return found.definition;
  }

  /**
   * Records a new filter or a new version; it is not at work before it is activated.
   *
   * @param isNew True: there must be none of the name yet. False: there must be one.
   * @throws FilterChangeRefused when the actor may not, or the definition does not compile.
   */
  async define(actor: Actor, user: string, name: string, isNew: boolean, text: FilterText): Promise<FilterRecord> {
    await this.refresh();
    assertOwner(actor, user, name);
    const known = this.#book.find(user, name);
    if (isNew && known !== null) throw new FilterChangeRefused(409, `there is a filter ${user}.${name} already`);
    if (!isNew && known === null) throw new FilterChangeRefused(404, `there is no filter ${user}.${name}`);
    if (known === null && this.list().filter((each) => each.user === user).length >= brokersConfig.filtersPerUserMax) {
      throw new FilterChangeRefused(409, `${user} has ${brokersConfig.filtersPerUserMax} filters, which are the most`);
    }
    const { summary, ...rest } = text;
    if (summary.length > brokersConfig.filterSummaryLengthMax || /\p{Cc}/u.test(summary)) {
      throw new FilterChangeRefused(422, `a summary is one line of ${brokersConfig.filterSummaryLengthMax} characters`);
    }
    // Who is capped and gives no rank gets the best measured.
    const rank = rest.rank ?? (actor.isOperator ? undefined : brokersConfig.filterRankDefault);
    const before = known?.versions.at(-1)?.definition;
    if (before !== undefined && (before.rank === undefined) !== (rank === undefined)) {
      throw new FilterChangeRefused(409, `${user}.${name} cannot change between having and not having a rank`);
    }
    const version = (before?.version ?? 0) + 1;
    const definition: FilterDefinition = { ...rest, user, name, version, ...(rank === undefined ? {} : { rank }) };
    try {
      compileFilter(definition);
    } catch (error) {
      throw new FilterChangeRefused(422, (error as Error).message);
    }
    return this.#write({ type: 'FilterDefined', user, name, by: actor.user, version, definition, summary });
  }

  /** Puts a version to work, in place of the one before. @throws FilterChangeRefused. */
  async activate(
    actor: Actor, user: string, name: string, version: number, trial: TrialRecord,
  ): Promise<FilterRecord> {
    await this.refresh();
    assertOwner(actor, user, name);
    this.definition(user, name, version);
    const others = this.list().filter((each) => each.active !== null && !(each.user === user && each.name === name));
    if (others.length >= brokersConfig.filtersActiveMax) {
      throw new FilterChangeRefused(409, `${others.length} filters are at work, which are the most`);
    }
    return this.#write({ type: 'FilterActivated', user, name, by: actor.user, version, trial });
  }

  /** Takes a filter off work; what it has selected stays. @throws FilterChangeRefused. */
  async deactivate(actor: Actor, user: string, name: string): Promise<FilterRecord> {
    await this.refresh();
    assertOwner(actor, user, name);
    const known = this.find(user, name);
    if (known.active === null) throw new FilterChangeRefused(409, `${user}.${name} is not active`);
    if (`${user}.${name}` === ALWAYS_ACTIVE) {
      throw new FilterChangeRefused(409, `${ALWAYS_ACTIVE} is what every night is counted with: it stays active`);
    }
    return this.#write({ type: 'FilterDeactivated', user, name, by: actor.user });
  }

  /** Records the filters that ship, or their versions of this release, and puts them to work; what is off stays off. */
  async recordShipped(): Promise<void> {
    await this.refresh();
    for (const { summary, ...definition } of Object.values(predefinedFilters)) {
      const { user, name, version } = definition;
      const known = this.#book.find(user, name);
      if (known?.versions.some((each) => each.definition.version === version)) continue;
      const named = { user, name, by: user, version };
      await this.#write({ ...named, type: 'FilterDefined', definition, summary });
      if (known === null || known.active !== null) await this.#write({ ...named, type: 'FilterActivated', trial: null });
    }
  }

  async #write(change: FilterChange): Promise<FilterRecord> {
    const { user, name } = change;
    const lastSubjectSequence = this.#book.find(user, name)?.sequence ?? 0;
    try {
      await this.#log.js.publish(subjects.filterChanges(user, name), JSON.stringify(change), {
        expect: { streamName: streams.filterChanges(), lastSubjectSequence },
      });
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence) {
        throw new FilterChangeRefused(409, `${user}.${name} was changed by someone else meanwhile: look again`);
      }
      throw error;
    }
    await this.refresh();
    return this.find(user, name);
  }

  async #readOn(): Promise<void> {
    const stream = streams.filterChanges();
    const last = await lastSequence(this.#log, stream) ?? 0;
    if (last <= this.#seen) return;
    for await (const message of readStored(this.#log, stream, this.#seen + 1, last)) {
      this.#book.apply({
        sequence: message.seq, timeNanos: message.timestampNanos, change: parseChange(message.data, message.seq),
      });
      this.#seen = message.seq;
    }
  }
}

/** The filter that `verify` and the night's own consumer are counted with. */
export const ALWAYS_ACTIVE = 'vesper.bright';

const TYPES: ReadonlySet<unknown> = new Set(['FilterDefined', 'FilterActivated', 'FilterDeactivated']);

/** @throws Error that names the message when it is no change that this version knows. */
function parseChange(bytes: Uint8Array, sequence: number): FilterChange {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as Partial<FilterChange> | null;
    if (TYPES.has(value?.type)) return value as FilterChange; // Written by `FilterLog` alone, of a known type.
  } catch {
    // Told below.
  }
  throw new Error(`FILTERS has a change at ${sequence} that is not known here`);
}

function assertOwner(actor: Actor, user: string, name: string): void {
  if (actor.isOperator || actor.user === user) return;
  throw new FilterChangeRefused(403, `${user}.${name} is not ${actor.user}'s to change`);
}
