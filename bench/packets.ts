/**
 * How fast do alerts leave? Packets of about 90 kB (30 earlier detections, 60 forced fluxes, three cutouts) assembled
 * from a commit's rows by the packet stage, and published by the distributor to a private nats-server, each
 * acknowledged; and the assembly of packets alone, CPU time of one thread.
 *
 *     node bench/packets.ts [--packets N] [--assembled N] [--runs N] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startStores } from '../engine/setup/services.mjs';
import { buildPackets, type PacketHistory } from '../engine/stages/packet/packet.ts';
import type { Cutouts } from '../engine/stages/packet/spool.ts';
import { Distributor } from '../engine/stream/distributor.ts';
import type { StoredEntry } from '../engine/stream/commitLog.ts';
import { closeLog, openLog } from '../engine/stream/log.ts';
import { PacketMemory } from '../engine/stream/packetMemory.ts';
import { lastSequence, openNightStreams } from '../engine/stream/streams.ts';
import { decodeDiaForcedSource, decodeDiaSource } from '../schemas/avro.ts';
import { asDetectorId, BEFORE_EVERYTHING, exposureOf, partsOfCommitPosition } from '../schemas/ids.ts';
import { encodeNeighbours } from '../schemas/neighbours.ts';
import { assemblePacket, type PacketParts } from '../schemas/packet.ts';
import { streams } from '../schemas/subjects.ts';
import { benchResult, measureCpuMs, reportResult, spreadOf } from './harness.ts';
import { BENCH_INSTRUMENT, BENCH_NIGHT, HISTORY, partsMaker, placeOf } from './sampleAlerts.ts';

const { values } = parseArgs({ options: {
  packets: { type: 'string', default: '10000' }, assembled: { type: 'string', default: '20000' },
  runs: { type: 'string', default: '5' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const packets = Number(values.packets), assembled = Number(values.assembled), runs = Number(values.runs);
/** Alerts of one visit and detector: 10,000 a visit over some 50 of Rubin's detectors that lie in a dense field. */
const COMMIT_PACKETS = 200;

const EMPTY = Buffer.alloc(0);
/** Three stars and three galaxies beside each packet. */
const NEAR = [1n, 2n, 3n].map((objectId) => (
  { objectId, distanceArcsec: 12.345, positionAngleDeg: 271.5, rMag: 22.125, radiusArcsec: 0.75 }));
const NEIGHBOURS = encodeNeighbours({ stars: NEAR, galaxies: NEAR });
const partsOf = partsMaker(20261120);

/** Packets built of ready rows in the memory of the commit before: what one core assembles in a second. */
function assembleMany(): Readonly<{ perSecond: number[]; digest: string; bytes: number }> {
  const parts = Array.from({ length: 200 }, (_, n) => partsOf(n));
  const memory = new PacketMemory();
  const { cpuMs, answer } = measureCpuMs(runs, 1, () => {
    let last: Buffer = EMPTY;
    for (let n = 0; n < assembled; n++) {
      if (n % COMMIT_PACKETS === 0) memory.reset(); // As the distributor does between commits.
      last = assemblePacket(parts[n % parts.length], memory.allocate);
    }
    return last;
  });
  return {
    perSecond: cpuMs.map((ms) => assembled / (ms / 1000)), bytes: answer.length,
    digest: createHash('sha256').update(answer).digest('hex').slice(0, 16),
  };
}

/** What all packets are made of, encoded before the clock runs: rows reach the distributor as bytes. */
const allParts = Array.from({ length: packets }, (_, n) => partsOf(n));

/** The rows of commit `c` as the distributor's packing finds them: the state in memory, the cutouts in the spool. */
function commitRows(c: number): Parameters<typeof buildPackets>[0] {
  const all = allParts.slice(c * COMMIT_PACKETS, (c + 1) * COMMIT_PACKETS);
  const cutoutsOf = ({ cutoutDifference, cutoutScience, cutoutTemplate }: PacketParts): Cutouts => ({
    difference: cutoutDifference ?? EMPTY, science: cutoutScience ?? EMPTY, template: cutoutTemplate ?? EMPTY,
    neighbours: NEIGHBOURS,
  });
  return {
    rows: {
      diaSources: all.map(({ diaSource }) => diaSource),
      diaObjects: all.flatMap(({ diaObject }) => (diaObject === null ? [] : [diaObject])),
      diaForcedSources: [], ssSources: [], mpcOrbits: [],
    },
    withheld: [], observationReason: null, targetName: null,
    history: new Map(all.map((parts) => [parts.diaSourceId, historyOf(parts)])), // Objects have their ids here.
    cutouts: new Map(all.map((parts) => [parts.diaSourceId, cutoutsOf(parts)])),
  };
}

