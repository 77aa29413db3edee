/**
 * Day-time work (DESIGN §4, §9): facts of COMMITS about rows that earlier entries brought. Nothing is deleted: a
 * corrected row is a new version, and as of an earlier commit the old one is still there.
 */

/**
 * What was done: sources got another diaObject, or a solar-system object; sources were withdrawn; objects were ended;
 * objects were made one; objects were measured on visits before they were known.
 */
export const CORRECTION_KINDS = [
  'reassignedToObject', 'reassignedToBody', 'withdrawn', 'closed', 'merged', 'precovered',
] as const;
export type CorrectionKind = (typeof CORRECTION_KINDS)[number];

/** A diaSource and the diaObject that it had until now. */
export type MovedSource = Readonly<{ diaSourceId: bigint; fromDiaObjectId: bigint | null }>;

export type SkyCorrected = Readonly<{
  kind: CorrectionKind;
  /** In the words of whoever asked for it. */
  reason: string;
  correctedMjdTai: number;
  toDiaObjectId: bigint | null; toSsObjectId: bigint | null;
  /** In the order of `diaSources`. */
  moved: readonly MovedSource[];
  /** Valid until `correctedMjdTai`, and as of earlier entries. */
  closedDiaObjectIds: readonly bigint[];
  /** Encoded rows, each in the place of the one with its id; one that belongs to no object any more has none. */
  diaSources: readonly Uint8Array[];
  /** Encoded new versions of the objects that lost or won sources. */
  diaObjects: readonly Uint8Array[];
  ssSources: readonly Uint8Array[]; mpcOrbits: readonly Uint8Array[];
  /** Encoded new rows: fluxes of diaObjects on visits that were committed without them. */
  diaForcedSources: readonly Uint8Array[];
  /** Objects of which nothing is left to be measured on the visits before. */
  precoveredDiaObjectIds: readonly bigint[];
}>;

/** As Avro holds it: 64-bit ids as decimal text, because its numbers are doubles here. */
export function correctionToAvro(corrected: SkyCorrected): object {
  return {
    ...corrected,
    toDiaObjectId: textOf(corrected.toDiaObjectId), toSsObjectId: textOf(corrected.toSsObjectId),
    moved: corrected.moved.map(({ diaSourceId, fromDiaObjectId }) => (
      { diaSourceId: String(diaSourceId), fromDiaObjectId: textOf(fromDiaObjectId) })),
    closedDiaObjectIds: corrected.closedDiaObjectIds.map(String),
    diaSources: corrected.diaSources.map(asBuffer), diaObjects: corrected.diaObjects.map(asBuffer),
    ssSources: corrected.ssSources.map(asBuffer), mpcOrbits: corrected.mpcOrbits.map(asBuffer),
    diaForcedSources: corrected.diaForcedSources.map(asBuffer),
    precoveredDiaObjectIds: corrected.precoveredDiaObjectIds.map(String),
  };
}

type AvroCorrection = Omit<
  SkyCorrected, 'toDiaObjectId' | 'toSsObjectId' | 'moved' | 'closedDiaObjectIds' | 'precoveredDiaObjectIds'
> & Readonly<{
  toDiaObjectId: string | null; toSsObjectId: string | null;
  moved: readonly Readonly<{ diaSourceId: string; fromDiaObjectId: string | null }>[];
  closedDiaObjectIds: readonly string[];
  /** Absent in entries of versions before 1.3, as are `diaForcedSources`. */
  precoveredDiaObjectIds?: readonly string[];
}>;

/** @throws Error when it is of a kind that this code does not know, or an id is not a number. */
export function correctionFromAvro(value: unknown): SkyCorrected {
  const corrected = value as AvroCorrection; // Decoded by the schema that says so.
  if (!CORRECTION_KINDS.includes(corrected.kind)) throw new Error(`a correction of unknown kind ${corrected.kind}`);
  return {
    ...corrected,
    toDiaObjectId: idOf(corrected.toDiaObjectId), toSsObjectId: idOf(corrected.toSsObjectId),
    moved: corrected.moved.map(({ diaSourceId, fromDiaObjectId }) => (
      { diaSourceId: BigInt(diaSourceId), fromDiaObjectId: idOf(fromDiaObjectId) })),
    closedDiaObjectIds: corrected.closedDiaObjectIds.map(BigInt),
    diaForcedSources: corrected.diaForcedSources ?? [],
    precoveredDiaObjectIds: (corrected.precoveredDiaObjectIds ?? []).map(BigInt),
  };
}

function textOf(id: bigint | null): string | null {
  return id === null ? null : String(id);
}

function idOf(text: string | null): bigint | null {
  return text === null ? null : BigInt(text);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
