/**
 * Entries of COMMITS, the log that is the truth (DESIGN §8): Avro, one literal subject a night, written by the
 * associator alone.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import avro from 'avsc';
import { correctionFromAvro, correctionToAvro, type SkyCorrected } from './correction.ts';
import type { CommitPosition, DayObs, DetectorId, Exposure, Visit } from './ids.ts';
import type { Band } from './units.ts';

/** Avro-encoded rows of schema 11.0, each as it is stored and as packets splice it. */
export type CommittedRowBytes = Readonly<{
  diaSources: readonly Uint8Array[]; diaObjects: readonly Uint8Array[]; diaForcedSources: readonly Uint8Array[];
}>;

/** What the diaSources that belong to known orbits have besides: an ssSource each, and the orbits, one a body. */
export type SolarSystemRowBytes = Readonly<{ ssSources: readonly Uint8Array[]; mpcOrbits: readonly Uint8Array[] }>;

/** All rows of a commit. */
export type AssociatedRowBytes = CommittedRowBytes & SolarSystemRowBytes;

/** A content-addressed file of the spool: named by the SHA-256 of its bytes, hexadecimal. */
export type SpoolFile = Readonly<{ digest: string; bytes: number }>;

/** What was pointed at, and why, in the words of the raw file. */
export type Observation = Readonly<{ target: string | null; reason: string | null }>;

type OfWork = Readonly<{ group: string; visit: Visit; exposure: Exposure; detector: DetectorId; attempt: number }>;

export type DiaSourcesAssociated = OfWork & Readonly<{
  band: Band; physicalFilter: string; exposureSeconds: number; midpointMjdTai: number;
  readoutEndedMs: number; timeProcessedMjdTai: number;
  knownPosition: CommitPosition;
  outcome: 'alerts' | 'singleFrame' | 'isr';
  inputs: Readonly<Record<string, string>>;
  detected: number; droppedByReason: Readonly<Record<string, number>>;
  withheld: readonly Readonly<{ index: number; reason: string }>[];
  summary: Readonly<Record<string, number>>;
  diaSourceCount: number;
  /** Left out where nothing is known of it. */
  observation?: Observation;
  rows: AssociatedRowBytes | null; rowsSpool: SpoolFile | null; cutoutSpool: SpoolFile | null;
}>;

export type DetectorDeferred = OfWork & Readonly<{
  stage: string; code: string; reason: string; deferredMjdTai: number; readoutEndedMs: number | null;
}>;

export type NightSealed = Readonly<{ entries: number; digest: string; nextStream: string }>;

type EntryFacts = Readonly<{
  associated: DiaSourcesAssociated; deferred: DetectorDeferred; sealed: NightSealed; corrected: SkyCorrected;
}>;
type OnlyFact<Name extends keyof EntryFacts> =
  Pick<EntryFacts, Name> & Readonly<Record<Exclude<keyof EntryFacts, Name>, null>>;

/** Exactly one of its facts is set. */
export type CommitEntry = Readonly<{ instrument: string; dayObs: DayObs }>
  & (OnlyFact<'associated'> | OnlyFact<'deferred'> | OnlyFact<'sealed'> | OnlyFact<'corrected'>);

/** Each version of entry and rows is the one before with fields behind it, so that each is told by its length alone. */
const [entryType, ...olderEntryTypes] = ['1/3', '1/2', '1/1', '1/0'].map((version) => avro.Type.forSchema(
  // The cast is true of our own file.
  JSON.parse(readFileSync(new URL(`./commit/${version}/entry.avsc`, import.meta.url), 'utf8')) as avro.Schema,
));
const DIA_ROWS = ['diaSources', 'diaObjects', 'diaForcedSources'] as const;
const SOLAR_SYSTEM_ROWS = ['ssSources', 'mpcOrbits'] as const;
const rowsType = rowsTypeOf([...DIA_ROWS, ...SOLAR_SYSTEM_ROWS]), rowsType10 = rowsTypeOf(DIA_ROWS);

