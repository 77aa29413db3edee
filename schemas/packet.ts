import { ALERT_SCHEMA_ID, ALERT_SCHEMA_VERSION, alertSchemaVersion } from './alertSchema.ts';
import type { AlertSchemaVersion } from './alertSchema.ts';
import {
  decodeDiaForcedSource, decodeDiaObject, decodeDiaSource, decodeMpcOrbit, decodeSsSource,
} from './avro.ts';
import { countSize, longAt, longSize, skipLong, writeCount, writeLong } from './avroLong.ts';
import type { Alert } from './diaRows.ts';
import { isValuePresent, NULL_BRANCH, recordEnd, sizedSpan, VALUE_BRANCH } from './recordEnd.ts';
import type { RecordEnd } from './recordEnd.ts';

/**
 * A packet is a frame of 5 bytes (0, then the schema id as a big-endian int32, as Confluent clients expect) and one
 * Avro datum of the alert record. Rows come already encoded, as the APDB keeps them, and are copied into place: a
 * history of a year costs a copy of its bytes, not the encoding of hundreds of rows.
 */

/** What a packet is spliced from. Rows are encoded rows of schema 11.0; cutouts are FITS files. */
export type PacketParts = Readonly<{
  diaSourceId: bigint;
  observationReason: string | null;
  targetName: string | null;
  diaSource: Uint8Array;
  /** Oldest first. Null and empty are told apart on the wire. */
  prvDiaSources: readonly Uint8Array[] | null;
  /** Oldest first. */
  prvDiaForcedSources: readonly Uint8Array[] | null;
  diaObject: Uint8Array | null;
  ssSource: Uint8Array | null;
  mpcOrbit: Uint8Array | null;
  cutoutDifference: Uint8Array | null;
  cutoutScience: Uint8Array | null;
  cutoutTemplate: Uint8Array | null;
}>;

/** Gives a buffer of so many bytes, whatever they hold. */
export type Allocate = (bytes: number) => Buffer;

/** Bytes before the datum. */
export const FRAME_BYTES = 5;
const FRAME_MAGIC = 0;

/**
 * The framed packet of schema 11.0, in one buffer of exactly its size. The bytes are those that encoding the whole
 * alert would give.
 *
 * @param allocate Gives the buffer; by default one that shares memory with nothing.
 * @throws when the diaSource's bytes do not begin with `diaSourceId`; other rows are taken as they are.
 */
export function assemblePacket(parts: PacketParts, allocate: Allocate = Buffer.allocUnsafeSlow): Buffer {
  const packet = allocate(FRAME_BYTES + datumSize(parts));
  writeFrame(packet, ALERT_SCHEMA_ID);
  let offset = writeLong(packet, FRAME_BYTES, parts.diaSourceId);
  assertBeginsWithId(parts, packet.subarray(FRAME_BYTES, offset));
  // The order of the fields of alert.avsc.
  offset = writeString(packet, offset, parts.observationReason);
  offset = writeString(packet, offset, parts.targetName);
  offset = copy(packet, offset, parts.diaSource);
  offset = writeRows(packet, offset, parts.prvDiaSources);
  offset = writeRows(packet, offset, parts.prvDiaForcedSources);
  offset = writeRow(packet, offset, parts.diaObject);
  offset = writeRow(packet, offset, parts.ssSource);
  offset = writeRow(packet, offset, parts.mpcOrbit);
  offset = writeBytes(packet, offset, parts.cutoutDifference);
  offset = writeBytes(packet, offset, parts.cutoutScience);
  offset = writeBytes(packet, offset, parts.cutoutTemplate);
  if (offset !== packet.length) throw new Error(`packet of ${packet.length} bytes, ${offset} written`);
  return packet;
}

/**
 * The parts of a framed packet, undone from `assemblePacket`: rows and cutouts are views into `packet`.
 *
 * @throws an Error that names the field and the byte of the datum when the bytes are damaged or too many.
 */
