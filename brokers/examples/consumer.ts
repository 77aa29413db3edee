// Every alert of a stream, from its start. Run with the server, the stream and a name of your own:
// node brokers/examples/consumer.ts nats://127.0.0.1:4222 ALERTS_minicam_20261120 my-broker
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { decodeAlert } from '../../schemas/packet.ts';

const [url, stream, durable] = process.argv.slice(2);
if (durable === undefined) throw new Error('usage: node consumer.ts NATS_URL STREAM DURABLE_NAME');
const connection = await connect({ servers: url });
const manager = await jetstreamManager(connection);
await manager.consumers.add(stream, { durable_name: durable, ack_policy: AckPolicy.Explicit });
const consumer = await jetstream(connection).consumers.get(stream, durable);
for await (const message of await consumer.consume()) {
  const { diaSourceId, diaSource } = decodeAlert(message.data);
  console.log(
    `${diaSourceId} ${diaSource.band} (${diaSource.ra.toFixed(5)}, ${diaSource.dec.toFixed(5)}) ` +
      `${diaSource.psfFlux?.toFixed(0)} nJy, snr ${diaSource.snr?.toFixed(1)}`,
  );
  message.ack(); // The server now counts it as delivered; without this it comes again.
}
