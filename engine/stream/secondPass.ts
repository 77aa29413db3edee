/**
 * Synthetic sources every night: when a visit's alerts have left, some of its detectors are processed once more with
 * sources of known flux in the image. Nothing of it is committed or alerted; what was put in and what was found of it
 * are progress events.
 *
 * It waits for everything else: one detector at a time, begun only while the engine has no detector at work, on a
 * thread of the lowest priority. What does not fit is dropped, and said so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FakeSource, PipelineEvent } from '../../schemas/events.ts';
import { parsePipelineEvent } from '../../schemas/eventValidation.ts';
import { dayObsOfVisit, sequenceNumberOf, type CommitPosition, type DayObs } from '../../schemas/ids.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { engineConfig } from '../config.ts';
import type { Boresight } from '../preload.ts';
import { orderFakes, type FakeOrder } from '../stages/inject/inject.ts';
import { reliabilityConfig } from '../stages/reliability/config.ts';
import type { DetectorOutcome } from '../workers/detectorTask.ts';
import type { Log } from './log.ts';
import type { Ended, Read } from './nightEngine.ts';
import type { Report } from './progress.ts';
import { readStored } from './readStream.ts';

/** A visit whose alerts have left, and the readouts that this run measured and committed. */
export type CompletedVisit = Readonly<{ ended: Ended; reads: readonly Read[]; boresight: Boresight }>;

export type SecondPassPorts = Readonly<{
  /** Runs one detector with synthetic sources. Never throws for an expected failure. */
  process: (work: Readonly<{
    ended: Ended; read: Read; boresight: Boresight; attempt: number; known: readonly []; knownPosition: CommitPosition;
    fakes: FakeOrder;
  }>) => Promise<DetectorOutcome>;
  /** Resolves when the engine has no detector at work. */
  idle: () => Promise<void>;
  position: () => CommitPosition;
  report: Report;
  now: () => number;
}>;

/** @param share Part of a visit's detectors, more than 0. */
export type SecondPassOrder = Readonly<{ share: number; seed: number }>;

type Work = Readonly<{ ended: Ended; read: Read; boresight: Boresight }>;

export class SecondPass {
  readonly #ports: SecondPassPorts;
  readonly #order: SecondPassOrder;
  readonly #queue: Work[] = [];
  #running: Promise<void> | null = null;
  #isStopped = false;

  constructor(ports: SecondPassPorts, order: SecondPassOrder) {
    this.#ports = ports;
    this.#order = order;
  }

  /** Takes a visit; when too many detectors wait already, the oldest of them are dropped. */
  add(visit: CompletedVisit): void {
    if (this.#isStopped) return;
    this.#queue.push(...chooseReads(visit, this.#order.share).map((read) => ({ ...visit, read })));
    while (this.#queue.length > engineConfig.fakesQueueMax) {
      this.#drop(this.#queue.shift(), 'QUEUE_FULL', `more than ${engineConfig.fakesQueueMax} detectors waited`);
    }
    this.#running ??= this.#run();
  }

  /** Waits for what is left, but no longer than `limitMs`; what is not done by then is dropped. */
  async finish(limitMs: number): Promise<void> {
    const late = new AbortController();
    await Promise.race([this.#running, sleep(limitMs, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
    this.stop('NIGHT_ENDED', 'the night ended before its turn');
  }

  /** Drops what waits; the result of a detector at work is no longer wanted. */
  stop(code = 'STOPPED', reason = 'the night was stopped'): void {
    this.#isStopped = true;
    for (const work of this.#queue.splice(0)) this.#drop(work, code, reason);
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#ports.idle();
      const work = this.#queue.shift();
      if (work === undefined) break;
      await this.#measure(work);
    }
    this.#running = null;
  }

  async #measure(work: Work): Promise<void> {
    const { ended, read, boresight } = work, { seed } = this.#order, startMs = this.#ports.now();
    const fakes = orderFakes(seed, read.visit, read.detector, engineConfig.fakesPerDetector);
    let outcome: DetectorOutcome;
    try {
      outcome = await this.#ports.process({
        ended, read, boresight, attempt: 0, known: [], knownPosition: this.#ports.position(), fakes,
      });
    } catch (error) {
      // Whatever breaks here must not take the night with it.
      return this.#drop(work, 'SECOND_PASS_BROKE', (error as Error).message); // Pools throw Errors.
    }
    if (this.#isStopped) return this.#drop(work, 'STOPPED', 'the night ended while it was at work');
    if (outcome.status === 'failed') return this.#drop(work, outcome.failure.code, outcome.failure.message);
    const sources = (outcome.measurements.recovered ?? []).map(shortened);
    const usable = sources.filter(({ isMasked }) => !isMasked);
    this.#ports.report({
      ...namesOf(read), type: 'FakesMeasured', durationMs: this.#ports.now() - startMs, band: ended.band, seed,
      injected: sources.length, masked: sources.length - usable.length,
      found: usable.filter(({ found }) => found !== null).length, reliable: usable.filter(isReliable).length, sources,
    });
  }

  #drop(work: Work | undefined, code: string, reason: string): void {
    if (work) this.#ports.report({ ...namesOf(work.read), type: 'FakesDropped', code, reason });
  }
}

