/**
 * Replay in verify mode (DESIGN §8.1): obeys what was recorded — commit order, known objects, attempts, processing
 * times — and must give the same rows and the same packet bytes.
 */
import { detectorOf, type Camera } from '../../schemas/camera.ts';
import { commitPosition, type DayObs } from '../../schemas/ids.ts';
import type { AssociatedRowBytes, DiaSourcesAssociated } from '../../schemas/commit.ts';
import type { ObservatoryEvent } from '../../schemas/events.ts';
import { decodeNeighbours, neighboursJson } from '../../schemas/neighbours.ts';
import { alertHeaders, streams } from '../../schemas/subjects.ts';
import { decodeDiaObject } from '../../schemas/avro.ts';
import { boresightOf, detectorFootprint, type Boresight } from '../preload.ts';
import { associateConfig, type AssociateConfig } from '../stages/associate/config.ts';
import { buildPackets, type Packet } from '../stages/packet/packet.ts';
import { cutoutsDigest, decodeCutouts } from '../stages/packet/spool.ts';
import type { DetectorOutcome } from '../workers/detectorTask.ts';
import { associateDetector, knownPositions, type Withholding } from './associateDetector.ts';
import { inputsOf } from './associator.ts';
import type { StoredEntry } from './commitLog.ts';
import type { ProcessDetector } from './engineRun.ts';
import type { KnownBodies } from './knownBodies.ts';
import type { Log } from './log.ts';
import type { Ended, Read } from './nightEngine.ts';
import { historyBefore, namesOf } from './packCommit.ts';
import { changeOf, rowsOf } from './projector.ts';
import { readStored } from './readStream.ts';
import { SkyState } from './skyState.ts';
import { Spool } from './spool.ts';

/** Where a replay first came out otherwise. */
export type Difference = Readonly<{ commit: number; visit: number; detector: number; what: string }>;

export type ReplayResult = Readonly<{
  dayObs: DayObs; commits: number; packets: number; rowsEqual: boolean; packetsEqual: boolean;
  firstDifference: Difference | null;
}>;

export type ReplayOptions = Readonly<{
  log: Log; instrument: string; camera: Camera; dayObs: DayObs; dataDir: string; process: ProcessDetector;
  /** The night's solar-system objects, from the orbits that a commit names by their digest. */
  knownBodies?: (digest: string) => Promise<KnownBodies>;
  /** Rules by which alerts were withheld, by the digest that a commit names. */
  withholding?: (digest: string) => Withholding | null;
  /** As the night itself was associated. */
  associate?: Partial<AssociateConfig>;
  /** Entries of earlier nights in order, then of this one. */
  earlier: AsyncIterable<StoredEntry>; entries: readonly StoredEntry[];
  /** Facts of the night. */
  facts: readonly ObservatoryEvent[];
  /** Detectors whose pixels are computed ahead of their turn. */
  lookahead: number;
  onProgress: (done: number, of: number) => void; signal: AbortSignal;
}>;

export async function replayNight(options: ReplayOptions): Promise<ReplayResult> {
  const { log, instrument, dayObs, dataDir, entries, signal } = options;
  const state = new SkyState();
  for await (const { entry, sequence } of options.earlier) {
    state.apply(
      commitPosition(entry.dayObs, sequence), changeOf(entry, new Spool(dataDir, instrument, entry.dayObs)),
    );
  }
  const alerts = readStored(log, streams.alerts(instrument, dayObs));
  const outcomes = new PixelQueue(options, state);
  const totals = { commits: 0, packets: 0, rowsEqual: true, packetsEqual: true };
  let firstDifference: Difference | null = null;
  for (const [index, stored] of entries.entries()) {
    if (signal.aborted) throw new Error('the replay was stopped');
    const { entry, sequence } = stored;
    const a = entry.associated;
    if (a) {
      const found = await compareCommit(options, state, a, sequence, await outcomes.take(index), alerts);
      totals.commits++;
      totals.packets += found.packets;
      if (found.rows) totals.rowsEqual = false;
      if (found.packetBytes) totals.packetsEqual = false;
      const what = found.rows ?? found.packetBytes;
      if (what && !firstDifference) firstDifference = { commit: sequence, visit: a.visit, detector: a.detector, what };
    }
    state.apply(commitPosition(dayObs, sequence), changeOf(entry, new Spool(dataDir, instrument, dayObs)));
    options.onProgress(index + 1, entries.length);
  }
  const rest = await alerts.next();
  if (!rest.done) {
    totals.packetsEqual = false;
    firstDifference ??= {
      commit: 0, visit: 0, detector: 0,
      what: `ALERTS holds more than the replay made, from message ${rest.value.seq} on`,
    };
  }
  return { dayObs, ...totals, firstDifference };
}

