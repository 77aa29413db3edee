/**
 * The engine as a commandable component: commands by NATS request–reply, heartbeats and state as telemetry (DESIGN
 * §11).
 */
import type { NatsConnection, Subscription } from '@nats-io/nats-core';
import { subjects } from '../../schemas/subjects.ts';
import { ACK, COMMANDS, nextState, type ComponentCommand, type ComponentState } from './states.ts';

/** What a command gets back. */
export type Acknowledgement = Readonly<{ ack: number; state: ComponentState; message: string }>;

/** What a transition does; it throws when it cannot, and the component goes to FAULT. */
export type Actions = Readonly<Record<ComponentCommand, () => Promise<void>>>;

/** Time between heartbeats, ms: Rubin's components beat once a second. */
const HEARTBEAT_MS = 1000;

export class Component {
  readonly #connection: NatsConnection;
  readonly #instrument: string;
  readonly #actions: Actions;
  readonly #subscriptions: Subscription[] = [];
  readonly #heartbeat: NodeJS.Timeout;
  #state: ComponentState = 'STANDBY';
  /** Commands are carried out one at a time. */
  #chain: Promise<unknown> = Promise.resolve();

  constructor(connection: NatsConnection, instrument: string, actions: Actions) {
    this.#connection = connection;
    this.#instrument = instrument;
    this.#actions = actions;
    for (const command of COMMANDS) {
      this.#subscriptions.push(connection.subscribe(subjects.command(instrument, command), {
        callback: (error, message) => {
          if (error) return;
          this.#chain = this.#chain.then(async () => {
            message.respond(JSON.stringify(await this.#carryOut(command)));
          });
        },
      }));
    }
    this.#heartbeat = setInterval(() => this.#publish('heartbeat', { state: this.#state }), HEARTBEAT_MS);
    this.#publishState('ready');
  }

  get state(): ComponentState { return this.#state; }

  /** A fault that nobody commanded: what went wrong is told, and only `standby` leads out. */
  fault(reason: string): void {
    this.#state = 'FAULT';
    this.#publishState(reason);
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  async #carryOut(command: ComponentCommand): Promise<Acknowledgement> {
    const next = nextState(this.#state, command);
    if (next === null) {
      return { ack: ACK.notPermitted, state: this.#state, message: `${command} is not allowed in ${this.#state}` };
    }
    try {
      await this.#actions[command]();
    } catch (error) {
      this.fault((error as Error).message); // Actions throw Errors.
      return { ack: ACK.failed, state: this.#state, message: (error as Error).message };
    }
    this.#state = next;
    this.#publishState(command);
    return { ack: ACK.complete, state: next, message: '' };
  }

  #publishState(reason: string): void {
    this.#publish('summaryState', { state: this.#state, reason });
  }

  #publish(topic: string, data: Readonly<Record<string, string>>): void {
    if (!this.#connection.isClosed()) {
      this.#connection.publish(subjects.telemetry(this.#instrument, topic), JSON.stringify(data));
    }
  }
}

/**
 * Sends one command as the control system does.
 *
 * @throws Error of one line when it is not carried out.
 */
export async function sendCommand(
  connection: NatsConnection, instrument: string, command: ComponentCommand,
): Promise<ComponentState> {
  const reply = await connection.request(subjects.command(instrument, command), '', { timeout: 30_000 });
  const { ack, state, message } = reply.json<Acknowledgement>();
  if (ack !== ACK.complete) throw new Error(`command ${command} was refused: ${message}`);
  return state;
}
