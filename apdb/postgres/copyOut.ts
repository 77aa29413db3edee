/**
 * COPY … TO STDOUT as it arrives, without a buffer for each piece: what the socket has read is lent to the taker and
 * then read over. (As a stream of buffers, the 110 MB of a field were joined and copied twice, and collecting the
 * pieces was a sixth of the time.)
 *
 * Of the protocol (PostgreSQL manual, "Message Formats") only what stands between the statement and CopyDone; all else
 * goes on to the client.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type pg from 'pg';

/** More than a Unix socket holds at once (208 kB by default). */
const RECEIVE_BYTES = 256 * 1024;

/** Type of a message and its length. */
const HEAD_BYTES = 5;
const CODE = { copyData: 0x64, copyDone: 0x63, error: 0x45 } as const;

/** A socket with one buffer for all that it reads; who listens gets a copy of it, or while it `lends` the buffer. */
export class LendingSocket extends Socket {
  isLending = false;

  constructor() {
    const buffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES);
    super({ onread: { buffer, callback: (size: number) => this.#received(buffer.subarray(0, size)) } } as object);
  }

  #received(bytes: Buffer): boolean {
    this.emit('data', this.isLending ? bytes : Buffer.from(bytes));
    return true;
  }
}

type DataListener = (bytes: Buffer) => void;

/** One COPY on its way, for `client.query`. */
export class CopyOut {
  readonly done: Promise<void>;
  readonly #sql: string;
  readonly #take: (piece: Buffer) => void;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };
  #stream: Duplex | null = null;
  #theirs: DataListener | null = null;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headFilled = 0;
  /** Bytes of the message's body that are still to come, and whether they are taken. */
  #bodyLeft = 0;
  #isData = false;
  #failure: unknown = null;

  /** @param take Called with each piece of the answer, which is the taker's until it returns. */
  constructor(sql: string, take: (piece: Buffer) => void) {
    this.#sql = sql;
    this.#take = take;
    this.done = new Promise((resolve, reject) => { this.#settle = { resolve, reject }; });
  }

  /** By the client, when it is this statement's turn. */
  submit(connection: pg.Connection): void {
    const stream = connection.stream as Duplex;
    const [theirs] = stream.listeners('data') as DataListener[];
    this.#stream = stream;
    this.#theirs = theirs;
    stream.on('data', this.#receive);
    stream.removeListener('data', theirs);
    if (stream instanceof LendingSocket) stream.isLending = true;
    (connection as unknown as { query(sql: string): void }).query(this.#sql);
  }

  handleError(error: unknown): void {
    this.#giveBack(null);
    this.#settle.reject(error);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    if (this.#failure === null) this.#settle.resolve(); else this.#settle.reject(this.#failure);
  }

  readonly #receive = (bytes: Buffer): void => {
    let at = 0;
    while (at < bytes.length) {
      if (this.#bodyLeft > 0) {
        const end = Math.min(bytes.length, at + this.#bodyLeft);
        if (this.#isData) this.#hand(bytes.subarray(at, end));
        this.#bodyLeft -= end - at;
        at = end;
        continue;
      }
      const size = Math.min(HEAD_BYTES - this.#headFilled, bytes.length - at);
      bytes.copy(this.#head, this.#headFilled, at, at + size);
      this.#headFilled += size;
      at += size;
      if (this.#headFilled < HEAD_BYTES) return;
      this.#headFilled = 0;
      const code = this.#head[0];
      if (code === CODE.error) return this.#giveBack(Buffer.concat([this.#head, bytes.subarray(at)]));
      // CopyDone has no body.
      if (code === CODE.copyDone) return this.#giveBack(Buffer.from(bytes.subarray(at)));
      this.#isData = code === CODE.copyData;
      this.#bodyLeft = this.#head.readUInt32BE(1) - 4;
    }
  };

  /** A taker that fails does not end the answer: the rest is read and thrown away. */
  #hand(piece: Buffer): void {
    if (this.#failure !== null) return;
    try {
      this.#take(piece);
    } catch (error) {
      this.#failure = error;
    }
  }

  /** What comes from here on is the client's again. */
  #giveBack(rest: Buffer | null): void {
    const stream = this.#stream, theirs = this.#theirs;
    if (!stream || !theirs) return;
    this.#stream = null;
    if (stream instanceof LendingSocket) stream.isLending = false;
    stream.on('data', theirs);
    stream.removeListener('data', this.#receive);
    if (rest !== null && rest.length > 0) theirs(rest);
  }
}
