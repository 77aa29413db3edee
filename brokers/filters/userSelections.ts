/** The ranked filters of one user at work: collects a visit's matches, records what is selected, delivers it. */
import type { JsMsg } from '@nats-io/jetstream';
import { headers as newHeaders } from '@nats-io/nats-core';
import { partsOfDiaSourceId, type DayObs } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import type { Log } from '../../engine/stream/log.ts';
import { brokersConfig } from '../config.ts';
import type { CompiledFilter, FilterableAlert } from './expression.ts';
import { filterHeaders, FilteredPublisher, headersFor, type Slot } from './publisher.ts';
import {
  decodeSelection,
  encodeSelection,
  selectAlerts,
  type Candidate,
  type ClosedBy,
  type FilterSelection,
  type VisitSelection,
} from './selection.ts';
import { emptyTally, tally, type Tally } from './tally.ts';

/** Name of the subject of a user's selections, beside the filters'; no filter can have it. */
export const SELECTION_NAME = '_selection';

/** A selection as FILTERED holds it. */
export type StoredSelection = Readonly<{ sequence: number; selection: VisitSelection }>;

/** One filter's counts in this run. */
export type RankedFilter = Tally & {
  readonly compiled: CompiledFilter;
  published: number;
  adopted: number;
  dropped: number;
  late: number;
};

type OpenVisit = {
  /** Of the visit's first alert in ALERTS. */
  readonly firstSequence: number;
  /** The user's ranked filters at work when that was stored: a change holds from the next visit on. */
  readonly filters: readonly RankedFilter[];
  readonly candidates: Map<RankedFilter, Candidate[]>;
};

export class UserSelections {
  readonly user: string;
  readonly #filters = new Map<string, RankedFilter>();
  readonly #log: Log;
  readonly #alerts: string;
  readonly #filtered: string;
  readonly #publisher: FilteredPublisher;
  readonly #slot: Slot;
  readonly #slots = new Map<string, FilterSlot>();
  readonly #subjectOf: (name: string) => string;
  readonly #open = new Map<number, OpenVisit>();
  /** Visits with an entry, and up to which sequence of ALERTS that looked. */
  readonly #closed = new Map<number, number>();
  /** Entries whose alerts may not all be on their subjects yet, oldest first. */
  readonly #undelivered: StoredSelection[] = [];
  /** Sequence in FILTERED of the last entry that was taken over. */
  #adoptedUpTo = 0;
  #resumeFrom = 1;

  constructor(
    log: Log,
    instrument: string,
    dayObs: DayObs,
    user: string,
    publisher: FilteredPublisher,
  ) {
    this.user = user;
    this.#log = log;
    this.#alerts = streams.alerts(instrument, dayObs);
    this.#filtered = streams.filtered(instrument, dayObs);
    this.#publisher = publisher;
    this.#subjectOf = (name) => subjects.filtered(user, name, instrument, dayObs);
    this.#slot = { subject: this.#subjectOf(SELECTION_NAME), subjectSequence: 0 };
  }

  /** Sequence of ALERTS to read from. */
  get resumeFrom(): number {
    return this.#resumeFrom;
  }

