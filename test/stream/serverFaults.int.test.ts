/** The log's server is killed and comes back, or is full, while alerts go out: nothing is lost, nothing comes twice. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runArchiveService } from '../../brokers/archive/service.ts';
import { listArchive } from '../../brokers/archive/reader.ts';
import { runLiteStream } from '../../brokers/liteStream.ts';
import { findServers } from '../../engine/setup/services.mjs';
import type { Packet } from '../../engine/stages/packet/packet.ts';
import type { StoredEntry } from '../../engine/stream/commitLog.ts';
import { Distributor } from '../../engine/stream/distributor.ts';
import { openLog, type Log } from '../../engine/stream/log.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { openNightStreams } from '../../engine/stream/streams.ts';
import { asDetectorId, BEFORE_EVERYTHING, exposureOf, partsOfCommitPosition, visitOf } from '../../schemas/ids.ts';
import { alertHeaders, streams } from '../../schemas/subjects.ts';
import { INSTRUMENT, NIGHT, sampleId, samplePacket } from '../brokers/sampleAlerts.ts';

const ALERTS = streams.alerts(INSTRUMENT, NIGHT);
const COMMITS = 12, PER_COMMIT = 100, CUTOUT_BYTES = 20_000;

let directory: string, port: number, server: ChildProcess, log: Log;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'vesper-fault-'));
  port = await freePort();
  writeFileSync(join(directory, 'nats.conf'),
    `host: "127.0.0.1"\nport: ${port}\nmax_payload: 8MB\njetstream { store_dir: ${JSON.stringify(join(directory, 'js'))}, max_file_store: 16TB }\n`);
  await startServer();
  log = await openLog(`nats://127.0.0.1:${port}`, 'test', () => undefined);
  await openNightStreams(log, INSTRUMENT, NIGHT);
}, 30_000);
afterEach(async () => {
  await log.connection.close();
  server.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function startServer(): Promise<void> {
  const path = (await findServers()).nats?.path;
  if (path === undefined) throw new Error('there is no nats-server here');
  server = spawn(path, ['-c', join(directory, 'nats.conf')], { stdio: 'ignore' });
  for (let tries = 0; tries < 200; tries++) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connectSocket(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
      socket.on('error', () => resolve(false));
    });
    if (isUp) return;
    await sleep(50);
  }
  throw new Error('nats-server does not answer');
}

async function restart(): Promise<void> {
  const gone = once(server, 'exit');
  server.kill('SIGKILL');
  await gone;
  await sleep(300); // Clients see it.
  await startServer();
}

function commit(sequence: number): StoredEntry {
  return { sequence, bytes: Buffer.alloc(0), entry: {
    instrument: INSTRUMENT, dayObs: NIGHT, deferred: null, corrected: null, sealed: null, associated: {
      group: 'g', visit: visitOf(NIGHT, 1), exposure: exposureOf(NIGHT, 1), detector: asDetectorId(sequence), attempt: 0,
      band: 'r', physicalFilter: 'r', exposureSeconds: 30, midpointMjdTai: 61364.25, readoutEndedMs: 0,
      timeProcessedMjdTai: 61364.26, knownPosition: BEFORE_EVERYTHING, outcome: 'alerts', inputs: {}, detected: PER_COMMIT,
      droppedByReason: {}, withheld: [], summary: {}, diaSourceCount: PER_COMMIT, rows: null, rowsSpool: null, cutoutSpool: null,
    },
  } };
}

const packetsOf = (sequence: number): Packet[] => Array.from({ length: PER_COMMIT }, (_, i) => {
  const counter = PER_COMMIT * sequence + i;
  return {
    diaSourceId: sampleId(counter), diaObjectId: 1n, ra: 1, dec: 2, band: 'r', snr: 10, reliability: null, neighbours: null,
    bytes: samplePacket(counter, {}, CUTOUT_BYTES),
  };
});

/** A distributor that is given all commits of the night, as one is that starts. */
async function publishAll(onPublished: (commits: number) => void = () => undefined): Promise<string[]> {
  const failures: string[] = [];
  let done = 0;
  const distributor = new Distributor({
    log, instrument: INSTRUMENT, dayObs: NIGHT, report: () => undefined, now: () => 1000,
    pack: async (_, position) => packetsOf(partsOfCommitPosition(position).sequence),
    onPublished: () => onPublished(++done), onFailed: (error) => { failures.push(error.message); },
  });
  await distributor.resume();
  for (let sequence = 1; sequence <= COMMITS; sequence++) distributor.enqueue(commit(sequence));
  await distributor.drain();
  return failures;
}

