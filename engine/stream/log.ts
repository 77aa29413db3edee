/** Connection to the log: one NATS connection and its JetStream clients. */
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { streamConfig } from './config.ts';

export type Log = Readonly<{ connection: NatsConnection; js: JetStreamClient; jsm: JetStreamManager }>;

/**
 * Connects to a NATS server that has JetStream; user and password may stand in the address.
 *
 * @param onLost Called once when the server stays away longer than `reconnectLimitMs`.
 * @throws Error of one line that names the server.
 */
export async function openLog(url: string, name: string, onLost: (reason: string) => void): Promise<Log> {
  const attempts = Math.ceil(streamConfig.reconnectLimitMs / 500);
  const shown = url.replace(/\/\/[^@/]*@/, '//');
  let connection: NatsConnection;
  try {
    const { username, password } = new URL(url);
    connection = await connect({
      servers: shown, name, ...(username === '' ? {} : { user: username, pass: password }), maxReconnectAttempts: attempts, reconnectTimeWait: 500, timeout: 5_000, pingInterval: 5_000,
      // The client would take two stack traces for every message published, a tenth of a millisecond each.
      noAsyncTraces: true,
    });
  } catch (error) {
    // The client throws Errors.
    throw new Error(`no NATS server at ${shown}: ${(error as Error).message}`, { cause: error });
  }
  void connection.closed().then((error) => { if (error) onLost(`lost the NATS server at ${shown}: ${error.message}`); });
  try {
    const jsm = await jetstreamManager(connection, { timeout: streamConfig.ackTimeoutMs });
    const js = jetstream(connection, { timeout: streamConfig.ackTimeoutMs });
    return { connection, js, jsm };
  } catch (error) {
    await connection.close();
    throw new Error(`the NATS server at ${shown} has no JetStream: ${(error as Error).message}`, { cause: error });
  }
}

export async function closeLog(log: Log): Promise<void> {
  if (!log.connection.isClosed()) await log.connection.drain();
}