export function splitPacket(packet: Uint8Array): PacketParts {
  const { version, datum } = unframe(packet);
  if (version !== ALERT_SCHEMA_VERSION) throw new Error(`packet of schema ${version}, not ${ALERT_SCHEMA_VERSION}`);
  const cursor = new DatumCursor(datum);
  const idEnd = skipLong(datum, 0, datum.length);
  cursor.offset = idEnd;
  // The order of the fields of alert.avsc, which the literal keeps.
  const parts: PacketParts = {
    diaSourceId: longAt(datum, 0, idEnd),
    observationReason: cursor.string('observation_reason'),
    targetName: cursor.string('target_name'),
    diaSource: cursor.row('diaSource', rowEnds.diaSource),
    prvDiaSources: cursor.rows('prvDiaSources', rowEnds.diaSource),
    prvDiaForcedSources: cursor.rows('prvDiaForcedSources', rowEnds.diaForcedSource),
    diaObject: cursor.rowOrNull('diaObject', rowEnds.diaObject),
    ssSource: cursor.rowOrNull('ssSource', rowEnds.ssSource),
    mpcOrbit: cursor.rowOrNull('mpc_orbits', rowEnds.mpcOrbit),
    cutoutDifference: cursor.bytes('cutoutDifference'),
    cutoutScience: cursor.bytes('cutoutScience'),
    cutoutTemplate: cursor.bytes('cutoutTemplate'),
  };
  if (cursor.offset !== datum.length) throw new Error(`alert: ${datum.length - cursor.offset} bytes left over`);
  return parts;
}

/** The packet with its three cutouts null: what a user gets from whom pixels are withheld. Throws as `splitPacket`. */
export function withoutCutouts(packet: Uint8Array): Buffer {
  return assemblePacket({
    ...splitPacket(packet), cutoutDifference: null, cutoutScience: null, cutoutTemplate: null,
  });
}

/** The whole alert of a framed packet. Cutouts are views into `packet`. Throws as `splitPacket` does. */
export function decodeAlert(packet: Uint8Array): Alert {
  const parts = splitPacket(packet);
  return {
    diaSourceId: parts.diaSourceId,
    observation_reason: parts.observationReason,
    target_name: parts.targetName,
    diaSource: decodeDiaSource(parts.diaSource),
    prvDiaSources: parts.prvDiaSources && parts.prvDiaSources.map(decodeDiaSource),
    prvDiaForcedSources: parts.prvDiaForcedSources && parts.prvDiaForcedSources.map(decodeDiaForcedSource),
    diaObject: parts.diaObject && decodeDiaObject(parts.diaObject),
    ssSource: parts.ssSource && decodeSsSource(parts.ssSource),
    mpc_orbits: parts.mpcOrbit && decodeMpcOrbit(parts.mpcOrbit),
    cutoutDifference: parts.cutoutDifference,
    cutoutScience: parts.cutoutScience,
    cutoutTemplate: parts.cutoutTemplate,
  };
}

/** The datum with its frame before it. Copies. */
export function frame(datum: Uint8Array, schemaId: number = ALERT_SCHEMA_ID): Buffer {
  const packet = Buffer.allocUnsafeSlow(FRAME_BYTES + datum.length);
  writeFrame(packet, schemaId);
  packet.set(datum, FRAME_BYTES);
  return packet;
}

/** The datum behind a frame, as a view. Throws when it is no frame or names a schema that this build lacks. */
export function unframe(packet: Uint8Array): Readonly<{ version: AlertSchemaVersion; datum: Uint8Array }> {
  if (packet.length < FRAME_BYTES) throw new Error(`packet of ${packet.length} bytes is shorter than its frame`);
  if (packet[0] !== FRAME_MAGIC) throw new Error(`packet begins with byte ${packet[0]}, not ${FRAME_MAGIC}`);
  const schemaId = new DataView(packet.buffer, packet.byteOffset, packet.length).getInt32(1);
  const version = alertSchemaVersion(schemaId);
  if (version === null) throw new Error(`packet of schema id ${schemaId}, which is not known here`);
  return { version, datum: packet.subarray(FRAME_BYTES) };
}

const rowEnds = {
  diaSource: recordEnd('diaSource'),
  diaForcedSource: recordEnd('diaForcedSource'),
  diaObject: recordEnd('diaObject'),
  ssSource: recordEnd('ssSource'),
  mpcOrbit: recordEnd('mpc_orbits'),
};

/** Walks a datum; each method takes the field that starts at `offset` and moves past it. */
class DatumCursor {
  offset = 0;
  readonly datum: Uint8Array;

  constructor(datum: Uint8Array) {
    this.datum = datum;
  }

  string(field: string): string | null {
    const span = this.bytes(field);
    return span && Buffer.from(span.buffer, span.byteOffset, span.length).toString('utf8');
  }

