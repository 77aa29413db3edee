/** An alert as filters see it: of each record only the columns that some filter at work reads. */
import { parseNeighbours, type Neighbours } from '../../schemas/neighbours.ts';
import { unframe } from '../../schemas/packet.ts';
import { longAt, skipLong } from '../../schemas/avroLong.ts';
import {
  readRows, rowCursor, rowReader, skipRows, type RowCursor, type RowReader,
} from '../../schemas/projection.ts';
import { sizedSpan } from '../../schemas/recordEnd.ts';
import type { FilterableAlert } from './expression.ts';

type Rows = readonly Readonly<Record<string, unknown>>[];
type Found = Readonly<{ start: number; count: number }> | null;

/**
 * Decodes framed packets to what filters with these columns can read; records that none reads are null, light curves
 * are decoded when they are first looked at.
 */
export type AlertProjection = (packet: Uint8Array, neighbours?: string | null) => FilterableAlert;

/** Columns of which every consumer of a projection reads some: the id and the position. */
const ALWAYS = ['diaSource', 'diaSourceId', 'diaObjectId', 'ra', 'dec'] as const;

/**
 * @param reads Names of fields and columns, as `CompiledFilter.reads` has them, of all filters at work.
 * @returns Throws an Error that names the field when a packet is damaged where it is read.
 */
export function alertProjection(reads: Iterable<string>): AlertProjection {
  const columns = new Set([...reads, ...ALWAYS]);
  const readers: Readers = {
    diaSource: rowReader('diaSource', columns), skipSource: rowReader('diaSource', NOTHING),
    forced: rowReader('diaForcedSource', columns), skipForced: rowReader('diaForcedSource', NOTHING),
    diaObject: rowReader('diaObject', columns), ssSource: rowReader('ssSource', columns),
    mpcOrbit: rowReader('mpc_orbits', columns),
    hasTexts: columns.has('observation_reason') || columns.has('target_name'),
    // Behind the light curves there are only records; when nobody reads them, the walk ends before.
    goesOn: ['diaObject', 'ssSource', 'mpc_orbits'].some((name) => columns.has(name)),
    hasRows: columns.has('prvDiaSources') || columns.has('prvDiaForcedSources'),
  };
  // Rows lack the columns that nobody reads; of the others they are what FilterableAlert says.
  return (packet, neighbours) => (
    new ProjectedAlert(unframe(packet).datum, readers, neighbours) as unknown as FilterableAlert);
}

const NOTHING: ReadonlySet<string> = new Set();

type Readers = Readonly<{
  diaSource: RowReader; skipSource: RowReader; forced: RowReader; skipForced: RowReader;
  diaObject: RowReader; ssSource: RowReader; mpcOrbit: RowReader;
  hasTexts: boolean; goesOn: boolean; hasRows: boolean;
}>;

class ProjectedAlert {
  readonly diaSourceId: bigint;
  readonly observation_reason: string | null;
  readonly target_name: string | null;
  readonly diaSource: Readonly<Record<string, unknown>>;
  readonly diaObject: Readonly<Record<string, unknown>> | null = null;
  readonly ssSource: Readonly<Record<string, unknown>> | null = null;
  readonly mpc_orbits: Readonly<Record<string, unknown>> | null = null;
  readonly #bytes: Uint8Array;
  readonly #readers: Readers;
  readonly #sources: Found = null;
  readonly #forced: Found = null;
  readonly #neighboursText: string | null | undefined;
  #neighbours: Neighbours | null | undefined = undefined;
  #sourceRows: Rows | null | undefined = undefined;
  #forcedRows: Rows | null | undefined = undefined;

  constructor(datum: Uint8Array, readers: Readers, neighbours: string | null | undefined) {
    this.#neighboursText = neighbours;
    this.#bytes = datum;
    this.#readers = readers;
    const idEnd = skipLong(datum, 0, datum.length);
    this.diaSourceId = longAt(datum, 0, idEnd);
    const cursor = rowCursor(datum, idEnd);
    this.observation_reason = takeText(cursor, readers.hasTexts);
    this.target_name = takeText(cursor, readers.hasTexts);
    this.diaSource = readers.diaSource(cursor);
    if (!readers.goesOn && !readers.hasRows) return;
    this.#sources = skipRows(cursor, readers.skipSource);
    this.#forced = skipRows(cursor, readers.skipForced);
    if (!readers.goesOn) return;
    this.diaObject = takeRecord(cursor, readers.diaObject);
    this.ssSource = takeRecord(cursor, readers.ssSource);
    this.mpc_orbits = takeRecord(cursor, readers.mpcOrbit);
  }

  get nearestStars(): Neighbours['stars'] | null {
    return this.#near()?.stars ?? null;
  }

  get nearestGalaxies(): Neighbours['galaxies'] | null {
    return this.#near()?.galaxies ?? null;
  }

  #near(): Neighbours | null {
    if (this.#neighbours === undefined) this.#neighbours = parseNeighbours(this.#neighboursText);
    return this.#neighbours;
  }

  get prvDiaSources(): Rows | null {
    if (this.#sourceRows === undefined) {
      this.#sourceRows = this.#sources && readRows(this.#bytes, this.#sources, this.#readers.diaSource);
    }
    return this.#sourceRows;
  }

  get prvDiaForcedSources(): Rows | null {
    if (this.#forcedRows === undefined) {
      this.#forcedRows = this.#forced && readRows(this.#bytes, this.#forced, this.#readers.forced);
    }
    return this.#forcedRows;
  }
}

function takeText(cursor: RowCursor, isWanted: boolean): string | null {
  const branch = cursor.bytes[cursor.offset++];
  if (branch === 0) return null;
  if (branch !== 2) throw new Error(`alert: byte ${cursor.offset - 1}: no such union branch`);
  const { start, end } = sizedSpan(cursor.bytes, cursor.offset);
  cursor.offset = end;
  return isWanted ? Buffer.from(cursor.bytes.subarray(start, end)).toString('utf8') : '';
}

function takeRecord(cursor: RowCursor, read: RowReader): Readonly<Record<string, unknown>> | null {
  const branch = cursor.bytes[cursor.offset++];
  if (branch === 0) return null;
  if (branch !== 2) throw new Error(`alert: byte ${cursor.offset - 1}: no such union branch`);
  return read(cursor);
}