/** Computes pixels of the next commits ahead, as soon as the objects that they force at are known. */
class PixelQueue {
  readonly #options: ReplayOptions;
  readonly #state: SkyState;
  readonly #begun = new Map<number, Promise<DetectorOutcome>>();

  constructor(options: ReplayOptions, state: SkyState) {
    this.#options = options;
    this.#state = state;
  }

  take(index: number): Promise<DetectorOutcome> {
    const { entries, lookahead, dayObs } = this.#options;
    for (let ahead = index; ahead < entries.length && ahead <= index + lookahead; ahead++) {
      const a = entries[ahead].entry.associated;
      if (!a || this.#begun.has(ahead)) continue;
      // The entry before `index` has been applied; a commit further on may need objects that are not there yet.
      if (ahead > index && a.knownPosition > commitPosition(dayObs, entries[index].sequence - 1)) break;
      this.#begun.set(ahead, this.#compute(a));
    }
    const outcome = this.#begun.get(index);
    if (!outcome) throw new Error(`commit ${entries[index].sequence} has no pixels to compute`);
    this.#begun.delete(index);
    return outcome;
  }

  #compute(a: DiaSourcesAssociated): Promise<DetectorOutcome> {
    const { camera, process } = this.#options;
    const { ended, read, boresight } = factsOf(this.#options.facts, a);
    const footprint = detectorFootprint(camera, detectorOf(camera, a.detector), boresight);
    const known = knownPositions(this.#state, footprint, a.knownPosition);
    return process({ ended, read, boresight, attempt: a.attempt, known, knownPosition: a.knownPosition });
  }
}

type CommitFacts = { ended: Ended; read: Read; boresight: Boresight };

/** The recorded facts that one commit came from. @throws Error when the log does not hold them any more. */
export function factsOf(facts: readonly ObservatoryEvent[], a: DiaSourcesAssociated): CommitFacts {
  const found = findFacts(facts, a);
  if (found) return found;
  throw new Error(`the log does not hold the facts of visit ${a.visit}, detector ${a.detector} any more`);
}

/** The recorded facts that one commit came from; null when the log does not hold them any more. */
export function findFacts(facts: readonly ObservatoryEvent[], a: DiaSourcesAssociated): CommitFacts | null {
  const ended = facts.find((event): event is Ended => event.type === 'ExposureEnded' && event.visit === a.visit);
  const read = facts.find((event): event is Read => event.type === 'DetectorRead' && event.visit === a.visit
    && event.detector === a.detector && event.checksum === a.inputs['raw']);
  const announced = facts.find((event) => event.type === 'NextVisitAnnounced' && event.groupId === a.group);
  if (!ended || !read || announced?.type !== 'NextVisitAnnounced') return null;
  return { ended, read, boresight: boresightOf(announced) };
}

type Found = Readonly<{ packets: number; rows: string | null; packetBytes: string | null }>;

async function compareCommit(
  options: ReplayOptions, state: SkyState, a: DiaSourcesAssociated, sequence: number, outcome: DetectorOutcome,
  alerts: AsyncGenerator<{ seq: number; data: Uint8Array; headers?: { get(name: string): string } | undefined }>,
): Promise<Found> {
  const { camera, dataDir, instrument, dayObs, facts } = options;
  if (outcome.status === 'failed') {
    return { packets: 0, rows: `${outcome.failure.stage} failed: ${outcome.failure.message}`, packetBytes: null };
  }
  const { measurements } = outcome;
  const footprint = detectorFootprint(camera, detectorOf(camera, a.detector), factsOf(facts, a).boresight);
  const names = { ...a, knownPosition: a.knownPosition };
  const bodies = a.inputs['orbits'] === undefined ? null : await bodiesOf(options, a.inputs['orbits']);
  const withholding = a.inputs['policy'] === undefined ? null : options.withholding?.(a.inputs['policy']) ?? null;
  const { rows, withheld } = associateDetector(names, measurements, state, footprint, a.timeProcessedMjdTai, {
    ...associateConfig, ...options.associate,
  }, bodies, withholding);
  const recorded = rowsOf(a, new Spool(dataDir, instrument, dayObs));
  const difference = differentRows(recorded, rows)
    ?? differentRecord('withheld', a.withheld, withheld)
    ?? differentRecord('dropped', sorted(a.droppedByReason), sorted(measurements.droppedByReason))
    ?? differentRecord('figures', sorted(a.summary), sorted(measurements.summary))
    ?? differentInputs(a.inputs, inputsOf(measurements, bodies, withholding));
  const digest = measurements.cutouts && cutoutsDigest(measurements.cutouts);
  const ids = rows.diaObjects.map((payload) => decodeDiaObject(payload).diaObjectId);
  const before = commitPosition(dayObs, sequence - 1);
  const history = new Map(ids.flatMap((id) => {
    const object = state.get(id);
    return object ? [[id, historyBefore(object, before)] as const] : [];
  }));
  const packets = buildPackets({
    rows, withheld, history, ...namesOf(measurements.observation),
    cutouts: measurements.cutouts && digest ? decodeCutouts(measurements.cutouts, digest) : null,
  });
  let packetBytes: string | null = null;
  for (const [index, packet] of packets.entries()) {
    const next = await alerts.next();
    if (next.done) { packetBytes ??= `ALERTS ends before packet ${index}`; break; }
    const { data, headers } = next.value;
    const isOwn = headers?.get(alertHeaders.commitSequence) === String(sequence)
      && headers.get(alertHeaders.commitIndex) === String(index);
    if (!isOwn) packetBytes ??= `message ${next.value.seq} of ALERTS is not packet ${index}`;
    else if (Buffer.compare(data, packet.bytes) !== 0) {
      packetBytes ??= `packet ${index} (diaSource ${packet.diaSourceId}) has other bytes`;
    } else if ((headers?.get(alertHeaders.neighbours) ?? '') !== neighboursText(packet)) {
      packetBytes ??= `packet ${index} (diaSource ${packet.diaSourceId}) has other neighbours`;
    }
  }
  return { packets: packets.length, rows: difference, packetBytes };
}

function neighboursText({ neighbours }: Packet): string {
  return neighbours === null ? '' : neighboursJson(decodeNeighbours(neighbours));
}

function bodiesOf({ knownBodies }: ReplayOptions, digest: string): Promise<KnownBodies> {
  if (!knownBodies) throw new Error(`this instrument has no orbits, but a commit names some: ${digest}`);
  return knownBodies(digest);
}

function differentRows(recorded: AssociatedRowBytes, replayed: AssociatedRowBytes): string | null {
  for (const table of ['diaSources', 'diaObjects', 'diaForcedSources', 'ssSources', 'mpcOrbits'] as const) {
    if (recorded[table].length !== replayed[table].length) {
      return `${replayed[table].length} ${table}, ${recorded[table].length} recorded`;
    }
    const index = recorded[table].findIndex((row, i) => Buffer.compare(row, replayed[table][i]) !== 0);
    if (index >= 0) return `row ${index} of ${table} has other bytes`;
  }
  return null;
}

function differentRecord(name: string, recorded: unknown, replayed: unknown): string | null {
  const [a, b] = [JSON.stringify(recorded), JSON.stringify(replayed)];
  return a === b ? null : `${name}: ${b}, recorded ${a}`.slice(0, 400);
}

/** Inputs must be the recorded ones; other code or another runtime is named when a result differs because of it. */
function differentInputs(
  recorded: Readonly<Record<string, string>>, replayed: Readonly<Record<string, string>>,
): string | null {
  const key = Object.keys(recorded).find(
    (name) => name !== 'code' && name !== 'node' && recorded[name] !== replayed[name],
  );
  return key === undefined ? null : `input ${key} has digest ${replayed[key] ?? 'none'}, recorded ${recorded[key]}`;
}

function sorted<T>(map: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}
