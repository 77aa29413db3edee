/**
 * Large elements into Redis as they lie in memory. A general client joins each with its command: three copies of the
 * 150 MB of a field, and a collection of garbage for every 64 MB of them.
 *
 * Of the protocol (RESP2) only one transaction: MULTI, DEL, RPUSH, EXPIRE, EXEC.
 */
import { connect, type Socket } from 'node:net';

/** +OK, +QUEUED three times, *3 and three numbers. */
const REPLY_LINES = 8;
const LINE_FEED = 10, MINUS = 45;

/** Replaces lists on a connection of its own, one after the other; fails when the server is away, slow or refuses. */
export class BulkWriter {
  readonly #socket: Socket;
  readonly #limitMs: number;
  readonly #ready: Promise<void>;
  #before: Promise<unknown> = Promise.resolve();
  #linesLeft = 0;
  #isLineStart = true;
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #failure: Error | null = null;

  constructor(path: string, limitMs: number) {
    this.#limitMs = limitMs;
    this.#socket = connect({ path });
    this.#socket.unref();
    this.#ready = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve);
      this.#socket.once('close', () => reject(this.#fail(new Error('the cache closed the connection'))));
    });
    this.#ready.catch(() => undefined); // Whoever writes is told.
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('data', (bytes) => this.#receive(bytes));
  }

  get isBroken(): boolean { return this.#failure !== null; }

  /** @param element In pieces, which must not change before this is done. */
  replace(key: string, element: readonly Buffer[], seconds: number): Promise<void> {
    const done = this.#before.then(() => this.#write(key, element, seconds));
    this.#before = done.catch(() => undefined);
    return done;
  }

  close(): void {
    this.#fail(new Error('closed'));
  }

  async #write(key: string, element: readonly Buffer[], seconds: number): Promise<void> {
    await this.#ready;
    if (this.#failure) throw this.#failure;
    const timer = setTimeout(() => this.#fail(new Error(`no answer in ${this.#limitMs} ms`)), this.#limitMs);
    const size = element.reduce((sum, { length }) => sum + length, 0);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#settle = { resolve, reject };
        this.#linesLeft = REPLY_LINES;
        this.#socket.cork();
        this.#socket.write(`${command('MULTI')}${command('DEL', key)}*3\r\n${bulk('RPUSH')}${bulk(key)}$${size}\r\n`);
        for (const piece of element) if (piece.length > 0) this.#socket.write(piece);
        this.#socket.write(`\r\n${command('EXPIRE', key, String(seconds))}${command('EXEC')}`);
        this.#socket.uncork();
      });
    } finally {
      clearTimeout(timer);
      this.#settle = null;
    }
  }

  #receive(bytes: Buffer): void {
    for (const [at, byte] of bytes.entries()) {
      if (this.#isLineStart && byte === MINUS) {
        this.#fail(new Error(`the cache says ${bytes.toString('latin1', at).split('\r')[0]}`));
        return;
      }
      this.#isLineStart = byte === LINE_FEED;
      if (this.#isLineStart && --this.#linesLeft === 0) this.#settle?.resolve();
    }
  }

  /** Answers that still come would be taken for those of the next command. */
  #fail(error: Error): Error {
    this.#failure ??= error;
    this.#settle?.reject(this.#failure);
    this.#socket.destroy();
    return this.#failure;
  }
}

function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map(bulk).join('')}`;
}

function bulk(word: string): string {
  return `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
}
