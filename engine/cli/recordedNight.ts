/** A night that was rendered to a folder: read, checked, and told to a log at the pace asked for. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeEvent, envelope, type ObservatoryEvent } from '../../schemas/events.ts';
import { parseObservatoryEvent } from '../../schemas/eventValidation.ts';
import { productPaths } from '../../schemas/products.ts';
import { writeWhole } from '../../simulator/files.ts';
import { mergeIndex, readIndex } from '../../simulator/productStore.ts';
import { readManifest, type Manifest } from '../../simulator/recording.ts';
import type { TimedEvent } from '../../simulator/recordEvents.ts';
import { EVENTS } from '../../simulator/recordPaths.ts';
import type { Log } from '../stream/log.ts';
import { publishObservatory } from '../stream/observatory.ts';

export type RecordedNight = Readonly<{
  folder: string; manifest: Manifest; events: readonly TimedEvent[];
  opened: Extract<ObservatoryEvent, { type: 'NightOpened' }>;
}>;

/** @throws Error of one line when the folder does not hold a whole night, or an event in it is malformed. */
export function readRecordedNight(folder: string): RecordedNight {
  const manifest = readManifest(folder), path = join(folder, EVENTS);
  if (manifest === null) throw new Error(`${folder} holds no recording, or one that was not finished`);
  if (!existsSync(path)) throw new Error(`${folder} is not the recording of a night: it has no ${EVENTS}`);
  const events = readFileSync(path, 'utf8').trim().split('\n').map((line, index) => {
    try {
      const timed = JSON.parse(line) as TimedEvent; // Checked below.
      parseObservatoryEvent(encodeEvent(envelope(timed.id, timed.event, 0)));
      if (!Number.isFinite(timed.mjdTai)) throw new Error('no time');
      return timed;
    } catch (error) {
      throw new Error(`${path} line ${index + 1}: ${(error as Error).message}`, { cause: error });
    }
  });
  const opened = events.find(({ event }) => event.type === 'NightOpened')?.event;
  if (opened?.type !== 'NightOpened') throw new Error(`${path} does not open a night`);
  return { folder, manifest, events, opened };
}

export type Telling = Readonly<{
  /** How much faster than the sky. */
  pace: number;
  /** Message ids that the log holds already. */
  told: ReadonlySet<string>;
  signal: AbortSignal;
}>;

/**
 * Tells the events in their order, at their times divided by the pace. Files are named where they lie, and the
 * readout's end is the moment at which it is told: latencies count from there.
 *
 * @returns Events told; fewer than there are when `signal` ended it.
 */
export async function tellNight(log: Log, { folder, events }: RecordedNight, telling: Telling): Promise<number> {
  const owed = events.filter(({ id }) => !telling.told.has(id));
  if (owed.length === 0) return 0;
  const firstMjd = owed[0].mjdTai, begunMs = Date.now();
  for (const [index, { mjdTai, event, id }] of owed.entries()) {
    const waitMs = begunMs + ((mjdTai - firstMjd) * 86_400_000) / telling.pace - Date.now();
    // An end that was asked for is no fault.
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: telling.signal }).catch(() => undefined);
    if (telling.signal.aborted) return index;
    const asTold = event.type !== 'DetectorRead' ? event
      : { ...event, uri: resolve(folder, event.uri), readoutEndedMs: Date.now() };
    await publishObservatory(log, asTold, id, Date.now);
  }
  return owed.length;
}

/**
 * Puts a recording's calibrations, templates and references into force in a data directory; they stay where they lie.
 *
 * @returns How many there are.
 */
export function adoptProducts(dataDir: string, folder: string, instrument: string): number {
  const { products } = readIndex(folder, instrument), index = readIndex(dataDir, instrument);
  const next = mergeIndex(index, products.map((product) => ({ ...product, uri: resolve(folder, product.uri) })));
  if (next !== index) {
    writeWhole(join(dataDir, productPaths.index(instrument)), `${JSON.stringify(next, null, 1)}\n`);
  }
  return products.length;
}
