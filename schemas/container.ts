import { longAt, skipLong, countSize, writeCount } from './avroLong.ts';

/**
 * Avro object container files without compression, one datum a block: what the archive keeps of a night and what
 * fastavro or avsc read without help. Data go in and come out encoded; nothing is decoded here.
 */

/** Bytes of the marker that ends the header and every block. */
export const SYNC_BYTES = 16;
const MAGIC = Buffer.from('Obj\u0001', 'latin1');

/** Bytes that are no container, or no longer one. `offset` is the byte of the header or block that is damaged. */
export class ContainerError extends Error {
  readonly offset: number;

  constructor(offset: number, problem: string) {
    super(`container damaged at byte ${offset}: ${problem}`);
    this.name = 'ContainerError';
    this.offset = offset;
  }
}

/** How the data of blocks are compressed; ours are not. */
export type ContainerCodec = 'null' | 'deflate' | 'snappy';

/** What stands before the first block. */
export type ContainerHeader = Readonly<{
  schemaJson: string;
  codec: ContainerCodec;
  /** 16 bytes. */
  sync: Uint8Array;
  /** Offset of the first block. */
  end: number;
}>;

/** One block: its data as a view, and where the next block starts. */
export type ContainerBlock = Readonly<{ offset: number; recordCount: number; data: Uint8Array; end: number }>;

/**
 * The header of a container. The sync marker (16 bytes) is the caller's, derived from what the file is about, so
 * that the same night gives the same file.
 */
export function containerHeader(schemaJson: string, sync: Uint8Array, codec: ContainerCodec = 'null'): Buffer {
  assertSync(sync);
  const entries: readonly (readonly [string, string])[] = [['avro.codec', codec], ['avro.schema', schemaJson]];
  const sized = (text: string): Buffer => {
    const bytes = Buffer.from(text);
    const size = Buffer.alloc(countSize(bytes.length));
    writeCount(size, 0, bytes.length);
    return Buffer.concat([size, bytes]);
  };
  const count = Buffer.alloc(countSize(entries.length));
  writeCount(count, 0, entries.length);
  const metadata = entries.flatMap(([key, value]) => [sized(key), sized(value)]);
  return Buffer.concat([MAGIC, count, ...metadata, Buffer.of(0), sync]);
}

/** A block that holds one encoded datum, or several, already as the container's codec has them. */
export function containerBlock(datum: Uint8Array, sync: Uint8Array, recordCount = 1): Buffer {
  assertSync(sync);
  const dataStart = countSize(recordCount) + countSize(datum.length);
  const block = Buffer.allocUnsafeSlow(dataStart + datum.length + SYNC_BYTES);
  writeCount(block, writeCount(block, 0, recordCount), datum.length);
  block.set(datum, dataStart);
  block.set(sync, dataStart + datum.length);
  return block;
}

/**
 * The header of a container, from the start of its bytes.
 *
 * @throws ContainerError when the magic is not there, the header ends early, or the codec is unknown.
 */
export function readContainerHeader(bytes: Uint8Array): ContainerHeader {
  if (Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) !== 0) throw new ContainerError(0, 'no Avro container');
  return named(0, () => {
    const metadata = new Map<string, string>();
    let offset = MAGIC.length;
    const takeLong = (): bigint => {
      const start = offset;
      offset = skipLong(bytes, start, bytes.length);
      return longAt(bytes, start, offset);
    };
    const takeText = (): string => {
      const data = slice(bytes, takeLong(), offset);
      offset += data.length;
      return Buffer.from(data).toString('utf8');
    };
    for (let count = takeLong(); count !== 0n; count = takeLong()) {
      if (count < 0n) takeLong(); // A negative count is followed by the size of its block.
      const entryCount = count < 0n ? -count : count;
      for (let i = 0n; i < entryCount; i++) metadata.set(takeText(), takeText());
    }
    const sync = slice(bytes, BigInt(SYNC_BYTES), offset);
    const codec = metadata.get('avro.codec') ?? 'null';
    if (codec !== 'null' && codec !== 'deflate' && codec !== 'snappy') {
      throw new Error(`codec ${codec} is not read here`);
    }
    const schemaJson = metadata.get('avro.schema');
    if (schemaJson === undefined) throw new Error('no schema');
    return { schemaJson, codec, sync, end: offset + SYNC_BYTES };
  });
}

/**
 * The block that starts at `offset`, which lies before the end of `bytes`.
 *
 * @throws ContainerError with this offset when the block ends early or its marker is not `sync`.
 */
export function containerBlockAt(bytes: Uint8Array, offset: number, sync: Uint8Array): ContainerBlock {
  return named(offset, () => {
    const sizeStart = skipLong(bytes, offset, bytes.length);
    const dataStart = skipLong(bytes, sizeStart, bytes.length);
    const recordCount = longAt(bytes, offset, sizeStart);
    if (recordCount < 0n) throw new Error(`${recordCount} records`);
    const data = slice(bytes, longAt(bytes, sizeStart, dataStart), dataStart);
    const dataEnd = dataStart + data.length;
    if (Buffer.compare(slice(bytes, BigInt(SYNC_BYTES), dataEnd), sync) !== 0) {
      throw new Error('the sync marker is another one');
    }
    return { offset, recordCount: Number(recordCount), data, end: dataEnd + SYNC_BYTES };
  });
}

/**
 * The blocks of a whole container in file order, as views, compressed if they are.
 *
 * @throws ContainerError at the first damage; its `offset` is the length up to which the file is sound.
 */
export function* containerBlocks(bytes: Uint8Array): Generator<ContainerBlock, void, undefined> {
  const header = readContainerHeader(bytes);
  let offset = header.end;
  while (offset < bytes.length) {
    const block = containerBlockAt(bytes, offset, header.sync);
    yield block;
    offset = block.end;
  }
}

function slice(bytes: Uint8Array, size: bigint, start: number): Uint8Array {
  if (size < 0n) throw new Error(`size ${size}`);
  if (size > bytes.length - start) throw new Error(`${size} bytes expected, ${bytes.length - start} left`);
  return bytes.subarray(start, start + Number(size));
}

function named<T>(offset: number, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new ContainerError(offset, (cause as Error).message);
  }
}

function assertSync(sync: Uint8Array): void {
  if (sync.length !== SYNC_BYTES) throw new Error(`sync marker of ${sync.length} bytes, not ${SYNC_BYTES}`);
}
