/** Keeps every alert of a night: a durable consumer of ALERTS that acknowledges what is on the disk. */
import type { JsMsg } from '@nats-io/jetstream';
import type { DayObs } from '../../schemas/ids.ts';
import { encodeNeighbours, parseNeighbours } from '../../schemas/neighbours.ts';
import { alertHeaders, streams } from '../../schemas/subjects.ts';
import { brokersConfig } from '../config.ts';
import { consumeHandfuls } from '../consume.ts';
import type { FeedOptions } from '../messageFeed.ts';
import { openArchive, readPacket, type Archive, type ReadPacket } from './archive.ts';
import type { ArchiveEntry } from './layout.ts';

/** Name of the archive's durable consumer, for `consumerState`. */
export const ARCHIVE_CONSUMER = 'archive';

/** What the archive has done in this run, and what it holds. */
export type ArchiveProgress = Readonly<{
  /** Alerts in the archive of this night. */
  archived: number;
  /** Alerts that came again and were there already. */
  duplicates: number;
  /** Messages that are no packet of this schema: not kept and not sent again; the counts do not close then. */
  rejected: number;
  lastRejection: string | null;
  /** Highest sequence of ALERTS that was handled. */
  lastSequence: number;
}>;

export type ArchiveServiceOptions = Omit<FeedOptions, 'stream'> &
  Readonly<{
    dataDir: string;
    instrument: string;
    dayObs: DayObs;
    /** Called after each batch with the entries that are new, once they are on the disk and acknowledged. */
    onArchived?: (entries: readonly ArchiveEntry[], progress: ArchiveProgress) => void;
  }>;

/**
 * Writes alerts in batches: container and index are synced, then the messages are acknowledged. A crash between the
 * two sends them again, and they are passed over by id. Resolves when `signal` fires or, if asked, when nothing of
 * the stream is owed.
 *
 * @throws Error that names the file when the disk is full: nothing of that batch is kept or acknowledged.
 */
export async function runArchiveService(options: ArchiveServiceOptions): Promise<ArchiveProgress> {
  const { dataDir, instrument, dayObs } = options;
  const archive = await openArchive(dataDir, instrument, dayObs);
  const progress = {
    archived: archive.count(),
    duplicates: 0,
    rejected: 0,
    lastRejection: null as string | null,
    lastSequence: 0,
  };
  const handle = async (messages: readonly JsMsg[]): Promise<void> => {
    const added = await keep(archive, messages, progress);
    options.onArchived?.(added, { ...progress });
  };
  try {
    const consumer = { ...options, stream: streams.alerts(instrument, dayObs), durable: ARCHIVE_CONSUMER };
    await consumeHandfuls(consumer, brokersConfig.archiveBatchMax, handle);
  } finally {
    await archive.close();
  }
  return progress;
}

type Counts = {
  archived: number;
  duplicates: number;
  rejected: number;
  lastRejection: string | null;
  lastSequence: number;
};

async function keep(archive: Archive, messages: readonly JsMsg[], counts: Counts): Promise<readonly ArchiveEntry[]> {
  const packets: ReadPacket[] = [];
  const sound: JsMsg[] = [];
  for (const message of messages) {
    try {
      packets.push(readPacket({
        packet: message.data, sequence: message.seq, neighbours: encodedNeighbours(message),
      }));
      sound.push(message);
    } catch (error) {
      counts.rejected++;
      counts.lastRejection = `message ${message.seq}: ${(error as Error).message}`;
      message.term();
    }
  }
  const added = await archive.append(packets);
  for (const message of sound) message.ack();
  counts.archived = archive.count();
  counts.duplicates += packets.length - added.length;
  counts.lastSequence = Math.max(counts.lastSequence, ...messages.map((message) => message.seq));
  return added;
}

function encodedNeighbours({ headers }: JsMsg): Uint8Array | null {
  const neighbours = parseNeighbours(headers?.get(alertHeaders.neighbours));
  return neighbours === null ? null : encodeNeighbours(neighbours);
}
