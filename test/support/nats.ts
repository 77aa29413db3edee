/** A private nats-server for one test file, and alerts to publish. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { startStores, withoutCredentials } from '../../engine/setup/services.mjs';

export type TestNats = Readonly<{
  url: string;
  dataDir: string;
  connection: NatsConnection;
  jsm: JetStreamManager;
  /** A further connection, closed by `stop`. */
  connectAgain(): Promise<NatsConnection>;
  stop(): Promise<void>;
}>;

/** Starts a nats-server with JetStream in a directory of its own; call `stop` when done. */
export async function startTestNats(): Promise<TestNats> {
  const dataDir = await mkdtemp(join(tmpdir(), 'vesper-nats-'));
  const stores = await startStores({
    dataDir,
    need: { nats: true, postgres: false, redis: false },
    env: { PATH: process.env.PATH },
  });
  const connections: NatsConnection[] = [];
  const connectAgain = async (): Promise<NatsConnection> => {
    const connection = await connect({ servers: withoutCredentials(stores.natsUrl) });
    connections.push(connection);
    return connection;
  };
  const connection = await connectAgain();
  return {
    url: withoutCredentials(stores.natsUrl),
    dataDir,
    connection,
    jsm: await jetstreamManager(connection),
    connectAgain,
    async stop() {
      await Promise.all(connections.map((each) => each.close()));
      await stores.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
