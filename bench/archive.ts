/**
 * How long does it take to fetch one alert of a night's archive by its id? Packets of random bytes behind a real
 * diaSource, ids drawn at random from a seed, the archive just written (so in the page cache, as far as that reaches).
 *
 *     node bench/archive.ts [--alerts N] [--bytes N] [--fetches N] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openArchive, readPacket, type ReadPacket } from '../brokers/archive/archive.ts';
import { findAlert, findNewestOfObject } from '../brokers/archive/reader.ts';
import { encodeDiaSource } from '../schemas/avro.ts';
import { newDiaSource } from '../schemas/diaRows.ts';
import { asDayObs, asDetectorId, diaSourceIdOf, visitOf } from '../schemas/ids.ts';
import { assemblePacket } from '../schemas/packet.ts';
import { benchResult, reportResult, spreadOf } from './harness.ts';

const { values } = parseArgs({ options: {
  alerts: { type: 'string', default: '100000' }, bytes: { type: 'string', default: '9000' },
  fetches: { type: 'string', default: '2000' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const NIGHT = asDayObs(20261120), INSTRUMENT = 'minicam';
const alerts = Number(values.alerts), bytes = Number(values.bytes), fetches = Number(values.fetches);

/** 1,000 alerts a visit, as at a high galactic latitude with few detectors. */
function idOf(n: number): bigint {
  return diaSourceIdOf(visitOf(NIGHT, 1 + Math.floor(n / 1000)), asDetectorId(n % 9), n % 1000);
}

function packetOf(n: number, cutout: Uint8Array): ReadPacket {
  const diaSourceId = idOf(n);
  const diaSource = encodeDiaSource(newDiaSource({
    diaSourceId, diaObjectId: diaSourceId, visit: BigInt(visitOf(NIGHT, 1 + Math.floor(n / 1000))), detector: n % 9,
    midpointMjdTai: 61364.25, ra: 150 + (n % 997) / 1000, dec: -2.5 + (n % 991) / 1000, x: 1, y: 1,
    timeProcessedMjdTai: 61364.26, bboxSize: 9,
  }));
  const packet = assemblePacket({
    diaSourceId, observationReason: null, targetName: null, diaSource, prvDiaSources: null, prvDiaForcedSources: null,
    diaObject: null, ssSource: null, mpcOrbit: null, cutoutDifference: cutout, cutoutScience: null,
    cutoutTemplate: null,
  });
  return readPacket({ packet, sequence: n + 1 });
}

/** mulberry32: the same ids are fetched by every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Timed = Readonly<{ ms: readonly number[]; first: number; sum: number }>;

async function timed(fetch: (id: bigint) => Promise<Buffer | null>): Promise<Timed> {
  const random = randomFrom(20261120);
  const ms: number[] = [];
  let sum = 0;
  for (let i = 0; i < fetches; i++) {
    const id = idOf(Math.floor(random() * alerts));
    const started = performance.now();
    const packet = await fetch(id);
    ms.push(performance.now() - started);
    if (packet === null) throw new Error(`alert ${id} is not found`);
    sum += packet[packet.length >> 1];
  }
  return { ms, first: ms[0], sum };
}

const dataDir = await mkdtemp(join(tmpdir(), 'vesper-bench-archive-'));
try {
  const archive = await openArchive(dataDir, INSTRUMENT, NIGHT);
  const cutout = new Uint8Array(Math.max(1, bytes - 600)).map((_, i) => (i * 131) % 251);
  for (let n = 0; n < alerts; n += 500) {
    await archive.append(Array.from({ length: Math.min(500, alerts - n) }, (_, i) => packetOf(n + i, cutout)));
  }
  await archive.close();
  const byId = await timed((id) => findAlert(dataDir, INSTRUMENT, id));
  const byObject = await timed((id) => findNewestOfObject(dataDir, INSTRUMENT, id)); // Objects have their ids here.
  reportResult(benchResult({
    bench: 'archive', question: 'milliseconds to fetch one alert of a night by its id, and by its object',
    size: { alerts, bytes, fetches },
    figures: {
      fetchByIdMs: spreadOf(byId.ms), firstFetchMs: spreadOf([byId.first]), fetchByObjectMs: spreadOf(byObject.ms),
    },
    checksum: createHash('sha256').update(`${byId.sum} ${byObject.sum}`).digest('hex').slice(0, 16),
  }), { json: values.json, keep: values.keep });
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
