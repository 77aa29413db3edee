/** Writes to subjects of FILTERED, each message once, however often it is tried and by however many instances. */
import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiCodes, JetStreamApiError, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { headers as newHeaders, type MsgHdrs } from '@nats-io/nats-core';
import { withoutCutouts } from '../../schemas/packet.ts';
import { brokersConfig } from '../config.ts';

/** Headers that a filtered alert has beside those of the alert. */
export const filterHeaders = {
  /** Sequence in ALERTS of the alert: where a filter without a rank goes on after a crash. */
  alertSequence: 'alert-seq',
  /** `user.name@version`. */
  filter: 'filter',
  /** Of a ranked filter: the sequence in FILTERED of the selection that the alert belongs to … */
  selectionSequence: 'selection-seq',
  /** … and its place there, 0 is the best: where delivery goes on after a crash. */
  selectionPlace: 'selection-place',
} as const;

/** A subject, and the sequence in FILTERED of the last message known on it: what the next publication expects. */
export type Slot = { readonly subject: string; subjectSequence: number };

export type Publication = Readonly<{ messageId: string; headers: MsgHdrs; data: Uint8Array }>;

export class FilteredPublisher {
  readonly #js: JetStreamClient;
  readonly #jsm: JetStreamManager;
  readonly #stream: string;
  readonly #hasPixels: (user: string) => boolean;

  /** @param hasPixels Whether a user may have cutouts. */
  constructor(
    js: JetStreamClient, jsm: JetStreamManager, stream: string, hasPixels: (user: string) => boolean = () => true,
  ) {
    this.#js = js;
    this.#jsm = jsm;
    this.#stream = stream;
    this.#hasPixels = hasPixels;
  }

  /** A packet as a user gets it. */
  packetFor(user: string, packet: Uint8Array): Uint8Array {
    return this.#hasPixels(user) ? packet : withoutCutouts(packet);
  }

  /** Sequence and headers of the last message on a subject, or null. */
  async last(subject: string): Promise<Readonly<{ sequence: number; headers: MsgHdrs }> | null> {
    const found = await this.#jsm.streams.getMessage(this.#stream, { last_by_subj: subject });
    return found === null ? null : { sequence: found.seq, headers: found.header };
  }

  /**
   * Writes unless it is there already. True when this call wrote; `slot` then stands on it. False when someone had:
   * we, before an acknowledgement was lost, or another instance; `slot` then stands on the last message.
   *
   * @param isWritten Told the headers of the last message on the subject when that is not the one expected: is ours
   *   there already?
   * @throws Error that names the subject when the server refuses for good or stays away.
   */
  async publish(slot: Slot, message: Publication, isWritten: (last: MsgHdrs) => boolean): Promise<boolean> {
    const { messageId, headers, data } = message;
    for (let attempt = 1; ; attempt++) {
      let isDuplicate = false;
      try {
        const ack = await this.#js.publish(slot.subject, data, {
          msgID: messageId,
          headers,
          timeout: brokersConfig.requestTimeoutMs,
          expect: { streamName: this.#stream, lastSubjectSequence: slot.subjectSequence },
        });
        if (!ack.duplicate) {
          slot.subjectSequence = ack.seq;
          return true;
        }
        isDuplicate = true;
      } catch (error) {
        await waitOrThrow(slot.subject, error, attempt);
      }
      const last = await this.last(slot.subject);
      slot.subjectSequence = last?.sequence ?? 0;
      if (isDuplicate || (last !== null && isWritten(last.headers))) return false;
    }
  }
}

/** The alert's own headers, without those that the server acts on, and where it came from. */
export function headersFor(
  filter: string,
  alert: Readonly<{ headers: MsgHdrs | undefined; sequence: number }>,
  more: Readonly<Record<string, number>> = {},
): MsgHdrs {
  const made = newHeaders();
  for (const [name, values] of alert.headers ?? []) {
    if (!name.toLowerCase().startsWith('nats-')) for (const value of values) made.append(name, value);
  }
  made.set(filterHeaders.alertSequence, String(alert.sequence));
  made.set(filterHeaders.filter, filter);
  for (const [name, value] of Object.entries(more)) made.set(name, String(value));
  return made;
}

/** Decides after a failed publication: another try, at once or after a pause, or the end. */
async function waitOrThrow(subject: string, error: unknown, attempt: number): Promise<void> {
  const isRefused = error instanceof JetStreamApiError;
  const isOvertaken = isRefused && error.code === JetStreamApiCodes.StreamWrongLastSequence;
  if ((isRefused && !isOvertaken) || attempt >= brokersConfig.publishAttempts) {
    throw new Error(`filters: cannot publish on ${subject}: ${(error as Error).message}`, { cause: error });
  }
  if (!isOvertaken) await sleep(100 * 2 ** attempt); // The server is away: 0.2 s, 0.4 s, 0.8 s, 1.6 s.
}