  /** Filters that were at work in this run. */
  get filters(): readonly RankedFilter[] {
    return [...this.#filters.values()];
  }

  /** Visits with alerts that wait for their selection. */
  openVisits(): readonly number[] {
    return [...this.#open.keys()];
  }

  /** Takes over what is recorded, and delivers what of it was not: to be called first. */
  async resume(): Promise<void> {
    await this.#adoptEntries();
  }

  /**
   * Evaluates the user's filters on one alert.
   *
   * @param active The user's ranked filters that were at work when the visit's first alert was stored.
   */
  observe(message: JsMsg, alert: () => FilterableAlert, active: readonly CompiledFilter[]): void {
    if (message.seq < this.#resumeFrom) return;
    const visit = visitOf(alert);
    const closedUpTo = visit === null ? undefined : this.#closed.get(visit);
    if (closedUpTo !== undefined && message.seq <= closedUpTo) return; // Its entry has counted it.
    const open = visit === null || closedUpTo !== undefined ? null : this.#openVisit(visit, message.seq, active);
    for (const filter of open?.filters ?? active.map((compiled) => this.#running(compiled))) {
      if (!tally(filter, filter.compiled, alert)) continue;
      // Whatever matched could be decoded, so it has an id and a visit.
      if (open === null) filter.late++;
      else this.#keep(filter, open, message, alert());
    }
  }

  /**
   * Records the selection of a visit and delivers it. When another instance has recorded one, that one holds.
   *
   * @param upTo Last sequence of ALERTS that `observe` has seen.
   */
  async close(visit: number, closedBy: ClosedBy, readoutEndedMs: number | null, upTo: number): Promise<void> {
    while (this.#open.has(visit)) {
      if (this.#open.get(visit)?.candidates.size === 0) {
        this.#open.delete(visit); // Nothing is owed, so there is nothing to record.
        return;
      }
      const selection = this.#select(visit, closedBy, readoutEndedMs, upTo);
      const headers = newHeaders();
      headers.set(filterHeaders.filter, `${this.user}.${SELECTION_NAME}`);
      const messageId = `${this.user}.${SELECTION_NAME}.${visit}`;
      this.#slot.subjectSequence = this.#adoptedUpTo;
      const isOurs = await this.#publisher.publish(
        this.#slot,
        { messageId, headers, data: encodeSelection(selection) },
        () => true, // Any other entry has to be read before ours can be written.
      );
      if (isOurs) await this.#adopt({ sequence: this.#slot.subjectSequence, selection });
      else await this.#adoptEntries();
    }
  }

  #openVisit(visit: number, firstSequence: number, active: readonly CompiledFilter[]): OpenVisit {
    let open = this.#open.get(visit);
    if (open === undefined) {
      open = { firstSequence, filters: active.map((compiled) => this.#running(compiled)), candidates: new Map() };
      this.#open.set(visit, open);
    }
    return open;
  }

  #running(compiled: CompiledFilter): RankedFilter {
    let filter = this.#filters.get(compiled.label);
    if (filter === undefined) {
      filter = { compiled, ...emptyCounts() };
      this.#filters.set(compiled.label, filter);
    }
    return filter;
  }

  #keep(filter: RankedFilter, open: OpenVisit, message: JsMsg, alert: FilterableAlert): void {
    const candidates = open.candidates.get(filter) ?? [];
    open.candidates.set(filter, candidates);
    candidates.push({
      diaSourceId: alert.diaSourceId,
      alertSequence: message.seq,
      rank: filter.compiled.rankOf(alert),
      storedMs: message.time.getTime(),
    });
  }

  #select(visit: number, closedBy: ClosedBy, readoutEndedMs: number | null, upTo: number): VisitSelection {
    const closesAtMs = readoutEndedMs === null ? null : readoutEndedMs + brokersConfig.selectionSeconds * 1000;
    const open = this.#open.get(visit);
    const others = [...this.#open].filter(([each]) => each !== visit).map(([, { firstSequence }]) => firstSequence);
    const filters = (open?.filters ?? []).map((filter) => {
      const { name, expression, rank = '' } = filter.compiled.definition;
      const candidates = (open?.candidates.get(filter) ?? []).filter((each) => each.alertSequence <= upTo);
      return { name, filter: filter.compiled.label, expression, rank, candidates };
    });
    return {
      selectionVersion: 1,
      user: this.user,
      visit,
      closedBy,
      closesAtMs,
      upTo,
      resumeFrom: Math.min(upTo + 1, ...others),
      alertsMax: brokersConfig.filteredAlertsPerVisitMax,
      filters: selectAlerts(filters, closesAtMs),
    };
  }

  /** Reads the entries behind `after` and takes them over in their order. */
  async #adoptEntries(): Promise<void> {
    const found: StoredSelection[] = [];
    for await (const message of readStored(
      this.#log, this.#filtered, this.#adoptedUpTo + 1, undefined, this.#slot.subject,
    )) {
      found.push({ sequence: message.seq, selection: decodeSelection(message.data) });
    }
    for (const stored of found) await this.#adopt(stored);
  }

  /** Delivers what is recorded, in the order of the entries; what fails is tried again by the next call. */
  async deliver(): Promise<void> {
    for (let stored = this.#undelivered.at(0); stored !== undefined; stored = this.#undelivered.at(0)) {
      for (const entry of stored.selection.filters) await this.#deliverEntry(entry, stored);
      this.#undelivered.shift();
    }
  }

  async #adopt(stored: StoredSelection): Promise<void> {
    const { selection, sequence } = stored;
    this.#adoptedUpTo = sequence;
    this.#undelivered.push(stored);
    this.#resumeFrom = Math.max(this.#resumeFrom, selection.resumeFrom);
    // From here on `observe` takes what comes as late; what came since the selection was made is late too.
    const open = this.#open.get(selection.visit);
    this.#closed.set(selection.visit, selection.upTo);
    this.#open.delete(selection.visit);
    for (const [filter, candidates] of open?.candidates ?? []) {
      filter.late += candidates.filter(({ alertSequence }) => alertSequence > selection.upTo).length;
    }
    for (const entry of selection.filters) {
      const filter = this.#filterOf(entry);
      if (filter === undefined || open === undefined) continue;
      filter.dropped += entry.dropped;
      filter.late += entry.late;
    }
    await this.deliver();
  }

