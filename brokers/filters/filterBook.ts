/**
 * Which filter of whom was at work when: a fold over the stream FILTERS.
 *
 * Times are the server's own, of FILTERS and of ALERTS alike, so that anyone who reads the two streams comes to the same
 * answer: an alert meets the filters that were active when ALERTS stored it (a ranked filter: when ALERTS stored the
 * first alert of the visit).
 */
import { assertNever } from '../../schemas/events.ts';
import { compileFilter, type CompiledFilter, type FilterDefinition } from './expression.ts';

/** What a trial has shown before a filter was activated. */
export type TrialRecord = Readonly<{
  instrument: string; dayObs: number; evaluated: number; matched: number; share: number; shareMax: number;
}>;

type Named = Readonly<{ user: string; name: string; by: string }>;

/** A fact on FILTERS, as JSON. `by` is who did it: the owner or an operator. A filter that ships has had no trial. */
export type FilterChange =
  | (Named & Readonly<{ type: 'FilterDefined'; version: number; definition: FilterDefinition; summary: string }>)
  | (Named & Readonly<{ type: 'FilterActivated'; version: number; trial: TrialRecord | null }>)
  | (Named & Readonly<{ type: 'FilterDeactivated' }>);

/** A change with its place in FILTERS. */
export type StoredChange = Readonly<{ sequence: number; timeNanos: bigint; change: FilterChange }>;

/** One filter with all its versions. */
export type FilterRecord = Readonly<{
  user: string;
  name: string;
  /** Oldest first. */
  versions: readonly Readonly<{ definition: FilterDefinition; summary: string; by: string; timeNanos: bigint }>[];
  /** Version at work, or null. */
  active: number | null;
  trial: TrialRecord | null;
  /** Sequence in FILTERS of its last change, 0 when it has none. */
  sequence: number;
}>;

type Segment = Readonly<{ fromNanos: bigint; filters: readonly CompiledFilter[] }>;

export class FilterBook {
  readonly #records = new Map<string, FilterRecord>();
  readonly #compiled = new Map<string, CompiledFilter | null>();
  readonly #segments: Segment[] = [];
  #problems: string[] = [];

  constructor() {
    this.#segments.push({ fromNanos: 0n, filters: [] });
  }

  /** Takes in a change; those of FILTERS have to come in their order. What it cannot stand for is told in `problems`. */
  apply({ sequence, timeNanos, change }: StoredChange): void {
    const key = `${change.user}.${change.name}`;
    const known = this.#records.get(key);
    const evolved = evolve(known, change, timeNanos);
    if (typeof evolved === 'string') {
      this.#problems.push(`FILTERS ${sequence}: ${key}: ${evolved}`);
      if (known !== undefined) this.#records.set(key, { ...known, sequence });
      return;
    }
    this.#records.set(key, { ...evolved, sequence });
    this.#segments.push({ fromNanos: timeNanos, filters: this.#compileActive() });
  }

  /** Filters at work at a time of the server, ns since 1970. */
  activeAt(timeNanos: bigint): readonly CompiledFilter[] {
    // The newest is nearly always the one.
    for (let i = this.#segments.length - 1; i >= 0; i--) {
      if (this.#segments[i].fromNanos <= timeNanos) return this.#segments[i].filters;
    }
    return [];
  }

  /** All filters that were at work at some time from then on. */
  activeSince(timeNanos: bigint): readonly CompiledFilter[] {
    const later = this.#segments.filter(({ fromNanos }) => fromNanos > timeNanos).flatMap(({ filters }) => filters);
    return [...new Set([...this.activeAt(timeNanos), ...later])];
  }

  find(user: string, name: string): FilterRecord | null {
    return this.#records.get(`${user}.${name}`) ?? null;
  }

  /** All filters, by owner and name. */
  list(): readonly FilterRecord[] {
    return [...this.#records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record);
  }

  /** Changes that could not be followed: written by a newer version, or a filter that no longer compiles. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  #compileActive(): readonly CompiledFilter[] {
    return this.list().flatMap(({ active, versions }) => {
      const at = versions.find(({ definition }) => definition.version === active);
      if (at === undefined) return [];
      const compiled = this.#compile(at.definition);
      return compiled === null ? [] : [compiled];
    });
  }

  #compile(definition: FilterDefinition): CompiledFilter | null {
    const label = `${definition.user}.${definition.name}@${definition.version}`;
    let compiled = this.#compiled.get(label);
    if (compiled === undefined) {
      try {
        compiled = compileFilter(definition);
      } catch (error) {
        // It was checked before it was recorded, by another version of this program.
        this.#problems.push((error as Error).message);
        compiled = null;
      }
      this.#compiled.set(label, compiled);
    }
    return compiled;
  }
}

/** The record after a change, or why the change does not fit it. */
function evolve(
  known: FilterRecord | undefined, change: FilterChange, timeNanos: bigint,
): Omit<FilterRecord, 'sequence'> | string {
  const { user, name, by } = change;
  switch (change.type) {
    case 'FilterDefined': {
      const versions = known?.versions ?? [];
      const { definition, summary, version } = change;
      const newest = versions.at(-1)?.definition.version ?? 0;
      if (version <= newest) return `version ${version} does not follow ${newest}`;
      return {
        user, name, versions: [...versions, { definition, summary, by, timeNanos }],
        active: known?.active ?? null, trial: known?.trial ?? null,
      };
    }
    case 'FilterActivated':
      if (!known?.versions.some(({ definition }) => definition.version === change.version)) {
        return `there is no version ${change.version} to activate`;
      }
      return { ...known, active: change.version, trial: change.trial };
    case 'FilterDeactivated':
      return known === undefined ? 'there is no such filter to deactivate' : { ...known, active: null };
    default:
      return assertNever(change);
  }
}
