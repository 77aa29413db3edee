/**
 * The stores of a data directory as a command sees them: reached through the live run, or started for the time of the
 * command.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Apdb } from '../../apdb/apdb.ts';
import { openPostgresApdb } from '../../apdb/postgres/postgresApdb.ts';
import { asDayObs, type DayObs } from '../../schemas/ids.ts';
import { withStores, type StoreAddresses } from '../setup/services.mjs';
import { readCommits } from '../stream/commitLog.ts';
import { closeLog, openLog, type Log } from '../stream/log.ts';
import { listInstruments, listNights } from '../stream/streams.ts';
import { isSimulated } from './instruments.ts';

export type OpenStores = Readonly<{
  log: Log; addresses: StoreAddresses; openApdb(instrument: string): Promise<Apdb>;
}>;

/**
 * Runs `work` with the log and the APDB of a data directory.
 *
 * @throws Error of one line when a server is missing or another process holds the directory.
 */
export async function withOpenStores<T>(
  dataDir: string, command: string, work: (stores: OpenStores) => Promise<T>,
): Promise<T> {
  if (!existsSync(join(dataDir, 'nats')) && !process.env['VESPER_NATS_URL']) {
    throw new Error(`there is no night in ${dataDir}: run "npm start" first`);
  }
  const note = (line: string) => { process.stderr.write(`vesper: ${line}\n`); };
  return withStores({ dataDir, command, log: note }, async (addresses) => {
    const log = await openLog(addresses.natsUrl, `vesper ${command}`, note);
    const opened: Apdb[] = [];
    try {
      return await work({ log, addresses, openApdb: async (instrument) => {
        const apdb = await openPostgresApdb(addresses.postgres, instrument);
        opened.push(apdb);
        return apdb;
      } });
    } finally {
      for (const apdb of opened) await apdb.close();
      await closeLog(log);
    }
  });
}

/** A night that holds day-time corrections and nothing else: it has not been observed. */
async function isYetToBegin(log: Log, instrument: string, dayObs: DayObs): Promise<boolean> {
  let isCorrected = false;
  for await (const { entry } of readCommits(log, instrument, dayObs)) {
    if (!entry.corrected) return false;
    isCorrected = true;
  }
  return isCorrected;
}

export type NightName = Readonly<{ instrument: string; dayObs: DayObs }>;

/** The instrument that a command means: the one given, else that of the newest simulated night. */
export async function chooseInstrument(log: Log, instrument: string | null): Promise<string> {
  return instrument ?? (await chooseNight(log, null, null)).instrument;
}

/**
 * The night that a command means: of the instrument given, else of the newest simulated night; the newest one unless
 * named.
 *
 * @throws Error of one line when there is none.
 */
export async function chooseNight(
  log: Log, instrument: string | null, night: number | 'last' | null,
): Promise<NightName> {
  const instruments = instrument === null ? (await listInstruments(log)).filter(isSimulated) : [instrument];
  const wanted = night === null || night === 'last' ? null : asDayObs(night);
  let best: NightName | null = null;
  for (const name of instruments) {
    for (const dayObs of await listNights(log, name)) {
      if ((wanted ?? dayObs) !== dayObs || (best !== null && dayObs <= best.dayObs)) continue;
      if (wanted === null && await isYetToBegin(log, name, dayObs)) continue;
      best = { instrument: name, dayObs };
    }
  }
  if (best) return best;
  const of = instrument === null ? '' : ` of instrument ${instrument}`;
  throw new Error(
    wanted === null
      ? `there is no night${of} in the log: run "npm start" first`
      : `night ${wanted}${of} is not in the log`,
  );
}
