/** The packets of one commit: its rows, the state before it, and the spool. The same whenever they are built. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Apdb } from '../../apdb/apdb.ts';
import { decodeDiaObject } from '../../schemas/avro.ts';
import type { DiaSourcesAssociated, Observation } from '../../schemas/commit.ts';
import { commitPosition, partsOfCommitPosition, type CommitPosition } from '../../schemas/ids.ts';
import { engineConfig } from '../config.ts';
import { buildPackets, type Packet, type PacketHistory } from '../stages/packet/packet.ts';
import { decodeCutouts } from '../stages/packet/spool.ts';
import type { PacketMemory } from './packetMemory.ts';
import { historyStart } from './associateDetector.ts';
import { rowsOf } from './projector.ts';
import { HeldObject } from './heldObject.ts';
import type { SkyState } from './skyState.ts';
import type { Spool } from './spool.ts';

/**
 * Builds the packets of a commit. Histories come from memory; those of objects that are not held (after a restart)
 * from the APDB, once it has reached the commit before.
 *
 * @param earlierNights Where the log ended when this run was opened.
 * @param projection    Resolves when the projection has caught up.
 * @param memory        Holds the packets until the next call: those of the commit before have to be acknowledged.
 */
export async function packCommit(
  associated: DiaSourcesAssociated, position: CommitPosition, earlierNights: CommitPosition,
  spool: Spool, state: SkyState, apdb: Apdb, projection: () => Promise<void>, memory: PacketMemory,
): Promise<readonly Packet[]> {
  const rows = rowsOf(associated, spool);
  const ids = rows.diaObjects.map((payload) => decodeDiaObject(payload))
    .filter((object) => object.nDiaSources > 1).map((object) => object.diaObjectId);
  const before = positionBefore(position, earlierNights);
  const missing = ids.filter((id) => state.get(id) === null);
  const loaded = new Map<bigint, HeldObject>();
  if (missing.length > 0) {
    const histories = await untilAnswered(async () => {
      if (before > await apdb.position()) await projection();
      return apdb.loadObjects(missing, historyStart(associated.midpointMjdTai), before);
    });
    for (const history of histories) loaded.set(history.diaObjectId, new HeldObject(history.diaObjectId, history));
  }
  const history = new Map<bigint, PacketHistory>();
  for (const id of ids) {
    const object = state.get(id) ?? loaded.get(id);
    if (!object) {
      throw new Error(`diaObject ${id} of visit ${associated.visit} has no history in memory or in the APDB`);
    }
    history.set(id, historyBefore(object, before));
  }
  const cutouts = associated.cutoutSpool
    && decodeCutouts(spool.read(associated.cutoutSpool), associated.cutoutSpool.digest);
  memory.reset();
  return buildPackets({
    rows, withheld: associated.withheld, history, cutouts, ...namesOf(associated.observation),
  }, undefined, memory.allocate);
}

/** As packets name what was pointed at, and why. */
export function namesOf(observation: Observation | undefined) {
  return { observationReason: observation?.reason ?? null, targetName: observation?.target ?? null };
}

/** Asks again while the store is away: the alerts behind would be late too, but none is lost. */
async function untilAnswered<T>(read: () => Promise<T>): Promise<T> {
  for (const limit = Date.now() + engineConfig.drainLimitMs; ;) {
    try {
      return await read();
    } catch (error) {
      if (Date.now() > limit) throw error;
      await sleep(engineConfig.projectionRetryMs);
    }
  }
}

/** Rows of one object up to a commit. */
export function historyBefore(object: HeldObject, before: CommitPosition): PacketHistory {
  return {
    diaSources: object.sources.upTo(before)
      .map(({ id, midpointMjdTai, payload }) => ({ row: { diaSourceId: id, midpointMjdTai }, payload })),
    diaForcedSources: object.forcedSources.upTo(before)
      .map(({ id, midpointMjdTai, payload }) => ({ row: { diaForcedSourceId: id, midpointMjdTai }, payload })),
  };
}

/** Position of the entry before: of this night, or of the last one of earlier nights. */
function positionBefore(position: CommitPosition, earlierNights: CommitPosition): CommitPosition {
  const { dayObs, sequence } = partsOfCommitPosition(position);
  if (sequence > 1) return commitPosition(dayObs, sequence - 1);
  return partsOfCommitPosition(earlierNights).dayObs < dayObs ? earlierNights : commitPosition(dayObs, 0);
}
