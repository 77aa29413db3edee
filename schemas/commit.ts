/**
 * Entries of COMMITS, the log that is the truth (DESIGN §8): Avro, one literal subject a night, written by the
 * associator alone.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import avro from 'avsc';
import type { CommitPosition, DayObs, DetectorId, Exposure, Visit } from './ids.ts';
import type { Band } from './units.ts';

/** Avro-encoded rows of schema 11.0, each as it is stored and as packets splice it. */
export type CommittedRowBytes = Readonly<{
  diaSources: readonly Uint8Array[]; diaObjects: readonly Uint8Array[]; diaForcedSources: readonly Uint8Array[];
}>;

/** A content-addressed file of the spool: named by the SHA-256 of its bytes, hexadecimal. */
export type SpoolFile = Readonly<{ digest: string; bytes: number }>;

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
  rows: CommittedRowBytes | null; rowsSpool: SpoolFile | null; cutoutSpool: SpoolFile | null;
}>;

export type DetectorDeferred = OfWork & Readonly<{
  stage: string; code: string; reason: string; deferredMjdTai: number; readoutEndedMs: number | null;
}>;

export type NightSealed = Readonly<{ entries: number; digest: string; nextStream: string }>;

export type CommitEntry = Readonly<{ instrument: string; dayObs: DayObs }> & (
  | Readonly<{ associated: DiaSourcesAssociated; deferred: null; sealed: null }>
  | Readonly<{ associated: null; deferred: DetectorDeferred; sealed: null }>
  | Readonly<{ associated: null; deferred: null; sealed: NightSealed }>
);

const entryType = avro.Type.forSchema(
  // The cast is true of our own file.
  JSON.parse(readFileSync(new URL('./commit/1/0/entry.avsc', import.meta.url), 'utf8')) as avro.Schema,
);
const rowsType = avro.Type.forSchema({
  type: 'record', name: 'Rows', namespace: 'vesper.commit.v1_0', fields: [
    { name: 'diaSources', type: { type: 'array', items: 'bytes' } },
    { name: 'diaObjects', type: { type: 'array', items: 'bytes' } },
    { name: 'diaForcedSources', type: { type: 'array', items: 'bytes' } },
  ],
});

/** Maps are written in the order of their keys, so that equal entries have equal bytes. */
export function encodeCommitEntry(entry: CommitEntry): Buffer {
  const a = entry.associated;
  return entryType.toBuffer({
    ...entry,
    associated: a && {
      ...a, inputs: sorted(a.inputs), droppedByReason: sorted(a.droppedByReason), summary: sorted(a.summary),
      rows: a.rows && rowBuffers(a.rows),
    },
  });
}

/** @throws Error when the bytes are not an entry. */
export function decodeCommitEntry(bytes: Uint8Array): CommitEntry {
  let entry: unknown;
  try {
    entry = entryType.fromBuffer(asBuffer(bytes));
  } catch (error) {
    // avsc throws Errors.
    throw new Error(`commit entry of ${bytes.length} bytes cannot be decoded: ${(error as Error).message}`);
  }
  return entry as CommitEntry; // The schema is the type.
}

/** Row sets that are too large for a message, as the spool holds them. */
export function encodeRows(rows: CommittedRowBytes): Buffer {
  return rowsType.toBuffer(rowBuffers(rows));
}

export function decodeRows(bytes: Uint8Array): CommittedRowBytes {
  return rowsType.fromBuffer(asBuffer(bytes)) as CommittedRowBytes; // The schema is the type.
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

function rowBuffers(rows: CommittedRowBytes): Record<keyof CommittedRowBytes, Buffer[]> {
  return {
    diaSources: rows.diaSources.map(asBuffer), diaObjects: rows.diaObjects.map(asBuffer),
    diaForcedSources: rows.diaForcedSources.map(asBuffer),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function sorted<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
