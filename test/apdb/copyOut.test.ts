/** Answers of a server cut at any byte: the taker gets the data, the client what follows. */
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CopyOut } from '../../apdb/postgres/copyOut.ts';

const message = (code: string, body: Uint8Array): Buffer => {
  const head = Buffer.alloc(5);
  head.write(code, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

/** What a taker and the client are given when the answer comes in pieces of these sizes, again and again. */
function received(answer: Buffer, sizes: readonly number[], take: (piece: Buffer) => void): Buffer {
  const stream = new PassThrough(), clients: Buffer[] = [];
  stream.on('data', (bytes: Buffer) => clients.push(Buffer.from(bytes)));
  const copy = new CopyOut('COPY', take);
  copy.done.catch(() => undefined);
  copy.submit({ stream, query: () => undefined } as never);
  // One buffer is lent for every piece, as the socket does.
  const lent = Buffer.alloc(1024);
  for (let at = 0, k = 0; at < answer.length; k++) {
    const size = Math.min(sizes[k % sizes.length], answer.length - at);
    answer.copy(lent, 0, at, at + size);
    stream.emit('data', lent.subarray(0, size));
    at += size;
  }
  return Buffer.concat(clients);
}

const NOTICE = message('N', Buffer.from('SNOTICE\0\0'));
const END = Buffer.concat([message('C', Buffer.from('COPY 3\0')), message('Z', Buffer.from('I'))]);
const sizesArbitrary = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 });

test('data and what follows arrive whole, wherever the answer is cut', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 700 })), sizesArbitrary, (bodies, sizes) => {
    const data = bodies.flatMap((body) => [NOTICE, message('d', body)]);
    const answer = Buffer.concat([message('H', Buffer.alloc(9)), ...data, message('c', Buffer.alloc(0)), END]);
    const taken: Buffer[] = [];
    const rest = received(answer, sizes, (piece) => taken.push(Buffer.from(piece)));
    expect(Buffer.concat(taken)).toEqual(Buffer.concat(bodies));
    expect(rest).toEqual(END);
  }));
});

test('an error in mid-answer is the client\'s, from its first byte on', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 700 }), sizesArbitrary, (body, sizes) => {
    const error = Buffer.concat([message('E', Buffer.from('SERROR\0Mout of time\0\0')), message('Z', Buffer.from('E'))]);
    const taken: Buffer[] = [];
    const rest = received(Buffer.concat([message('d', body), error]), sizes, (piece) => taken.push(Buffer.from(piece)));
    expect(Buffer.concat(taken)).toEqual(Buffer.from(body));
    expect(rest).toEqual(error);
  }));
});

test('a taker that fails fails the COPY, and not before the answer has ended', async () => {
  const stream = new PassThrough();
  stream.on('data', () => undefined);
  let calls = 0;
  const copy = new CopyOut('COPY', () => { calls++; throw new Error('no such row'); });
  copy.submit({ stream, query: () => undefined } as never);
  for (const part of [message('d', Buffer.from('a')), message('d', Buffer.from('b')), message('c', Buffer.alloc(0))]) {
    stream.emit('data', part);
  }
  copy.handleReadyForQuery();
  await expect(copy.done).rejects.toThrow('no such row');
  expect(calls).toBe(1);
});