const histories = new Map<unknown, PacketHistory>();

function historyOf({ prvDiaSources, prvDiaForcedSources }: PacketParts): PacketHistory {
  let known = histories.get(prvDiaSources);
  if (known === undefined) {
    known = {
      diaSources: (prvDiaSources ?? []).map((payload) => ({ row: decodeDiaSource(payload), payload })),
      diaForcedSources: (prvDiaForcedSources ?? []).map((payload) => ({ row: decodeDiaForcedSource(payload), payload })),
    };
    histories.set(prvDiaSources, known);
  }
  return known;
}

function entryOf(c: number): StoredEntry {
  const { visit } = placeOf(c * COMMIT_PACKETS);
  return { sequence: c + 1, bytes: EMPTY, entry: {
    instrument: BENCH_INSTRUMENT, dayObs: BENCH_NIGHT, deferred: null, corrected: null, sealed: null, associated: {
      group: 'g', visit, exposure: exposureOf(BENCH_NIGHT, 1), detector: asDetectorId(c % 189), attempt: 0, band: 'r',
      physicalFilter: 'r_mini', exposureSeconds: 30, midpointMjdTai: 61_364, readoutEndedMs: 0,
      timeProcessedMjdTai: 61_364, knownPosition: BEFORE_EVERYTHING, outcome: 'alerts', inputs: {},
      detected: COMMIT_PACKETS, droppedByReason: {}, withheld: [], summary: {}, diaSourceCount: COMMIT_PACKETS,
      rows: null, rowsSpool: null, cutoutSpool: null,
    },
  } };
}

type PublishFigures = Readonly<{ seconds: number; cpuSeconds: number; memoryMegabytes: number }>;

/** @throws Error when the stream does not hold every packet in the end. */
async function publishAll(): Promise<PublishFigures> {
  const dataDir = mkdtempSync(join(tmpdir(), 'vesper-bench-packets-'));
  const stores = await startStores({ dataDir, need: { nats: true, postgres: false, redis: false } });
  try {
    const log = await openLog(stores.natsUrl, 'bench', () => undefined);
    await openNightStreams(log, BENCH_INSTRUMENT, BENCH_NIGHT);
    const failures: Error[] = [];
    const memory = new PacketMemory();
    const distributor = new Distributor({
      log, instrument: BENCH_INSTRUMENT, dayObs: BENCH_NIGHT, report: () => undefined, now: Date.now,
      pack: async (_, position) => {
        memory.reset();
        return buildPackets(commitRows(partsOfCommitPosition(position).sequence - 1), undefined, memory.allocate);
      },
      onPublished: () => undefined, onFailed: (error) => failures.push(error),
    });
    await distributor.resume();
    commitRows(0); // Histories are decoded once; in a night they are held decoded.
    let memoryMegabytes = 0;
    const watch = setInterval(() => { memoryMegabytes = Math.max(memoryMegabytes, process.memoryUsage().rss / 1e6); }, 50);
    const cpu = process.cpuUsage(), started = performance.now();
    for (let c = 0; c * COMMIT_PACKETS < packets; c++) distributor.enqueue(entryOf(c));
    await distributor.drain();
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    clearInterval(watch);
    const stored = await lastSequence(log, streams.alerts(BENCH_INSTRUMENT, BENCH_NIGHT));
    await closeLog(log);
    if (failures.length > 0) throw failures[0];
    if (stored !== packets) throw new Error(`the stream holds ${stored} of ${packets} packets`);
    return { seconds, cpuSeconds: (user + system) / 1e6, memoryMegabytes };
  } finally {
    await stores.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const { perSecond, digest, bytes } = assembleMany();
const { seconds, cpuSeconds, memoryMegabytes } = await publishAll();
reportResult(benchResult({
  bench: 'packets', question: 'packets that one core assembles in a second; seconds until all are acknowledged by the log',
  size: { packets, bytes, assembled, ...HISTORY },
  figures: {
    assembledPerSecond: spreadOf(perSecond), acknowledgedSeconds: spreadOf([seconds]),
    cpuSeconds: spreadOf([cpuSeconds]), memoryMegabytesMax: spreadOf([memoryMegabytes]),
  },
  checksum: digest,
}), { json: values.json, keep: values.keep });
