/**
 * Whole lists out of Redis at the pace of memory. A general client hands each 64 kB that arrive to the collector and
 * joins them afterwards: for the 170 MB of a field half of a read was garbage collection. Here all answers of a read
 * are copied once, from one buffer that is used again into buffers of their own size.
 *
 * Of the protocol (RESP2) only what LRANGE answers: arrays of bulk strings, and errors.
 */
import { connect, type Socket } from 'node:net';

const RECEIVE_BYTES = 1024 * 1024;
const CR = 13;
/**
 * Lists under way at once. The server holds its answers in fresh memory until they are sent: with all of a field's 220
 * asked for at once that is as much again as it keeps.
 */
const LISTS_ASKED_MAX = 8;
/** A line of the protocol is a type, a number and the end; an error's message is cut here. */
const LINE_BYTES_MAX = 512;

/** Reads lists on a connection of its own; fails when the server is away, slow, or says something else. */
export class BulkReader {
  readonly #socket: Socket;
  readonly #limitMs: number;
  #ready: Promise<void>;
  #lists: Buffer[][] = [];
  #keys: readonly string[] = [];
  /** How many of the keys have been asked for. */
  #asked = 0;
  /** Elements of the list that is arriving, and the bytes of the one element. */
  #elementsLeft = 0;
  #element: Buffer | null = null;
  #filled = 0;
  #line = '';
  /** End-of-line bytes that follow an element. */
  #skip = 0;
  #settle: { resolve: (lists: Buffer[][]) => void; reject: (error: Error) => void } | null = null;
  #failure: Error | null = null;

  /** @param address A socket's path, or host and port. */
  constructor(address: Readonly<{ path: string }> | Readonly<{ host: string; port: number }>, limitMs: number) {
    this.#limitMs = limitMs;
    const buffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES);
    this.#socket = connect({
      ...address, onread: { buffer, callback: (size) => { this.#receive(buffer.subarray(0, size)); return true; } },
    });
    this.#socket.unref();
    this.#ready = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve);
      this.#socket.once('close', () => reject(this.#fail(new Error('the cache closed the connection'))));
    });
    this.#ready.catch(() => undefined); // Whoever reads is told.
    this.#socket.on('error', (error) => this.#fail(error));
  }

  get isBroken(): boolean { return this.#failure !== null; }

  /** One read at a time. @returns The elements of each list; none of one that is not there. */
  async read(keys: readonly string[]): Promise<Buffer[][]> {
    if (keys.length === 0) return [];
    await this.#ready;
    if (this.#failure) throw this.#failure;
    if (this.#settle) throw new Error('a read of the cache is under way');
    const timer = setTimeout(() => this.#fail(new Error(`no answer in ${this.#limitMs} ms`)), this.#limitMs);
    this.#socket.ref();
    try {
      return await new Promise<Buffer[][]>((resolve, reject) => {
        this.#settle = { resolve, reject };
        this.#lists = [];
        this.#keys = keys;
        this.#asked = 0;
        this.#ask();
      });
    } finally {
      clearTimeout(timer);
      this.#settle = null;
      this.#socket.unref();
    }
  }

  close(): void {
    this.#fail(new Error('closed'));
  }

  /** Asks for as many lists as may be under way. */
  #ask(): void {
    const until = Math.min(this.#keys.length, this.#lists.length + LISTS_ASKED_MAX);
    if (until === this.#asked) return;
    this.#socket.write(this.#keys.slice(this.#asked, until).map((key) => (
      `*4\r\n$6\r\nLRANGE\r\n$${Buffer.byteLength(key)}\r\n${key}\r\n$1\r\n0\r\n$2\r\n-1\r\n`)).join(''));
    this.#asked = until;
  }

  #receive(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.#failure;) {
      if (this.#skip > 0) {
        const size = Math.min(this.#skip, bytes.length - at);
        this.#skip -= size;
        at += size;
        if (this.#skip === 0) this.#settleWhenWhole();
      } else if (this.#element) {
        const size = Math.min(this.#element.length - this.#filled, bytes.length - at);
        bytes.copy(this.#element, this.#filled, at, at + size);
        this.#filled += size;
        at += size;
        if (this.#filled === this.#element.length) this.#endElement(this.#element);
      } else {
        at = this.#receiveLine(bytes, at);
      }
    }
  }

  #receiveLine(bytes: Buffer, from: number): number {
    const end = bytes.indexOf(CR, from);
    this.#line += bytes.toString('latin1', from, end < 0 ? bytes.length : end);
    if (this.#line.length > LINE_BYTES_MAX) this.#fail(new Error('a line of the cache that does not end'));
    if (end < 0) return bytes.length;
    const line = this.#line, size = Number(line.slice(1));
    this.#line = '';
    this.#skip = 1; // The line feed.
    if (line[0] === '*' && size >= 0) this.#beginList(size);
    else if (line[0] === '$' && size >= 0 && this.#elementsLeft > 0) this.#beginElement(size);
    else this.#fail(new Error(`the cache says ${line}`));
    return end + 1;
  }

  #beginList(size: number): void {
    this.#lists.push([]);
    this.#elementsLeft = size;
    this.#ask();
  }

  #beginElement(size: number): void {
    this.#element = Buffer.allocUnsafeSlow(size);
    this.#filled = 0;
    if (size === 0) this.#endElement(this.#element);
  }

  #endElement(element: Buffer): void {
    this.#lists[this.#lists.length - 1].push(element);
    this.#element = null;
    this.#skip += 2;
    this.#elementsLeft--;
  }

  /** Nothing of the answer is left to come, the ends of its lines included. */
  #settleWhenWhole(): void {
    const isWhole = this.#elementsLeft === 0 && this.#element === null && this.#lists.length === this.#keys.length;
    if (isWhole) this.#settle?.resolve(this.#lists);
  }

  /** Nothing can be read any more: answers that still come would be taken for those of the next read. */
  #fail(error: Error): Error {
    this.#failure ??= error;
    this.#settle?.reject(this.#failure);
    this.#socket.destroy();
    return this.#failure;
  }
}