  /** Publishes what of an entry is not on the filter's subject yet, best first; the bytes come from ALERTS. */
  async #deliverEntry(entry: FilterSelection, stored: StoredSelection): Promise<void> {
    const filter = this.#filterOf(entry);
    const slot = await this.#slotOf(entry.name);
    for (const [place, { diaSourceId, alertSequence }] of entry.selected.entries()) {
      if (slot.reached !== null && isAtOrBefore([stored.sequence, place], slot.reached)) continue;
      const alert = await this.#log.jsm.streams.getMessage(this.#alerts, { seq: alertSequence });
      if (alert === null) throw new Error(`filter ${entry.filter}: ${this.#alerts} has lost message ${alertSequence}`);
      const headers = headersFor(
        entry.filter,
        { headers: alert.header, sequence: alertSequence },
        { [filterHeaders.selectionSequence]: stored.sequence, [filterHeaders.selectionPlace]: place },
      );
      const data = this.#publisher.packetFor(this.user, alert.data);
      const message = { messageId: `${entry.filter}.${diaSourceId}`, headers, data };
      const isOurs = await this.#publisher.publish(slot, message, (last) => {
        const reached = placeOf(last);
        return reached !== null && isAtOrBefore([stored.sequence, place], reached);
      });
      slot.reached = [stored.sequence, place];
      if (filter === undefined) continue;
      if (isOurs) filter.published++;
      else filter.adopted++;
    }
  }

  #filterOf(entry: FilterSelection): RankedFilter | undefined {
    return this.#filters.get(entry.filter);
  }

  async #slotOf(name: string): Promise<FilterSlot> {
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    const subject = this.#subjectOf(name);
    const last = await this.#publisher.last(subject);
    const slot: FilterSlot = {
      subject,
      subjectSequence: last?.sequence ?? 0,
      reached: last === null ? null : placeOf(last.headers),
    };
    this.#slots.set(name, slot);
    return slot;
  }
}

/** A selection's sequence in FILTERED and a place in it: in the order of delivery on a filter's subject. */
type Place = readonly [selectionSequence: number, place: number];
type FilterSlot = Slot & { reached: Place | null };

function isAtOrBefore(a: Place, b: Place): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] <= b[1]);
}

function placeOf(headers: Readonly<{ get(name: string): string }>): Place | null {
  const sequence = headers.get(filterHeaders.selectionSequence);
  return sequence === '' ? null : [Number(sequence), Number(headers.get(filterHeaders.selectionPlace))];
}

/** The visit that an alert's id names; null when the packet or its id is damaged, which the filters then count. */
export function visitOf(alert: () => FilterableAlert): number | null {
  try {
    return partsOfDiaSourceId(alert().diaSourceId).visit;
  } catch {
    return null;
  }
}

function emptyCounts(): Omit<RankedFilter, 'compiled'> {
  return { ...emptyTally(), published: 0, adopted: 0, dropped: 0, late: 0 };
}
