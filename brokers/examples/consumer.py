"""Every alert of a stream, from its start; needs `pip install nats-py fastavro`.

    python consumer.py nats://127.0.0.1:4222 ALERTS_minicam_20261120 my-broker http://127.0.0.1:8080

The last argument is the address of the dashboard, which serves the schemas as a Confluent registry does.
"""
import asyncio
import io
import json
import struct
import sys
import urllib.request

import fastavro
import nats


async def main(url, stream, durable, registry):
    schemas = {}
    connection = await nats.connect(url)
    subscription = await connection.jetstream().pull_subscribe("", durable=durable, stream=stream)
    while True:
        try:
            messages = await subscription.fetch(100, timeout=5)
        except nats.errors.TimeoutError:
            continue
        for message in messages:
            magic, schema_id = struct.unpack(">bi", message.data[:5])
            assert magic == 0, "not a framed Avro packet"
            if schema_id not in schemas:
                with urllib.request.urlopen(f"{registry}/schemas/ids/{schema_id}") as answer:
                    schemas[schema_id] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
            alert = fastavro.schemaless_reader(io.BytesIO(message.data[5:]), schemas[schema_id])
            source = alert["diaSource"]
            print(alert["diaSourceId"], source["band"], source["ra"], source["dec"], source["psfFlux"], source["snr"])
            await message.ack()


asyncio.run(main(*sys.argv[1:5]))
