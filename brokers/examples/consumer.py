"""Every alert of a stream, from its start; needs `pip install nats-py fastavro`.

    python consumer.py nats://127.0.0.1:4222 ALERTS_minicam_20261120 my-broker http://127.0.0.1:8080 [OPTION ...]

The fourth argument is the address of the page, which serves the schemas as a Confluent registry does. Options:
--skip-tests passes over test messages (simulated nights are tests), --until-caught-up ends when nothing is owed,
--json prints whole alerts as lines of JSON, bytes in base64.
"""
import asyncio
import base64
import io
import json
import struct
import sys
import urllib.request

import fastavro
import nats
from nats.js.api import ConsumerConfig


async def main(url, stream, durable, registry, *options):
    schemas = {}
    connection = await nats.connect(url)
    subscription = await connection.jetstream().pull_subscribe(
        "", durable=durable, stream=stream, config=ConsumerConfig(max_ack_pending=256))
    while True:
        if "--until-caught-up" in options:
            info = await subscription.consumer_info()
            if info.num_pending == 0 and info.num_ack_pending == 0:
                break
        try:
            messages = await subscription.fetch(100, timeout=1)
        except nats.errors.TimeoutError:
            continue
        for message in messages:
            if not ("--skip-tests" in options and "test-message" in (message.headers or {})):
                show(decode(message.data, schemas, registry), options)
            await message.ack()
    await connection.flush()  # The last acknowledgements.
    await connection.close()


def decode(packet, schemas, registry):
    """The alert in a framed packet; its schema is asked for once."""
    magic, schema_id = struct.unpack(">bi", packet[:5])
    if magic != 0:
        raise ValueError("not a framed Avro packet")
    if schema_id not in schemas:
        try:
            with urllib.request.urlopen(f"{registry.rstrip('/')}/schemas/ids/{schema_id}", timeout=10) as answer:
                schemas[schema_id] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        except OSError as error:  # What was not acknowledged comes again.
            sys.exit(f"consumer.py: no schema {schema_id} at {registry}: {error}")
    return fastavro.schemaless_reader(io.BytesIO(packet[5:]), schemas[schema_id])


def show(alert, options):
    source = alert["diaSource"]
    if "--json" in options:
        print(json.dumps(alert, default=lambda value: (
            base64.b64encode(value).decode() if isinstance(value, bytes) else str(value))))
    else:
        print(alert["diaSourceId"], source["band"], source["ra"], source["dec"], source["psfFlux"], source["snr"])


asyncio.run(main(*sys.argv[1:]))
