import {
  decodeDiaForcedSource, decodeDiaObject, decodeDiaSource, decodeMpcOrbit, decodeSsSource,
} from '../../../schemas/avro.ts';
import type { AssociatedRowBytes } from '../../../schemas/commit.ts';
import type { DiaForcedSource, DiaSource } from '../../../schemas/diaRows.ts';
import { assemblePacket, type Allocate, type PacketParts } from '../../../schemas/packet.ts';
import { packetConfig } from './config.ts';
import type { PacketConfig } from './config.ts';
import type { Cutouts } from './spool.ts';

/** A committed row: what places it in time, and its Avro bytes. */
export type HistoryRow<Row> = Readonly<{ row: Row; payload: Uint8Array }>;

/** Rows of one diaObject as of the commit before, in any order, without those withdrawn. */
export type PacketHistory = Readonly<{
  diaSources: readonly HistoryRow<Pick<DiaSource, 'diaSourceId' | 'midpointMjdTai'>>[];
  diaForcedSources: readonly HistoryRow<Pick<DiaForcedSource, 'diaForcedSourceId' | 'midpointMjdTai'>>[];
}>;

/** All that the packets of one commit are a function of. */
export type PacketInput = Readonly<{
  /** The commit's rows. */
  rows: AssociatedRowBytes;
  /** Rows of `rows.diaSources`, by index, that make no packet. */
  withheld: readonly Readonly<{ index: number }>[];
  /** By diaObjectId; a diaObject that this commit made has none. */
  history: ReadonlyMap<bigint, PacketHistory>;
  /** By diaSourceId, one entry for each packet; null when the commit spooled none. */
  cutouts: ReadonlyMap<bigint, Cutouts> | null;
  /** The scheduler's words for the visit (RTN-097). */
  observationReason: string | null;
  targetName: string | null;
}>;

/**
 * A framed packet, and what its message's headers tell (`alertHeaders`). ra and dec in degrees; a solar-system object
 * has no diaObject.
 */
export type Packet = Readonly<{
  diaSourceId: bigint; diaObjectId: bigint | null; ra: number; dec: number; band: string | null;
  snr: number | null; reliability: number | null; bytes: Uint8Array;
  /** What stands beside it, encoded as `schemas/neighbours.ts` does; null where no catalogue was looked at. */
  neighbours: Uint8Array | null;
}>;

/**
 * The packets of one commit, in the order of its diaSources; withheld ones have none.
 *
 * Previous sources are the history's rows since 12 × 30 days before the visit, oldest first, ties by id; null when
 * there are none. Forced ones include this visit's measurement of the diaObject. Rows that were committed before but
 * observed after this visit are part of what was known, and are included. A source with an ssObjectId has its ssSource
 * and its orbit instead of a diaObject and history.
 *
 * @param allocate Gives the packets' memory; by default each has its own.
 * @throws Error, naming the row, when the input contradicts itself: a source to pack without a diaObject or its row or
 *   its cutouts, or a history that holds a row of this very commit. Such packets would not come out the same in replay.
 */
export function buildPackets(
  input: PacketInput, config: PacketConfig = packetConfig, allocate?: Allocate,
): Packet[] {
  const found = rowsById(input.rows);
  const withheld = new Set(input.withheld.map(({ index }) => index));
  const packets: Packet[] = [];
  input.rows.diaSources.forEach((payload, index) => {
    if (withheld.has(index)) return;
    const row = decodeDiaSource(payload);
    const { diaSourceId, diaObjectId, ra, dec, band, snr, reliability } = row;
    const context = row.ssObjectId === null ? objectParts(row, input, found, config) : bodyParts(row, found);
    const cutouts = cutoutsOf(input, diaSourceId);
    const bytes = assemblePacket({
      diaSourceId, observationReason: input.observationReason, targetName: input.targetName, diaSource: payload,
      ...context,
      cutoutDifference: cutouts.difference, cutoutScience: cutouts.science, cutoutTemplate: cutouts.template,
    }, allocate);
    packets.push({ diaSourceId, diaObjectId, ra, dec, band, snr, reliability, bytes, neighbours: cutouts.neighbours });
  });
  return packets;
}

type RowsById = Readonly<{
  objects: ReadonlyMap<bigint, Uint8Array>; forced: ReadonlyMap<bigint, HistoryRow<DiaForcedSource>>;
  ssSources: ReadonlyMap<bigint, Readonly<{ payload: Uint8Array; designation: string | null }>>;
  orbits: ReadonlyMap<string, Uint8Array>;
}>;

