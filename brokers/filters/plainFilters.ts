/** Filters without a rank: every match is published at once, in the order of ALERTS. */
import type { JsMsg } from '@nats-io/jetstream';
import type { MsgHdrs } from '@nats-io/nats-core';
import type { DayObs } from '../../schemas/ids.ts';
import { subjects } from '../../schemas/subjects.ts';
import type { CompiledFilter, FilterableAlert } from './expression.ts';
import { filterHeaders, FilteredPublisher, headersFor, type Slot } from './publisher.ts';
import type { FilterProgress } from './service.ts';
import { emptyTally, tally } from './tally.ts';

type RunningFilter = { -readonly [Key in keyof FilterProgress]: FilterProgress[Key] } & {
  readonly compiled: CompiledFilter;
  readonly place: SubjectPlace;
};

/** Where a filter's subject stands; its versions, of which one is at work at a time, share it. */
type SubjectPlace = {
  readonly slot: Slot;
  /** Sequence in ALERTS of the last match on it when this run began. */
  readonly reached: number;
};

export class PlainFilters {
  readonly #publisher: FilteredPublisher;
  readonly #instrument: string;
  readonly #dayObs: DayObs;
  readonly #places = new Map<string, SubjectPlace>();
  readonly #running = new Map<string, RunningFilter>();

  constructor(publisher: FilteredPublisher, instrument: string, dayObs: DayObs) {
    this.#publisher = publisher;
    this.#instrument = instrument;
    this.#dayObs = dayObs;
  }

  /** For each filter the sequence of ALERTS to read from. */
  get resumeFrom(): readonly number[] {
    return this.progress().map(({ alertSequence }) => alertSequence + 1);
  }

  /** To be called before `apply` with all filters that it may be shown; those with a rank are left alone. */
  async prepare(filters: readonly CompiledFilter[]): Promise<void> {
    for (const compiled of filters) {
      if (compiled.definition.rank !== undefined || this.#running.has(compiled.label)) continue;
      const place = await this.#placeOf(compiled);
      const counts = { ...emptyTally(), published: 0, adopted: 0 };
      this.#running.set(compiled.label, {
        compiled, place, filter: compiled.label, ...counts, dropped: 0, late: 0, alertSequence: place.reached,
      });
    }
  }

  /** Evaluates the filters at work on one alert and publishes it for those that match. */
  async apply(message: JsMsg, alert: () => FilterableAlert, active: readonly CompiledFilter[]): Promise<void> {
    const filters = active.flatMap(({ label }) => this.#running.get(label) ?? []);
    await Promise.all(filters.map((filter) => applyFilter(filter, message, alert, this.#publisher)));
  }

  progress(): FilterProgress[] {
    return [...this.#running.values()].map(({ compiled: _compiled, place: _place, ...progress }) => ({ ...progress }));
  }

  async #placeOf({ definition: { user, name } }: CompiledFilter): Promise<SubjectPlace> {
    const subject = subjects.filtered(user, name, this.#instrument, this.#dayObs);
    let place = this.#places.get(subject);
    if (place === undefined) {
      const last = await this.#publisher.last(subject);
      place = {
        slot: { subject, subjectSequence: last?.sequence ?? 0 },
        reached: last === null ? 0 : alertSequenceOf(subject, last.headers),
      };
      this.#places.set(subject, place);
    }
    return place;
  }
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
  const { place: { slot }, compiled } = filter;
  const publication = {
    messageId: `${compiled.label}.${diaSourceId}`,
    headers: headersFor(compiled.label, { headers: message.headers, sequence: message.seq }),
    data: publisher.packetFor(compiled.definition.user, message.data),
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
