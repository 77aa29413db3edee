// Every alert of a stream, from its start. Run with the server, the stream and a name of your own:
// node brokers/examples/consumer.ts nats://127.0.0.1:4222 ALERTS_minicam_20261120 my-broker [OPTION …]
// --skip-tests passes over test messages (simulated nights are tests), --until-caught-up ends when nothing is owed.
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { decodeAlert } from '../../schemas/packet.ts';

const [url, stream, durable, ...options] = process.argv.slice(2);
if (durable === undefined) throw new Error('usage: node consumer.ts NATS_URL STREAM DURABLE_NAME');
const connection = await connect({ servers: url });
const manager = await jetstreamManager(connection);
await manager.consumers.add(stream, { durable_name: durable, ack_policy: AckPolicy.Explicit });
const consumer = await jetstream(connection).consumers.get(stream, durable);
for await (const message of await consumer.consume()) {
  const isSkipped = options.includes('--skip-tests') && message.headers?.has('test-message');
  const { diaSourceId, diaSource: { band, ra, dec, snr } } = decodeAlert(message.data);
  if (!isSkipped) console.log(`${diaSourceId} ${band} (${ra.toFixed(5)}, ${dec.toFixed(5)}) snr ${snr?.toFixed(1)}`);
  message.ack(); // The server now counts it as delivered; without this it comes again.
  if (message.info.pending === 0 && options.includes('--until-caught-up')) break;
}
await connection.drain();
