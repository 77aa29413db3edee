/** `vesper alerts tail|get|export`: alerts as people and decoders want them. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsMsg } from '@nats-io/jetstream';
import { findArchivedAlert, listArchive, readEntry } from '../../brokers/archive/reader.ts';
import { cameraNames } from '../../schemas/camera.ts';
import type { Alert } from '../../schemas/diaRows.ts';
import { decodeAlert } from '../../schemas/packet.ts';
import { partsOfDiaSourceId } from '../../schemas/ids.ts';
import { alertHeaders, streams } from '../../schemas/subjects.ts';
import { followStream, readStored } from '../stream/readStream.ts';
import { lastSequence } from '../stream/streams.ts';
import { note, print, printJson, toJson } from './output.ts';
import { chooseNight, withOpenStores } from './stores.ts';

type Recorded = Readonly<{ dataDir: string; instrument: string | null; json: boolean }>;

/** Follows the newest night's stream; with `--json` prints one document: the alerts that were seen. */
export async function runAlertsTail(
  options: Recorded & Readonly<{ fromStart: boolean; count: number | null }>, signal: AbortSignal,
): Promise<number> {
  return withOpenStores(options.dataDir, 'alerts tail', async ({ log }) => {
    const { instrument, dayObs } = await chooseNight(log, options.instrument, null);
    const stream = streams.alerts(instrument, dayObs);
    const last = await lastSequence(log, stream) ?? 0;
    const seen: unknown[] = [];
    const limit = options.count ?? Infinity;
    const show = (message: JsMsg) => {
      const headers = Object.fromEntries(
        Object.values(alertHeaders).map((name) => [name, message.headers?.get(name) || null]),
      );
      if (options.json) seen.push({ sequence: message.seq, bytes: message.data.length, ...headers });
      else print(tailLine(message));
    };
    let shown = 0;
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve());
      void followStream(log, stream, options.fromStart ? 1 : last + 1, (message) => {
        if (shown >= limit) return;
        show(message);
        if (++shown >= limit) resolve();
      }, reject).catch(reject);
    });
    if (options.json) printJson({ dayObs, instrument, alerts: seen });
    return 0;
  });
}

function tailLine(message: JsMsg): string {
  const header = (name: string) => message.headers?.get(name) ?? '';
  const [ra, dec, snr] = [alertHeaders.ra, alertHeaders.dec, alertHeaders.snr].map((name) => Number(header(name)));
  return [
    header(alertHeaders.diaSourceId), `visit ${header(alertHeaders.visit)}/${header(alertHeaders.detector)}`,
    header(alertHeaders.band),
    ra.toFixed(5), dec.toFixed(5), `SNR ${snr.toFixed(1)}`, `object ${header(alertHeaders.diaObjectId)}`,
    `${message.data.length} bytes`,
  ].join('  ');
}

/** One alert from the archive, found by its id. */
export async function runAlertsGet(idText: string, options: Recorded & Readonly<{ raw: boolean }>): Promise<number> {
  const id = BigInt(idText);
  partsOfDiaSourceId(id);
  const instruments = options.instrument === null ? cameraNames() : [options.instrument];
  for (const instrument of instruments) {
    const found = await findArchivedAlert(options.dataDir, instrument, id);
    if (!found) continue;
    const { packet, neighbours } = found, described = describe(decodeAlert(packet), packet.length, neighbours);
    if (options.raw) process.stdout.write(packet);
    else if (options.json) printJson(described);
    else print(JSON.stringify(JSON.parse(toJson(described)), null, 2));
    return 0;
  }
  note(`vesper: alert ${idText} is not in the archive of ${instruments.join(', ')}`);
  return 2;
}

/** An alert with its cutouts as sizes, and what stands beside its packet. */
function describe(alert: Alert, bytes: number, neighbours: string | null): unknown {
  const size = (cutout: Uint8Array | null) => (cutout === null ? null : `${cutout.length} bytes of FITS`);
  return {
    ...alert, cutoutDifference: size(alert.cutoutDifference), cutoutScience: size(alert.cutoutScience),
    cutoutTemplate: size(alert.cutoutTemplate), packetBytes: bytes,
    neighbours: neighbours === null ? null : JSON.parse(neighbours) as unknown,
  };
}

/** Writes framed packets as they were sent, one file an alert, in the order of publication. */
export async function runAlertsExport(
  options: Recorded & Readonly<{ out: string; limit: number | null }>,
): Promise<number> {
  const { instrument, dayObs, packets } = await withOpenStores(options.dataDir, 'alerts export', async ({ log }) => {
    const night = await chooseNight(log, options.instrument, null);
    const limit = options.limit ?? Infinity;
    mkdirSync(options.out, { recursive: true });
    let written = 0;
    if (await lastSequence(log, streams.alerts(night.instrument, night.dayObs)) === null) {
      for (const entry of await listArchive(options.dataDir, night.instrument, night.dayObs)) {
        if (written >= limit) break;
        writeWhole(
          options.out, entry.diaSourceId, await readEntry(options.dataDir, night.instrument, night.dayObs, entry),
        );
        written++;
      }
    } else {
      for await (const message of readStored(log, streams.alerts(night.instrument, night.dayObs))) {
        if (written >= limit) break;
        writeWhole(options.out, BigInt(message.headers?.get(alertHeaders.diaSourceId) ?? 0), message.data);
        written++;
      }
    }
    return { ...night, packets: written };
  });
  if (options.json) printJson({ dayObs, instrument, alerts: packets, out: options.out });
  else print(`${packets} alerts of ${instrument} ${dayObs} written to ${options.out}`);
  return 0;
}

/** Written beside and renamed, so that a full disk leaves no half alert. */
function writeWhole(folder: string, id: bigint, packet: Uint8Array): void {
  const path = join(folder, `${id}.avro-framed`);
  writeFileSync(`${path}.part`, packet);
  renameSync(`${path}.part`, path);
}
