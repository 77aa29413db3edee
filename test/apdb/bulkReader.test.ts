/** Lists out of a cache that answers in pieces of any size, slowly, wrongly, or not at all. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { BulkReader } from '../../apdb/redis/bulkReader.ts';

const folder = mkdtempSync(join(tmpdir(), 'vesper-bulk-'));
const path = join(folder, 'redis.sock');
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

let server: Server, reader: BulkReader;
/** What the server does with a request. */
let answer: (socket: Socket, request: string) => void;
const open = new Set<Socket>();

beforeEach(async () => {
  server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined); // The reader hangs up when it is told nonsense.
    socket.on('data', (bytes) => answer(socket, bytes.toString('latin1')));
  });
  await new Promise<void>((resolve) => { server.listen(path, resolve); });
  reader = new BulkReader({ path }, 300);
});
afterEach(async () => {
  reader.close();
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => { server.close(resolve); });
});

function encoded(lists: readonly (readonly Uint8Array[])[]): Buffer {
  return Buffer.concat(lists.flatMap((list) => [
    Buffer.from(`*${list.length}\r\n`),
    ...list.flatMap((bytes) => [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]),
  ]));
}

test('whatever the pieces that the answer comes in, the lists are those that were kept', async () => {
  const lists = fc.array(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }), { minLength: 1, maxLength: 5 });
  await fc.assert(fc.asyncProperty(lists, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), async (
    kept, sizes,
  ) => {
    const keys = kept.map((_, k) => `tile:${k}`);
    answer = (socket, request) => {
      expect(request.split('LRANGE')).toHaveLength(keys.length + 1);
      const bytes = encoded(kept);
      void (async () => {
        for (let at = 0, k = 0; at < bytes.length; k++) {
          const size = sizes[k % sizes.length];
          // A turn of the event loop between them keeps the kernel from joining most.
          await new Promise((resolve) => { socket.write(bytes.subarray(at, at + size), () => setImmediate(resolve)); });
          at += size;
        }
      })();
    };
    const read = await reader.read(keys);
    expect(read.map((list) => list.map((bytes) => [...bytes]))).toEqual(kept.map((list) => list.map((b) => [...b])));
  // The first once was taken for whole before the end of its line had come, which then spoilt the next answer.
  }), { numRuns: 30, examples: [[[[]], [1]], [[[new Uint8Array(0)]], [1]]] });
});

test('no more than eight lists are under way at once, and all come', async () => {
  const kept = Array.from({ length: 50 }, (_, k) => [Uint8Array.of(k)]);
  let asked = 0, answered = 0, atOnce = 0;
  answer = (socket, request) => {
    asked += request.split('LRANGE').length - 1;
    atOnce = Math.max(atOnce, asked - answered);
    setImmediate(() => {
      const upTo = asked;
      socket.write(encoded(kept.slice(answered, upTo)));
      answered = upTo;
    });
  };
  const read = await reader.read(kept.map((_, k) => `tile:${k}`));
  expect(read.map((list) => [...list[0]])).toEqual(kept.map(([bytes]) => [...bytes]));
  expect(atOnce).toBe(8);
});

test.each([
  ['an error', (socket: Socket) => socket.write('-NOAUTH Authentication required.\r\n'), 'the cache says -NOAUTH'],
  ['another type', (socket: Socket) => socket.write(':7\r\n'), 'the cache says :7'],
  ['the end', (socket: Socket) => socket.end(), 'the cache closed the connection'],
  ['nothing', () => undefined, 'no answer in 300 ms'],
  ['a line without end', (socket: Socket) => socket.write('*'.repeat(600)), 'a line of the cache that does not end'],
])('a server that answers with %s breaks the reader, and no later answer is taken for another one', async (
  _, say, reason,
) => {
  answer = (socket) => { say(socket); };
  await expect(reader.read(['a', 'b'])).rejects.toThrow(reason);
  expect(reader.isBroken).toBe(true);
  answer = (socket) => socket.write(encoded([[]]));
  await expect(reader.read(['a'])).rejects.toThrow();
});

test('a server that is not there is an error of the read, not of the process', async () => {
  const nowhere = new BulkReader({ path: join(folder, 'nobody.sock') }, 300);
  await expect(nowhere.read(['a'])).rejects.toThrow(/ENOENT|closed/);
});