const expected = Array.from({ length: COMMITS * PER_COMMIT }, (_, i) => String(sampleId(PER_COMMIT + i)));
async function idsOf(stream: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { headers } of readStored(log, stream)) ids.push(headers?.get(alertHeaders.diaSourceId) ?? '');
  return ids;
}

test('a server that is killed in mid-night and comes back has every alert once, in order; so have archive and stream', async () => {
  const stop = new AbortController();
  const dataDir = join(directory, 'data');
  const base = { connection: log.connection, instrument: INSTRUMENT, dayObs: NIGHT, signal: stop.signal };
  const services = [runArchiveService({ ...base, dataDir }), runLiteStream(base)].map((each) => each.catch((error: unknown) => error));
  let restarted: Promise<void> | null = null;
  const failures = await publishAll((commits) => { if (commits === 4) restarted = restart(); });
  await restarted;
  // What the loss of the server has ended is taken up by the next run, as a night that is started again does.
  if (failures.length > 0) expect(await publishAll()).toEqual([]);
  expect(await idsOf(ALERTS)).toEqual(expected);
  stop.abort();
  await Promise.all(services);
  const again = { connection: log.connection, instrument: INSTRUMENT, dayObs: NIGHT, signal: new AbortController().signal, untilCaughtUp: true };
  await runArchiveService({ ...again, dataDir });
  await runLiteStream(again);
  expect((await listArchive(dataDir, INSTRUMENT, NIGHT)).map(({ diaSourceId }) => String(diaSourceId)).sort()).toEqual([...expected].sort());
  expect(await idsOf(streams.lite(INSTRUMENT, NIGHT))).toEqual(expected);
}, 60_000);

test('a full stream refuses, is told, and loses nothing: publication goes on behind its last alert when there is room', async () => {
  const { config } = await log.jsm.streams.info(ALERTS);
  await log.jsm.streams.update(ALERTS, { ...config, max_bytes: 8_000_000 });
  const [failure, ...more] = await publishAll();
  expect(failure).toMatch(/^ALERTS refused a packet: maximum bytes exceeded/);
  expect(more).toEqual([]);
  const held = await idsOf(ALERTS);
  expect(held.length).toBeGreaterThan(100);
  expect(held).toEqual(expected.slice(0, held.length));
  await log.jsm.streams.update(ALERTS, { ...config, max_bytes: config.max_bytes });
  expect(await publishAll()).toEqual([]);
  expect(await idsOf(ALERTS)).toEqual(expected);
}, 60_000);

test('a packet beyond what the server takes ends the publication with its size, and nothing behind it goes out', async () => {
  const failures: string[] = [];
  const distributor = new Distributor({
    log, instrument: INSTRUMENT, dayObs: NIGHT, report: () => undefined, now: () => 1000, onPublished: () => undefined,
    pack: async (_, position) => {
      const [first, ...rest] = packetsOf(partsOfCommitPosition(position).sequence);
      return [first, { ...rest[0], bytes: Buffer.alloc(9 * 1024 * 1024) }, rest[1]];
    },
    onFailed: (error) => { failures.push(error.message); },
  });
  await distributor.resume();
  distributor.enqueue(commit(1));
  distributor.enqueue(commit(2));
  await distributor.drain();
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatch(/^alert \d+ has 9437184 bytes, more than the server takes/);
  expect(await idsOf(ALERTS)).toEqual([]); // A detector's alerts go out together or not at all.
}, 30_000);
