import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alertSchemaJson } from '../../schemas/alertSchema.ts';
import { alertType } from '../../schemas/avro.ts';
import {
  containerBlock, containerBlockAt, containerBlocks, containerHeader, ContainerError, readContainerHeader,
} from '../../schemas/container.ts';
import { anyAlert } from './alertArbitraries.ts';

const schemaJson = alertSchemaJson('11.0');
const sync = Buffer.from('0123456789abcdef');
const header = containerHeader(schemaJson, sync);
const data = fc.sample(anyAlert, { numRuns: 5, seed: 20261120 }).map((alert) => alertType.toBuffer(alert));
const file = Buffer.concat([header, ...data.map((datum) => containerBlock(datum, sync))]);
const hasFastavro = spawnSync('python3', ['-c', 'import fastavro']).status === 0;
if (!hasFastavro) console.warn('skipped: python3 cannot import fastavro, so no test with it');

test('a container gives back the data that were put in, in order', () => {
  const blocks = [...containerBlocks(file)];
  expect(blocks.map((block) => block.data)).toEqual(data);
  expect(blocks.every((block) => block.recordCount === 1)).toBe(true);
});

test('the header gives back the schema and the sync marker', () => {
  expect(readContainerHeader(file)).toEqual({ schemaJson, codec: 'null', sync, end: header.length });
});

test('a block is found by its offset alone', () => {
  const third = [...containerBlocks(file)][2];
  expect(containerBlockAt(file, third.offset, sync)).toEqual(third);
});

test('equal inputs give equal bytes', () => {
  expect(containerHeader(schemaJson, sync)).toEqual(header);
});

test('avsc reads the container back as the alerts that were encoded', async () => {
  const alerts: unknown[] = [];
  const decoder = new avro.streams.BlockDecoder({ parseHook: () => alertType });
  for await (const alert of Readable.from([file]).pipe(decoder)) alerts.push(alert);
  expect(alerts).toEqual(data.map((datum) => alertType.fromBuffer(datum)));
});

test.skipIf(!hasFastavro)('fastavro reads the ids of the container in order', () => {
  const folder = mkdtempSync(join(tmpdir(), 'container-'));
  try {
    const path = join(folder, 'night.avro');
    writeFileSync(path, file);
    const program = [
      'import fastavro, sys',
      'print(*[alert["diaSourceId"] for alert in fastavro.reader(open(sys.argv[1], "rb"))])',
    ].join('\n');
    const ids = execFileSync('python3', ['-c', program, path], { encoding: 'utf8' }).trim().split(' ');
    expect(ids).toEqual(data.map((datum) => String(alertType.fromBuffer(datum).diaSourceId)));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('damage', () => {
  const offsets = [...containerBlocks(file)].map((block) => block.offset);

  test('a file that is no container is refused at byte 0', () => {
    expect(faultOffset(Buffer.from('SIMPLE  = T'))).toBe(0);
    expect(faultOffset(Buffer.alloc(0))).toBe(0);
  });

  test('a file cut inside its header is refused at byte 0, wherever the cut', () => {
    for (let size = 0; size < header.length; size += 97) expect(faultOffset(file.subarray(0, size))).toBe(0);
    expect(faultOffset(file.subarray(0, header.length - 1))).toBe(0);
  });

  test('a file cut inside a block is sound up to that block, wherever the cut', () => {
    const [start, end] = [offsets[4], file.length];
    for (let size = start + 1; size < end; size += 1 + Math.floor((end - start) / 50)) {
      expect(faultOffset(file.subarray(0, size))).toBe(start);
    }
    expect(faultOffset(file.subarray(0, end - 1))).toBe(start);
  });

  test('a file cut between two blocks is whole', () => {
    expect(faultOffset(file.subarray(0, offsets[4]))).toBeNull();
  });

  test('a wrong sync marker is found at its block', () => {
    const damaged = Buffer.from(file);
    damaged[offsets[3] - 1] ^= 1; // The last byte of the third block's marker.
    expect(faultOffset(damaged)).toBe(offsets[2]);
  });

  test('a negative or impossible size is found at its block', () => {
    const negative = Buffer.concat([header, Buffer.of(2, 1), sync]);
    const huge = Buffer.concat([header, Buffer.of(2, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), sync]);
    expect([faultOffset(negative), faultOffset(huge)]).toEqual([header.length, header.length]);
  });

  test('a container of an unknown codec is refused and the codec named', () => {
    // 'null' and 'snap' are equally long, so the lengths around them hold.
    const compressed = Buffer.from(header);
    compressed.write('snap', header.indexOf('null'));
    expect(() => readContainerHeader(compressed)).toThrow('codec snap');
  });

  test('any one byte changed is read or refused with a ContainerError, never another error', () => {
    const short = Buffer.concat([containerHeader('"bytes"', sync), containerBlock(Buffer.from('datum'), sync)]);
    fc.assert(fc.property(fc.nat({ max: short.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
      const damaged = Buffer.from(short);
      damaged[at] = byte;
      faultOffset(damaged);
    }), { numRuns: 500 });
  });
});

test('a sync marker that is not 16 bytes is refused before anything is written', () => {
  expect(() => containerHeader(schemaJson, sync.subarray(1))).toThrow('15 bytes');
  expect(() => containerBlock(data[0], sync.subarray(1))).toThrow('15 bytes');
});

/** Where reading the whole file stops with a ContainerError, or null; any other error fails the test. */
function faultOffset(bytes: Uint8Array): number | null {
  try {
    for (const _ of containerBlocks(bytes)) { /* Only the walk matters. */ }
    return null;
  } catch (error) {
    if (error instanceof ContainerError) return error.offset;
    throw error;
  }
}
