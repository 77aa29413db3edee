/**
 * The streams of an instrument and night: made, read back and asserted, because an old server ignores what it does not
 * know.
 */
import {
  DiscardPolicy, RetentionPolicy, JetStreamApiCodes, JetStreamApiError, StorageType, type StoredMsg, type StreamConfig,
} from '@nats-io/jetstream';
import type { DayObs } from '../../schemas/ids.ts';
import { dayObsOfStream, streams, subjects } from '../../schemas/subjects.ts';
import { streamConfig } from './config.ts';
import type { Log } from './log.ts';

type Wanted = Pick<StreamConfig,
  'name' | 'subjects' | 'discard' | 'max_age' | 'max_bytes' | 'deny_delete' | 'deny_purge'>;

/** Streams of every night: OBSERVATORY and PIPELINE. */
export async function openInstrumentStreams(log: Log, instrument: string): Promise<void> {
  await ensureStream(log, {
    name: streams.observatory(instrument), subjects: [subjects.observatoryAll(instrument)], discard: DiscardPolicy.New,
    max_age: streamConfig.observatory.maxAgeNs, max_bytes: streamConfig.observatory.maxBytes,
    deny_delete: true, deny_purge: false,
  });
  await ensureStream(log, {
    name: streams.pipeline(instrument), subjects: [subjects.pipelineAll(instrument)], discard: DiscardPolicy.Old,
    max_age: streamConfig.pipeline.maxAgeNs, max_bytes: streamConfig.pipeline.maxBytes,
    deny_delete: true, deny_purge: false,
  });
}

/** Streams of one night: COMMITS, ALERTS and FILTERED. */
export async function openNightStreams(log: Log, instrument: string, dayObs: DayObs): Promise<void> {
  await ensureStream(log, {
    name: streams.commits(instrument, dayObs), subjects: [subjects.commits(instrument, dayObs)],
    discard: DiscardPolicy.New,
    max_age: 0, max_bytes: streamConfig.commits.maxBytes, deny_delete: true, deny_purge: true,
  });
  await ensureStream(log, {
    name: streams.alerts(instrument, dayObs), subjects: [subjects.alertsAll(instrument, dayObs)],
    discard: DiscardPolicy.New,
    max_age: streamConfig.alerts.maxAgeNs, max_bytes: streamConfig.alerts.maxBytes,
    deny_delete: true, deny_purge: false,
  });
  await ensureStream(log, {
    name: streams.filtered(instrument, dayObs), subjects: [subjects.filteredAll(instrument, dayObs)],
    discard: DiscardPolicy.New,
    max_age: streamConfig.filtered.maxAgeNs, max_bytes: streamConfig.filtered.maxBytes,
    deny_delete: true, deny_purge: false,
  });
}

/** A night's alerts without cutouts; made when somebody is to have them. */
export async function openLiteStream(log: Log, instrument: string, dayObs: DayObs): Promise<void> {
  await ensureStream(log, sideStream(streams.lite(instrument, dayObs), subjects.liteAll(instrument, dayObs)));
}

/** A night's alerts that a policy had withheld; made when some are released. */
export async function openReleasedStream(log: Log, instrument: string, dayObs: DayObs): Promise<void> {
  await ensureStream(log, sideStream(streams.released(instrument, dayObs), subjects.releasedAll(instrument, dayObs)));
}

function sideStream(name: string, subject: string): Wanted {
  const { maxAgeNs, maxBytes } = streamConfig.alerts;
  return {
    name, subjects: [subject], discard: DiscardPolicy.New, max_age: maxAgeNs, max_bytes: maxBytes, deny_delete: true,
    deny_purge: false,
  };
}

/** The stream of changes to alert filters, which is of no night. */
export async function openFilterChanges(log: Log): Promise<void> {
  await ensureStream(log, {
    name: streams.filterChanges(), subjects: [subjects.filterChangesAll()], discard: DiscardPolicy.New,
    max_age: 0, max_bytes: streamConfig.filterChanges.maxBytes, deny_delete: true, deny_purge: true,
  });
}

/**
 * Makes a stream unless it exists, then asserts that the server took every setting that the design rests on.
 *
 * @throws Error that names the stream and the setting that differs.
 */
async function ensureStream(log: Log, wanted: Wanted): Promise<void> {
  const config = {
    ...wanted, retention: RetentionPolicy.Limits, storage: StorageType.File, num_replicas: 1, max_msgs: -1,
    max_consumers: -1,
    allow_direct: true, duplicate_window: streamConfig.duplicateWindowNs,
  };
  try {
    await log.jsm.streams.add(config);
  } catch (error) {
    // 10058: the name is in use with another configuration, which the assertion below names.
    if (!(error instanceof JetStreamApiError) || error.code !== 10058) {
      throw new Error(`cannot make stream ${wanted.name}: ${(error as Error).message}`, { cause: error });
    }
  }
  const { config: stored } = await log.jsm.streams.info(wanted.name);
  const actual = stored as unknown as Record<string, unknown>; // Read by name below.
  for (const [key, value] of Object.entries(config)) {
    if (JSON.stringify(actual[key]) !== JSON.stringify(value)) {
      throw new Error(
        `stream ${wanted.name} has ${key} = ${JSON.stringify(actual[key])}, needed ${JSON.stringify(value)}`,
      );
    }
  }
}

/** Nights of an instrument that have a COMMITS stream, oldest first. */
export async function listNights(log: Log, instrument: string): Promise<DayObs[]> {
  const prefix = `COMMITS_${instrument}_`;
  const nights: DayObs[] = [];
  for await (const name of log.jsm.streams.names()) {
    const dayObs = name.startsWith(prefix) ? dayObsOfStream(name) : null;
    if (dayObs !== null && name === streams.commits(instrument, dayObs)) nights.push(dayObs);
  }
  return nights.sort((a, b) => a - b);
}

/** Instruments that have at least one COMMITS stream. */
export async function listInstruments(log: Log): Promise<string[]> {
  const instruments = new Set<string>();
  for await (const name of log.jsm.streams.names()) {
    const match = /^COMMITS_(.+)_\d{8}$/.exec(name);
    if (match) instruments.add(match[1]);
  }
  return [...instruments].sort();
}

/** First and last sequence that a stream holds (last < first when it holds none), null when there is no such stream. */
export async function heldSequences(log: Log, stream: string): Promise<{ first: number; last: number } | null> {
  try {
    const { messages, first_seq: first, last_seq: last } = (await log.jsm.streams.info(stream)).state;
    return messages === 0 ? { first: last + 1, last } : { first, last };
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null;
    throw error;
  }
}

/** Sequence of the last message of a stream, 0 when it is empty, null when there is no such stream. */
export async function lastSequence(log: Log, stream: string): Promise<number | null> {
  try {
    return (await log.jsm.streams.info(stream)).state.last_seq;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null;
    throw error;
  }
}

/** One stored message, or null. */
export async function storedMessage(log: Log, stream: string, sequence: number): Promise<StoredMsg | null> {
  return log.jsm.streams.getMessage(stream, { seq: sequence });
}