function rowsTypeOf(names: readonly string[]): avro.Type {
  const fields = names.map((name) => ({ name, type: { type: 'array', items: 'bytes' } }));
  // A schema by its literals.
  return avro.Type.forSchema({ type: 'record', name: 'Rows', namespace: 'vesper.commit', fields } as avro.Schema);
}

/** Maps are written in the order of their keys, so that equal entries have equal bytes. */
export function encodeCommitEntry(entry: CommitEntry): Buffer {
  const a = entry.associated, rows = a?.rows ?? null;
  const hasBodies = rows !== null && rows.ssSources.length > 0;
  return entryType.toBuffer({
    ...entry,
    associated: a && {
      ...a, inputs: sorted(a.inputs), droppedByReason: sorted(a.droppedByReason), summary: sorted(a.summary),
      rows: rows && rowBuffers(rows),
    },
    solarSystem: hasBodies ? rowBuffers(rows) : null,
    corrected: entry.corrected && correctionToAvro(entry.corrected), observation: a?.observation ?? null,
  });
}

/** @throws Error when the bytes are not an entry. */
export function decodeCommitEntry(bytes: Uint8Array): CommitEntry {
  const { solarSystem = null, corrected = null, observation = null, ...facts } = decoded(
    [entryType, ...olderEntryTypes], bytes, 'commit entry') as DecodedEntry;
  // Older entries lack the fact, as if it were null.
  const entry = { ...facts, corrected: corrected && correctionFromAvro(corrected) } as CommitEntry;
  if (!entry.associated) return entry;
  const { rows } = entry.associated;
  return { ...entry, associated: {
    ...entry.associated, rows: rows && { ...rows, ...(solarSystem ?? NO_BODIES) },
    ...(observation && { observation: { ...observation } }),
  } };
}

type DecodedEntry = CommitEntry & Readonly<{ 
  solarSystem?: SolarSystemRowBytes | null; corrected?: unknown; observation?: Observation | null;
}>;
const NO_BODIES: SolarSystemRowBytes = { ssSources: [], mpcOrbits: [] };

/** Row sets that are too large for a message, as the spool holds them. */
export function encodeRows(rows: AssociatedRowBytes): Buffer {
  return rowsType.toBuffer(rowBuffers(rows));
}

/** @throws Error when the bytes are no rows. */
export function decodeRows(bytes: Uint8Array): AssociatedRowBytes {
  return { ...NO_BODIES, ...decoded([rowsType, rowsType10], bytes, 'rows') as AssociatedRowBytes };
}

/** By the first of the types whose datum fills the bytes exactly; a cast of the result says that the type is its. */
function decoded([newest, ...older]: readonly avro.Type[], bytes: Uint8Array, name: string): unknown {
  try {
    return newest.fromBuffer(asBuffer(bytes));
  } catch (error) {
    for (const type of older) {
      try { return type.fromBuffer(asBuffer(bytes)); } catch { /* The newest type's reason is told. */ }
    }
    // avsc throws Errors.
    throw new Error(`${name} of ${bytes.length} bytes cannot be decoded: ${(error as Error).message}`);
  }
}

/** SHA-256, hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Digest of a sealed night: SHA-256 over the entries' own digests in order. */
export class NightDigest {
  #hash = createHash('sha256');
  entries = 0;

  add(entryBytes: Uint8Array): void {
    this.#hash.update(createHash('sha256').update(entryBytes).digest());
    this.entries++;
  }

  hex(): string {
    return this.#hash.copy().digest('hex');
  }
}

function rowBuffers(rows: AssociatedRowBytes): Record<keyof AssociatedRowBytes, Buffer[]> {
  const [diaSources, diaObjects, diaForcedSources] = DIA_ROWS.map((table) => rows[table].map(asBuffer));
  const [ssSources, mpcOrbits] = SOLAR_SYSTEM_ROWS.map((table) => rows[table].map(asBuffer));
  return { diaSources, diaObjects, diaForcedSources, ssSources, mpcOrbits };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function sorted<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