/** The commit's rows: diaObjects and forced ones by diaObjectId, ssSources by diaSourceId, orbits by designation. */
function rowsById({ diaObjects, diaForcedSources, ssSources, mpcOrbits }: AssociatedRowBytes): RowsById {
  return {
    objects: new Map(diaObjects.map((payload) => [decodeDiaObject(payload).diaObjectId, payload])),
    forced: new Map(diaForcedSources.map((payload) => {
      const row = decodeDiaForcedSource(payload);
      return [row.diaObjectId, { row, payload }];
    })),
    ssSources: new Map(ssSources.map((payload) => {
      const { diaSourceId, designation } = decodeSsSource(payload);
      return [diaSourceId, { payload, designation }];
    })),
    orbits: new Map(mpcOrbits.map((payload) => [decodeMpcOrbit(payload).designation, payload])),
  };
}

type ContextParts = Pick<
  PacketParts, 'prvDiaSources' | 'prvDiaForcedSources' | 'diaObject' | 'ssSource' | 'mpcOrbit'>;

function objectParts(
  { diaSourceId, diaObjectId, midpointMjdTai }: DiaSource, input: PacketInput, found: RowsById, config: PacketConfig,
): ContextParts {
  const diaObject = diaObjectId === null ? undefined : found.objects.get(diaObjectId);
  if (diaObjectId === null || diaObject === undefined) {
    throw new Error(`diaSource ${diaSourceId} to be packed: its commit has no row of diaObject ${diaObjectId}`);
  }
  const history = input.history.get(diaObjectId), earliestMjdTai = midpointMjdTai - config.historyDays;
  return {
    prvDiaSources: previousSources(history, diaSourceId, earliestMjdTai),
    prvDiaForcedSources: previousForced(history, found.forced.get(diaObjectId), earliestMjdTai),
    diaObject, ssSource: null, mpcOrbit: null,
  };
}

function bodyParts({ diaSourceId, ssObjectId }: DiaSource, found: RowsById): ContextParts {
  const ssSource = found.ssSources.get(diaSourceId);
  const mpcOrbit = ssSource?.designation == null ? undefined : found.orbits.get(ssSource.designation);
  if (!ssSource || !mpcOrbit) {
    throw new Error(`diaSource ${diaSourceId} to be packed: its commit lacks the ssSource or orbit of ${ssObjectId}`);
  }
  return { prvDiaSources: null, prvDiaForcedSources: null, diaObject: null, ssSource: ssSource.payload, mpcOrbit };
}

function previousSources(
  history: PacketHistory | undefined, current: bigint, earliestMjdTai: number,
): readonly Uint8Array[] | null {
  const rows = history?.diaSources ?? [];
  if (rows.some(({ row }) => row.diaSourceId === current)) {
    throw new Error(`the history before diaSource ${current} holds it already`);
  }
  return payloadsInTimeOrder(rows, (row) => row.diaSourceId, earliestMjdTai);
}

function previousForced(
  history: PacketHistory | undefined, current: HistoryRow<DiaForcedSource> | undefined, earliestMjdTai: number,
): readonly Uint8Array[] | null {
  const rows = history?.diaForcedSources ?? [];
  if (current && rows.some(({ row }) => row.diaForcedSourceId === current.row.diaForcedSourceId)) {
    throw new Error(`the history before diaForcedSource ${current.row.diaForcedSourceId} holds it already`);
  }
  return payloadsInTimeOrder(current ? [...rows, current] : rows, (row) => row.diaForcedSourceId, earliestMjdTai);
}

function payloadsInTimeOrder<Row extends { readonly midpointMjdTai: number }>(
  rows: readonly HistoryRow<Row>[], idOf: (row: Row) => bigint, earliestMjdTai: number,
): readonly Uint8Array[] | null {
  const kept = rows.filter(({ row }) => row.midpointMjdTai >= earliestMjdTai);
  if (kept.length === 0) return null;
  kept.sort((a, b) => a.row.midpointMjdTai - b.row.midpointMjdTai || (idOf(a.row) < idOf(b.row) ? -1 : 1));
  return kept.map(({ payload }) => payload);
}

const NO_CUTOUTS: Cutouts = { difference: null, science: null, template: null, neighbours: null };

function cutoutsOf(input: PacketInput, diaSourceId: bigint): Cutouts {
  if (input.cutouts === null) return NO_CUTOUTS;
  const cutouts = input.cutouts.get(diaSourceId);
  if (cutouts === undefined) throw new Error(`the spool has no cutouts of diaSource ${diaSourceId}`);
  return cutouts;
}
