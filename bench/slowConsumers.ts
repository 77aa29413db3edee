/** Slow consumers in a process of their own, for bench/consumers.ts: each takes an alert, waits, acknowledges. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { consumeAlerts } from '../brokers/consume.ts';
import { withoutCredentials } from '../engine/setup/services.mjs';

const [url, stream, count, waitMs] = process.argv.slice(2);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const consumers = Array.from({ length: Number(count) }, async (_, i) => {
  const connection = await connect({ servers: withoutCredentials(url) });
  await consumeAlerts({
    connection, stream, durable: `slow${i}`, signal: stop.signal, onAlert: async () => { await sleep(Number(waitMs)); },
  });
  await connection.close();
});
process.stdout.write('ready\n');
await Promise.all(consumers);