function namesOf({ instrument, group, visit, exposure, detector }: Read) {
  return { instrument, group, visit, exposure, detector, attempt: 0 } as const;
}

/** The share of a visit's detectors, others from one visit to the next. */
function chooseReads({ reads }: CompletedVisit, share: number): Read[] {
  const all = [...reads].sort((a, b) => a.detector - b.detector);
  const count = Math.min(engineConfig.fakesDetectorsMax, Math.ceil(share * all.length));
  return Array.from({ length: count }, (_, i) => all[(sequenceNumberOf(all[0].visit) * count + i) % all.length]);
}

function isReliable({ found }: FakeSource): boolean {
  return found !== null && (found.reliability ?? 0) >= reliabilityConfig.reliableMin;
}

/** Seven digits tell everything there is to know; an event carries many of these. */
function shortened({ x, y, fluxNJy, snr, isHosted, isMasked, found }: FakeSource): FakeSource {
  const short = (value: number) => Number(value.toPrecision(7));
  const orNull = (value: number | null) => (value === null ? null : short(value));
  return {
    x: short(x), y: short(y), fluxNJy: short(fluxNJy), snr: short(snr), isHosted, isMasked,
    found: found && {
      psfFlux: orNull(found.psfFlux), psfFluxErr: orNull(found.psfFluxErr), reliability: orNull(found.reliability),
    },
  };
}

export type FakesOfNight = Readonly<{
  measured: readonly Extract<PipelineEvent, { type: 'FakesMeasured' }>[];
  /** Detectors of second passes that were dropped, by reason. */
  droppedByReason: Readonly<Record<string, number>>;
}>;

/** What the second passes of a night measured, as its progress events tell; each visit-detector once. */
export async function readFakes(log: Log, instrument: string, dayObs: DayObs): Promise<FakesOfNight> {
  const measured = new Map<string, Extract<PipelineEvent, { type: 'FakesMeasured' }>>();
  const dropped = new Map<string, string>();
  for (const type of ['FakesMeasured', 'FakesDropped']) {
    const stream = streams.pipeline(instrument), subject = subjects.pipelineEvents(instrument, type);
    for await (const message of readStored(log, stream, 1, undefined, subject)) {
      const { data } = parsePipelineEvent(message.data);
      if (data.type !== 'FakesMeasured' && data.type !== 'FakesDropped') continue;
      if (dayObsOfVisit(data.visit) !== dayObs) continue;
      const key = `${data.visit} ${data.detector}`;
      if (data.type === 'FakesMeasured') measured.set(key, data); else dropped.set(key, data.code);
    }
  }
  const droppedByReason: Record<string, number> = {};
  for (const [key, code] of dropped) {
    if (!measured.has(key)) droppedByReason[code] = (droppedByReason[code] ?? 0) + 1;
  }
  return {
    measured: [...measured.values()].sort((a, b) => a.visit - b.visit || a.detector - b.detector), droppedByReason,
  };
}
