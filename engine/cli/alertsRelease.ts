/** `vesper alerts release`: sends the alerts that a policy has withheld for a time which is over. */
import type { Apdb } from '../../apdb/apdb.ts';
import { openArchive, readPacket, type Archive } from '../../brokers/archive/archive.ts';
import { isHeld, readPolicy, type Policy } from '../../brokers/policy.ts';
import { decodeDiaSource } from '../../schemas/avro.ts';
import type { DiaSourcesAssociated } from '../../schemas/commit.ts';
import { commitPosition, type DayObs } from '../../schemas/ids.ts';
import { encodeNeighbours, parseNeighbours } from '../../schemas/neighbours.ts';
import { splitPacket } from '../../schemas/packet.ts';
import { alertHeaders, streams } from '../../schemas/subjects.ts';
import { POLICY_REASON } from '../stream/associateDetector.ts';
import { isNightSealed, readCommits } from '../stream/commitLog.ts';
import { publishReleased } from '../stream/distributor.ts';
import type { Log } from '../stream/log.ts';
import { packCommit } from '../stream/packCommit.ts';
import { PacketMemory } from '../stream/packetMemory.ts';
import { catchUp, rowsOf } from '../stream/projector.ts';
import { readStored } from '../stream/readStream.ts';
import { SkyState } from '../stream/skyState.ts';
import { Spool } from '../stream/spool.ts';
import { lastSequence, openReleasedStream } from '../stream/streams.ts';
import { isNightSimulated, SIMULATED } from './nightPlan.ts';
import { note, print, printJson } from './output.ts';
import { chooseNight, withOpenStores } from './stores.ts';

type Options = Readonly<{ dataDir: string; instrument: string | null; night: number | null; json: boolean }>;

export async function runAlertsRelease(options: Options): Promise<number> {
  const { dataDir } = options, policy = readPolicy(dataDir);
  const result = await withOpenStores(dataDir, 'alerts release', async ({ log, openApdb }) => {
    const { instrument, dayObs } = await chooseNight(log, options.instrument, options.night);
    const apdb = await openApdb(instrument);
    await catchUp(log, apdb, instrument, dataDir);
    if (!await isNightSealed(log, instrument, dayObs)) {
      throw new Error(`night ${dayObs} of ${instrument} is not sealed: its own alerts come first`);
    }
    await openReleasedStream(log, instrument, dayObs);
    const archive = await openArchive(dataDir, instrument, dayObs);
    const testMessage = (await isNightSimulated(log, instrument, dayObs)) ? SIMULATED : null;
    const before = await releasedIds(log, instrument, dayObs);
    const sums = { instrument, dayObs, released: 0, releasedBefore: before.size, held: 0 };
    try {
      for await (const { entry, sequence } of readCommits(log, instrument, dayObs)) {
        if (!entry.associated) continue;
        const work = { log, apdb, dataDir, instrument, dayObs, policy, before, testMessage };
        const { released, held } = await releaseCommit(work, entry.associated, sequence);
        sums.released += released;
        sums.held += held;
      }
      await keepReleased(log, archive, instrument, dayObs);
    } finally {
      await archive.close();
    }
    return sums;
  });
  if (options.json) printJson(result);
  else {
    print(`${result.released} alerts of ${result.instrument} ${result.dayObs} released, `
      + `${result.releasedBefore} earlier, ${result.held} still held`);
  }
  return 0;
}

/** Every released alert is in the archive when this resolves; those that are there already are passed over. */
async function keepReleased(log: Log, archive: Archive, instrument: string, dayObs: DayObs): Promise<void> {
  for await (const { data, headers } of readStored(log, streams.released(instrument, dayObs))) {
    const neighbours = parseNeighbours(headers?.get(alertHeaders.neighbours));
    // Sequence 0: it is none of ALERTS.
    await archive.append([readPacket({
      packet: data, sequence: 0, neighbours: neighbours && encodeNeighbours(neighbours),
    })]);
  }
}

/** Ids of the alerts of a night that were released. */
export async function releasedIds(log: Log, instrument: string, dayObs: DayObs): Promise<Set<bigint>> {
  const stream = streams.released(instrument, dayObs), ids = new Set<bigint>();
  if (await lastSequence(log, stream) === null) return ids;
  for await (const message of readStored(log, stream)) {
    ids.add(decodeDiaSource(splitPacket(message.data).diaSource).diaSourceId);
  }
  return ids;
}

type Work = Readonly<{
  log: Log; apdb: Apdb; dataDir: string; instrument: string; dayObs: DayObs; policy: Policy;
  before: ReadonlySet<bigint>; testMessage: string | null;
}>;

/** The packets are those that the night would have sent: of the same commit, the state before it and the spool. */
async function releaseCommit(
  { log, apdb, dataDir, instrument, dayObs, policy, before, testMessage }: Work, associated: DiaSourcesAssociated,
  sequence: number,
): Promise<Readonly<{ released: number; held: number }>> {
  const byPolicy = associated.withheld.filter(({ reason }) => reason.startsWith(POLICY_REASON));
  if (byPolicy.length === 0) return { released: 0, held: 0 };
  const spool = new Spool(dataDir, instrument, dayObs);
  const sources = rowsOf(associated, spool).diaSources.map((row) => decodeDiaSource(row));
  const isDue = ({ index, reason }: (typeof byPolicy)[number]): boolean =>
    !isHeld(policy, reason.slice(POLICY_REASON.length), sources[index], Date.now());
  const due = byPolicy.filter(isDue);
  const owed = new Set(due.map(({ index }) => index).filter((index) => !before.has(sources[index].diaSourceId)));
  if (owed.size > 0) {
    const withheld = sources.flatMap((_, index) => (owed.has(index) ? [] : [{ index, reason: 'not now' }]));
    const packets = await packCommit(
      { ...associated, withheld }, commitPosition(dayObs, sequence), commitPosition(dayObs, 0), spool, new SkyState(),
      apdb, () => Promise.reject(new Error('the projection is behind its log')), new PacketMemory(),
    );
    await publishReleased(log, instrument, dayObs, associated, sequence, packets, Date.now, testMessage);
    note(`visit ${associated.visit}, detector ${associated.detector}: ${packets.length} released`);
  }
  return { released: owed.size, held: byPolicy.length - due.length };
}
