/** How long sources are kept. Objects stay: their rows sum up what they were made of. */

/** Width of what is dropped at once, days: a partition's. */
const STEP_DAYS = 30;

export type Maintained = Readonly<{
  droppedPartitions: number; clusteredPartitions: number;
  /** Parts of the sky whose history of finished months was written anew as preloads read it. */
  packedTiles: number;
  /** Sources before it are not in the tables, MJD TAI; null when all are. */
  retainedFromMjdTai: number | null;
}>;

/**
 * The time from which sources are kept: never earlier than before, because what was dropped is gone, and on the edge of
 * a partition.
 *
 * @param keepFromMjdTai Null changes nothing.
 */
export function retainedFrom(before: number, keepFromMjdTai: number | null): number {
  if (keepFromMjdTai === null) return before;
  if (!Number.isFinite(keepFromMjdTai)) throw new Error(`${keepFromMjdTai} is not a time to keep sources from`);
  return Math.max(before, Math.floor(keepFromMjdTai / STEP_DAYS) * STEP_DAYS);
}
