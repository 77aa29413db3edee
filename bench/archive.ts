/**
 * How long does it take to keep a night's alerts, and to find one by its id, its object, its place and its time?
 * Packets of random bytes behind a real diaSource, ids drawn at random from a seed, the archive just written (so in the page cache, as far as that reaches).
 *
 *     node bench/archive.ts [--alerts N] [--bytes N] [--fetches N] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { archivePaths } from '../brokers/archive/layout.ts';
import { brokersConfig } from '../brokers/config.ts';
import { openArchive, readPacket, type ReadPacket } from '../brokers/archive/archive.ts';
import { findAlert, findNewestOfObject, searchNight } from '../brokers/archive/reader.ts';
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
const MJD = 61364.2, NIGHT_DAYS = 0.4, SEARCHES = 100;
const alerts = Number(values.alerts), bytes = Number(values.bytes), fetches = Number(values.fetches);

/** As many as the service writes and syncs at once. */
const BATCH = brokersConfig.archiveBatchMax;

/** 1,000 alerts a visit, as at a high galactic latitude with few detectors. */
function idOf(n: number): bigint {
  return diaSourceIdOf(visitOf(NIGHT, 1 + Math.floor(n / 1000)), asDetectorId(n % 9), n % 1000);
}

function packetOf(n: number, cutout: Uint8Array): ReadPacket {
  const diaSourceId = idOf(n);
  const diaSource = encodeDiaSource(newDiaSource({
    diaSourceId, diaObjectId: diaSourceId, visit: BigInt(visitOf(NIGHT, 1 + Math.floor(n / 1000))), detector: n % 9,
    midpointMjdTai: MJD + (NIGHT_DAYS * n) / alerts,
    ra: 150 + (n % 997) / 1000, dec: -2.5 + (n % 991) / 1000, x: 1, y: 1,
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

/** Cones of 60″ and spans of a visit, drawn from the same seed, each in the whole night. */
async function timedSearches(kind: 'cone' | 'time'): Promise<Readonly<{ ms: readonly number[]; found: number }>> {
  const random = randomFrom(20261121), ms: number[] = [];
  let found = 0;
  for (let i = 0; i < SEARCHES; i++) {
    const cone = { raDeg: 150 + random(), decDeg: -2.5 + random(), radiusArcsec: 60 };
    const fromMjdTai = MJD + random() * NIGHT_DAYS;
    const search = kind === 'cone' ? { cone, fromMjdTai: null, toMjdTai: null }
      : { cone: null, fromMjdTai, toMjdTai: fromMjdTai + 40 / 86_400 };
    const started = performance.now();
    found += (await searchNight(dataDir, INSTRUMENT, NIGHT, search, 10_000)).found;
    ms.push(performance.now() - started);
  }
  return { ms, found };
}

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
  let appendMs = 0;
  for (let n = 0; n < alerts; n += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, alerts - n) }, (_, i) => packetOf(n + i, cutout));
    const started = performance.now();
    await archive.append(batch);
    appendMs += performance.now() - started;
  }
  await archive.close();
  const reopened = performance.now();
  await (await openArchive(dataDir, INSTRUMENT, NIGHT)).close();
  const reopenMs = performance.now() - reopened;
  const byId = await timed((id) => findAlert(dataDir, INSTRUMENT, id));
  const byObject = await timed((id) => findNewestOfObject(dataDir, INSTRUMENT, id)); // Objects have their ids here.
  const byCone = await timedSearches('cone'), byTime = await timedSearches('time');
  const { container, index } = archivePaths(dataDir, INSTRUMENT, NIGHT);
  const [containerBytes, indexBytes] = await Promise.all(
    [container, index].map(async (path) => (await stat(path)).size),
  );
  reportResult(benchResult({
    bench: 'archive',
    question: 'milliseconds to find alerts of a night by id, object, cone of 60″ and span of 40 s; alerts kept a second',
    size: { alerts, bytes, fetches },
    figures: {
      fetchByIdMs: spreadOf(byId.ms), firstFetchMs: spreadOf([byId.first]), fetchByObjectMs: spreadOf(byObject.ms),
      coneMs: spreadOf(byCone.ms), timeMs: spreadOf(byTime.ms),
      appendPerSecond: spreadOf([(1000 * alerts) / appendMs]),
      appendMegabytesPerSecond: spreadOf([containerBytes / 1000 / appendMs]),
      reopenMs: spreadOf([reopenMs]), containerBytesPerAlert: spreadOf([containerBytes / alerts]),
      indexBytesPerAlert: spreadOf([indexBytes / alerts]), memoryMegabytes: spreadOf([process.memoryUsage().rss / 1e6]),
    },
    checksum: createHash('sha256').update(`${byId.sum} ${byObject.sum} ${byCone.found} ${byTime.found}`).digest('hex')
      .slice(0, 16),
  }), { json: values.json, keep: values.keep });
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
