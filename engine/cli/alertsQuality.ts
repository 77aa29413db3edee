/** `vesper alerts quality`: a night's alerts judged against thresholds. */
import { judgeNight, type JudgedAlert, type QualityReport } from '../../brokers/quality.ts';
import { listArchive, readEntry } from '../../brokers/archive/reader.ts';
import { partsOfDiaSourceId } from '../../schemas/ids.ts';
import { splitPacket } from '../../schemas/packet.ts';
import { streams } from '../../schemas/subjects.ts';
import type { Log } from '../stream/log.ts';
import { readObservatory } from '../stream/observatory.ts';
import { readStored } from '../stream/readStream.ts';
import { lastSequence } from '../stream/streams.ts';
import { note, print, printJson, table } from './output.ts';
import { chooseNight, withOpenStores, type NightName } from './stores.ts';

export async function runAlertsQuality(
  options: Readonly<{ dataDir: string; night: number | null; instrument: string | null; json: boolean }>,
): Promise<number> {
  const report = await withOpenStores(options.dataDir, 'alerts quality', async ({ log }) => {
    const night = await chooseNight(log, options.instrument, options.night);
    return judgeNight(night.dayObs, alertsOf(log, options.dataDir, night));
  });
  if (report.alerts === 0) note(`vesper: night ${report.dayObs} has no alerts to judge`);
  if (options.json) printJson(report); else print(formatReport(report));
  return report.passes && report.alerts > 0 ? 0 : 1;
}

/** From the stream, with their latencies; where it has expired from the archive, without. */
async function* alertsOf(log: Log, dataDir: string, { instrument, dayObs }: NightName): AsyncGenerator<JudgedAlert> {
  const stream = streams.alerts(instrument, dayObs);
  if ((await lastSequence(log, stream) ?? 0) === 0) {
    for (const entry of await listArchive(dataDir, instrument, dayObs)) {
      yield { packet: await readEntry(dataDir, instrument, dayObs, entry), latencySeconds: null };
    }
    return;
  }
  const readoutMs = new Map<number, number>();
  for (const { event } of await readObservatory(log, instrument, dayObs, () => undefined)) {
    if (event.type !== 'DetectorRead') continue;
    readoutMs.set(event.visit, Math.max(readoutMs.get(event.visit) ?? 0, event.readoutEndedMs));
  }
  for await (const message of readStored(log, stream)) {
    const endedMs = readoutMs.get(visitOf(message.data) ?? -1);
    yield {
      packet: message.data, latencySeconds: endedMs === undefined ? null : (message.time.getTime() - endedMs) / 1000,
    };
  }
}

function visitOf(packet: Uint8Array): number | null {
  try {
    return partsOfDiaSourceId(splitPacket(packet).diaSourceId).visit;
  } catch {
    return null; // The report counts it as undecodable.
  }
}

function formatReport(report: QualityReport): string {
  const { dayObs, alerts, visits, bytes, perVisit, latencySeconds, measuredShare, checks, passes } = report;
  const latency = latencySeconds === null ? 'not known'
    : `median ${latencySeconds.median.toFixed(1)} s, p98 ${latencySeconds.p98.toFixed(1)} s, at most `
      + `${latencySeconds.most.toFixed(1)} s`;
  return [
    `night ${dayObs}: ${passes ? 'every check passes' : 'A CHECK FAILS'}`,
    `${alerts} alerts of ${visits} visits (${perVisit.least} to ${perVisit.most}, median ${perVisit.median}), ${bytes} bytes`,
    `latency ${latency}`,
    `measured ${Object.entries(measuredShare).map(([name, share]) => `${name} ${(100 * share).toFixed(0)} %`).join(', ')}`,
    table(['check', 'value', 'at most', '', 'such as'], checks.map(({ name, value, max, passes: isGood, example }) => [
      name, value === null ? '-' : String(Number(value.toFixed(3))), String(max), isGood ? '✓' : '✗', example ?? '',
    ])),
  ].join('\n');
}
