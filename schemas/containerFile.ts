/** Avro container files as they come from elsewhere: any of three codecs, any schema, several data a block. */
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type avro from 'avsc';
import { buildType } from './avro.ts';
import {
  containerBlock, containerBlocks, containerHeader, ContainerError, readContainerHeader, type ContainerCodec,
} from './container.ts';
import { decompressSnappy, storeSnappy } from './snappy.ts';

/** Most bytes of one block once decompressed. */
const BLOCK_BYTES_MAX = 256 * 1024 ** 2;

export type ContainerContents = Readonly<{
  schemaJson: string;
  codec: ContainerCodec;
  /** avsc's type of the schema, longs as bigint. */
  type: avro.Type;
  /** Encoded data in file order. */
  data: readonly Buffer[];
}>;

/**
 * Reads a whole container, decompresses it and cuts it into its data.
 *
 * @throws ContainerError with the byte of the block that is damaged: a wrong sync marker or checksum, a block whose data
 *   are not as many as it says, and (byte 0) a file without a single datum, which readers tend to take for an empty night.
 */
export function readContainer(bytes: Uint8Array): ContainerContents {
  const { schemaJson, codec } = readContainerHeader(bytes);
  const type = typeOf(schemaJson);
  const data: Buffer[] = [];
  for (const { offset, recordCount, data: stored } of containerBlocks(bytes)) {
    try {
      const block = decompress(codec, stored);
      let at = 0;
      for (let i = 0; i < recordCount; i++) {
        const end = endOfDatum(type, block, at);
        data.push(block.subarray(at, end));
        at = end;
      }
      if (at !== block.length) throw new Error(`${block.length - at} bytes behind its ${recordCount} data`);
    } catch (error) {
      throw new ContainerError(offset, (error as Error).message);
    }
  }
  if (data.length === 0) throw new ContainerError(0, 'a container without a single datum');
  return { schemaJson, codec, type, data };
}

/** A container of encoded data, one a block, with a codec. */
export function writeContainer(
  schemaJson: string, sync: Uint8Array, codec: ContainerCodec, data: readonly Uint8Array[],
): Buffer {
  const blocks = data.map((datum) => containerBlock(compress(codec, datum), sync));
  return Buffer.concat([containerHeader(schemaJson, sync, codec), ...blocks]);
}

/**
 * Decodes a datum and encodes it again.
 *
 * @returns The bytes; equal to the datum's when nothing of it was lost.
 */
export function recode(type: avro.Type, datum: Buffer): Buffer {
  return type.toBuffer(type.fromBuffer(datum));
}

function typeOf(schemaJson: string): avro.Type {
  try {
    // Defaults matter to readers of other data alone, and real ones are wrong: ZTF's are of the union's second branch.
    const schema: unknown = JSON.parse(schemaJson, (key, value: unknown) => (key === 'default' ? undefined : value));
    return buildType(schema as object); // avsc refuses what is no schema.
  } catch (error) {
    throw new ContainerError(0, `its schema cannot be used: ${(error as Error).message.split('\n', 1)[0]}`);
  }
}

function endOfDatum(type: avro.Type, block: Buffer, at: number): number {
  const { offset } = type.decode(block, at);
  if (offset < 0) throw new Error(`a datum ends beyond byte ${block.length} of its block`);
  return offset;
}

function decompress(codec: ContainerCodec, stored: Uint8Array): Buffer {
  switch (codec) {
    case 'null': return Buffer.from(stored.buffer, stored.byteOffset, stored.length);
    case 'deflate': return inflateRawSync(stored, { maxOutputLength: BLOCK_BYTES_MAX });
    case 'snappy': {
      if (stored.length < 4) throw new Error('snappy: no checksum');
      const block = decompressSnappy(stored.subarray(0, -4));
      const checksum = Buffer.from(stored.subarray(-4)).readUInt32BE();
      if (crc32(block) !== checksum) throw new Error('snappy: the checksum is another one');
      return block;
    }
  }
}

function compress(codec: ContainerCodec, datum: Uint8Array): Uint8Array {
  switch (codec) {
    case 'null': return datum;
    case 'deflate': return deflateRawSync(datum);
    case 'snappy': {
      const checksum = Buffer.alloc(4);
      checksum.writeUInt32BE(crc32(datum));
      return Buffer.concat([storeSnappy(datum), checksum]);
    }
  }
}