  bytes(field: string): Uint8Array | null {
    return this.#named(field, () => {
      if (!isValuePresent(this.datum, this.offset++)) return null;
      const { start, end } = sizedSpan(this.datum, this.offset);
      this.offset = end;
      return this.datum.subarray(start, end);
    });
  }

  row(field: string, end: RecordEnd): Uint8Array {
    return this.#named(field, () => {
      const start = this.offset;
      this.offset = end(this.datum, start);
      return this.datum.subarray(start, this.offset);
    });
  }

  rowOrNull(field: string, end: RecordEnd): Uint8Array | null {
    return this.#named(field, () => isValuePresent(this.datum, this.offset++)) ? this.row(field, end) : null;
  }

  rows(field: string, end: RecordEnd): readonly Uint8Array[] | null {
    if (!this.#named(field, () => isValuePresent(this.datum, this.offset++))) return null;
    const rows: Uint8Array[] = [];
    // Other writers may use several blocks, and negative counts, after which the block's size stands.
    for (let count = this.#long(field); count !== 0n; count = this.#long(field)) {
      if (count < 0n) this.#long(field);
      const rowCount = count < 0n ? -count : count;
      for (let i = 0n; i < rowCount; i++) rows.push(this.row(field, end));
    }
    return rows;
  }

  #long(field: string): bigint {
    return this.#named(field, () => {
      const start = this.offset;
      this.offset = skipLong(this.datum, start, this.datum.length);
      return longAt(this.datum, start, this.offset);
    });
  }

  #named<T>(field: string, take: () => T): T {
    try {
      return take();
    } catch (cause) {
      throw new Error(`alert.${field}: ${(cause as Error).message}`, { cause });
    }
  }
}

function datumSize(parts: PacketParts): number {
  return longSize(parts.diaSourceId)
    + stringSize(parts.observationReason) + stringSize(parts.targetName)
    + parts.diaSource.length
    + rowsSize(parts.prvDiaSources) + rowsSize(parts.prvDiaForcedSources)
    + rowSize(parts.diaObject) + rowSize(parts.ssSource) + rowSize(parts.mpcOrbit)
    + bytesSize(parts.cutoutDifference) + bytesSize(parts.cutoutScience) + bytesSize(parts.cutoutTemplate);
}

function stringSize(text: string | null): number {
  return text === null ? 1 : 1 + sizedSize(Buffer.byteLength(text));
}

function bytesSize(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : 1 + sizedSize(bytes.length);
}

function sizedSize(length: number): number {
  return countSize(length) + length;
}

function rowSize(row: Uint8Array | null): number {
  return row === null ? 1 : 1 + row.length;
}

function rowsSize(rows: readonly Uint8Array[] | null): number {
  if (rows === null) return 1;
  let size = 2; // The union's branch and the empty block that ends the array.
  if (rows.length > 0) size += countSize(rows.length);
  for (const row of rows) size += row.length;
  return size;
}

function writeFrame(packet: Buffer, schemaId: number): void {
  packet[0] = FRAME_MAGIC;
  packet.writeInt32BE(schemaId, 1);
}

function writeString(packet: Buffer, offset: number, text: string | null): number {
  if (text === null) return writeByte(packet, offset, NULL_BRANCH);
  offset = writeByte(packet, offset, VALUE_BRANCH);
  offset = writeCount(packet, offset, Buffer.byteLength(text));
  return offset + packet.write(text, offset);
}

function writeBytes(packet: Buffer, offset: number, bytes: Uint8Array | null): number {
  if (bytes === null) return writeByte(packet, offset, NULL_BRANCH);
  offset = writeByte(packet, offset, VALUE_BRANCH);
  return copy(packet, writeCount(packet, offset, bytes.length), bytes);
}

function writeRow(packet: Buffer, offset: number, row: Uint8Array | null): number {
  if (row === null) return writeByte(packet, offset, NULL_BRANCH);
  return copy(packet, writeByte(packet, offset, VALUE_BRANCH), row);
}

/** One block with a positive count, as avsc writes arrays; an empty array is the ending block alone. */
function writeRows(packet: Buffer, offset: number, rows: readonly Uint8Array[] | null): number {
  if (rows === null) return writeByte(packet, offset, NULL_BRANCH);
  offset = writeByte(packet, offset, VALUE_BRANCH);
  if (rows.length > 0) offset = writeCount(packet, offset, rows.length);
  for (const row of rows) offset = copy(packet, offset, row);
  return writeCount(packet, offset, 0);
}

function writeByte(packet: Buffer, offset: number, byte: number): number {
  packet[offset] = byte;
  return offset + 1;
}

function copy(packet: Buffer, offset: number, bytes: Uint8Array): number {
  packet.set(bytes, offset);
  return offset + bytes.length;
}

function assertBeginsWithId(parts: PacketParts, id: Uint8Array): void {
  if (Buffer.compare(id, parts.diaSource.subarray(0, id.length)) !== 0) {
    throw new Error(`packet ${parts.diaSourceId}: its diaSource is another one`);
  }
}
