/** Elements into a cache that answers in pieces, refuses, hangs up, or says nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { BulkWriter } from '../../apdb/redis/bulkWriter.ts';

const folder = mkdtempSync(join(tmpdir(), 'vesper-bulk-'));
const path = join(folder, 'redis.sock');
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

const DONE = '+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:1\r\n:1\r\n';
const END = Buffer.from('*1\r\n$4\r\nEXEC\r\n');

let server: Server, writer: BulkWriter;
let requests: Buffer[];
/** What the server does when it has a whole transaction. */
let answer: (socket: Socket) => void;
const open = new Set<Socket>();

beforeEach(async () => {
  requests = [];
  server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined); // The writer hangs up when it is refused.
    let request = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      request = Buffer.concat([request, bytes]);
      if (!request.subarray(-END.length).equals(END)) return;
      requests.push(request);
      request = Buffer.alloc(0);
      answer(socket);
    });
  });
  await new Promise<void>((resolve) => { server.listen(path, resolve); });
  writer = new BulkWriter(path, 300);
});
afterEach(async () => {
  writer.close();
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => { server.close(resolve); });
});

test('pieces arrive joined in one transaction each, in the order asked, however the answer is cut', async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 });
  await fc.assert(fc.asyncProperty(fc.array(pieces, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 60 }), (
    async (elements, cut) => {
      requests = [];
      answer = (socket) => {
        socket.write(DONE.slice(0, cut));
        setImmediate(() => socket.write(DONE.slice(cut)));
      };
      await Promise.all(elements.map((element, k) => writer.replace(`tile:${k}`, element.map((b) => Buffer.from(b)), 9)));
      expect(requests.map((request) => request.toString('latin1'))).toEqual(elements.map((element, k) => {
        const bytes = Buffer.concat(element).toString('latin1');
        return `*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$6\r\ntile:${k}\r\n`
          + `*3\r\n$5\r\nRPUSH\r\n$6\r\ntile:${k}\r\n$${bytes.length}\r\n${bytes}\r\n`
          + `*3\r\n$6\r\nEXPIRE\r\n$6\r\ntile:${k}\r\n$1\r\n9\r\n*1\r\n$4\r\nEXEC\r\n`;
      }));
    })), { numRuns: 40 });
});

test.each([
  ['refuses', (socket: Socket) => socket.write('+OK\r\n+QUEUED\r\n-OOM command not allowed\r\n'), /OOM/],
  ['hangs up', (socket: Socket) => socket.destroy(), /closed the connection/],
  ['says nothing', () => undefined, /no answer in 300 ms/],
])('a cache that %s fails the call and every later one', async (_, behaviour, reason) => {
  answer = behaviour;
  await expect(writer.replace('tile:1', [Buffer.from('abc')], 9)).rejects.toThrow(reason);
  expect(writer.isBroken).toBe(true);
  await expect(writer.replace('tile:1', [Buffer.from('abc')], 9)).rejects.toThrow();
});
