/** `vesper alerts replay` and `alerts voevent`: alerts again, as they were sent, and in the words of follow-up networks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { headers as newHeaders } from '@nats-io/nats-core';
import { findAlert } from '../../brokers/archive/reader.ts';
import { sentAlerts, type SentAlert } from '../../brokers/archive/replaySource.ts';
import { voEventOf } from '../../brokers/archive/voevent.ts';
import { compileFilter, type CompiledFilter } from '../../brokers/filters/expression.ts';
import { FilterLog } from '../../brokers/filters/filterLog.ts';
import { predefinedFilter } from '../../brokers/filters/predefined.ts';
import { alertProjection } from '../../brokers/filters/projectedAlert.ts';
import { cameraNames } from '../../schemas/camera.ts';
import { partsOfDiaSourceId } from '../../schemas/ids.ts';
import { decodeAlert } from '../../schemas/packet.ts';
import { alertHeaders } from '../../schemas/subjects.ts';
import type { AlertsReplayOptions } from '../setup/arguments.mjs';
import type { Log } from '../stream/log.ts';
import { isSimulated } from './instruments.ts';
import { note, print, printJson } from './output.ts';
import { chooseNight, withOpenStores } from './stores.ts';

/** Headers that a replayed alert has beside its own. */
const REPLAYED = 'replayed-from', FILTER = 'filter';
/** First tokens of subjects that the system itself listens to: nobody replays into its log. */
const OWN_SUBJECTS: ReadonlySet<string> = new Set(['alerts', 'commit', 'filtered', 'filter', 'obs', 'ap', 'cmd', 'tel']);
/** Published ahead of what the server has taken, alerts. */
const WINDOW = 128;

export async function runAlertsReplay(options: AlertsReplayOptions, signal: AbortSignal): Promise<number> {
  const fromMs = timeOf('--from', options.from), toMs = timeOf('--to', options.to);
  if (toMs <= fromMs) throw new Error('--to is not after --from');
  assertSubject(options.toSubject);
  return withOpenStores(options.dataDir, 'alerts replay', async ({ log }) => {
    const instrument = options.instrument ?? (await chooseNight(log, null, null)).instrument;
    const filter = options.filter === null ? null : await filterOf(log, options.filter);
    const matches = filter === null ? () => true : matcherOf(filter);
    const publish = await publisherTo(log, options.toSubject);
    let seen = 0, sent = 0, bytes = 0, firstMs: number | null = null;
    const startedMs = performance.now();
    for await (const alert of sentAlerts(log, options.dataDir, instrument, fromMs, toMs)) {
      if (signal.aborted) break;
      seen++;
      if (!matches(alert)) continue;
      firstMs ??= alert.timeMs;
      if (options.pace === 'original') {
        const waitMs = alert.timeMs - firstMs - (performance.now() - startedMs);
        if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      }
      await publish(alert, filter);
      sent++;
      bytes += alert.packet.length;
    }
    await publish.end();
    const result = { instrument, filter: filter?.label ?? null, toSubject: options.toSubject, seen, sent, bytes };
    if (options.json) printJson(result);
    else print(`${sent} of ${seen} alerts of ${instrument} replayed to ${options.toSubject}, ${bytes} bytes`);
    return signal.aborted ? 1 : 0;
  });
}

export async function runAlertsVoEvent(
  idText: string, options: Readonly<{ dataDir: string; instrument: string | null }>,
): Promise<number> {
  const id = BigInt(idText);
  partsOfDiaSourceId(id);
  for (const instrument of options.instrument === null ? cameraNames() : [options.instrument]) {
    const packet = await findAlert(options.dataDir, instrument, id);
    if (packet === null) continue;
    process.stdout.write(voEventOf(decodeAlert(packet), instrument, isSimulated(instrument) ? 'test' : 'observation'));
    return 0;
  }
  note(`vesper: alert ${idText} is not in the archive`);
  return 2;
}

/** ISO 8601 with a zone, so that nobody's own decides. @throws Error of one line. */
function timeOf(option: string, text: string): number {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new Error(`${option} must be a time such as 2026-10-01T03:00:00Z, not ${JSON.stringify(text)}`);
}

function assertSubject(subject: string): void {
  const tokens = subject.split('.');
  if (subject.length > 200 || tokens.some((token) => !/^[A-Za-z0-9_-]+$/.test(token))) {
    throw new Error(`--to-subject must be names with dots between, not ${JSON.stringify(subject.slice(0, 80))}`);
  }
  if (OWN_SUBJECTS.has(tokens[0])) throw new Error(`--to-subject ${subject} is one of the log's own`);
}

/** @throws Error of one line when there is no such filter or version. */
async function filterOf(log: Log, name: string): Promise<CompiledFilter> {
  const recorded = await FilterLog.open(log);
  const [, user, own, version] = /^([\w-]+)\.([\w-]+)(?:@(\d{1,6}))?$/.exec(name) ?? [];
  const shipped = predefinedFilter(name);
  if (user === undefined) {
    if (shipped !== null) return compileFilter(shipped);
    throw new Error(`a filter is USER.NAME@VERSION, not ${JSON.stringify(name.slice(0, 80))}`);
  }
  const found = version === undefined ? null : recorded.definitionOf(name);
  if (found === null && shipped !== null) return compileFilter(shipped);
  return compileFilter(found ?? recorded.definition(user, own, version === undefined ? null : Number(version)));
}

function matcherOf(filter: CompiledFilter): (alert: SentAlert) => boolean {
  const decode = alertProjection(filter.reads);
  return ({ packet, headers }) => {
    const neighbours = headers.find(([name]) => name === alertHeaders.neighbours)?.[1];
    return filter.evaluate(decode(packet, neighbours)).outcome === 'matched';
  };
}

type Publisher = ((alert: SentAlert, filter: CompiledFilter | null) => Promise<void>) & { end(): Promise<void> };

/** Acknowledged when a stream listens on the subject, else for whoever listens now. */
async function publisherTo(log: Log, subject: string): Promise<Publisher> {
  const stream = await log.jsm.streams.find(subject).catch(() => null);
  const waiting: Promise<unknown>[] = [];
  const send = async (alert: SentAlert, filter: CompiledFilter | null): Promise<void> => {
    const headers = newHeaders();
    for (const [name, value] of alert.headers) headers.append(name, value);
    headers.set(REPLAYED, new Date(alert.timeMs).toISOString());
    if (filter !== null) headers.set(FILTER, filter.label);
    if (stream !== null) waiting.push(log.js.publish(subject, alert.packet, { headers }));
    else log.connection.publish(subject, alert.packet, { headers });
    if (stream === null && ++unflushed % WINDOW === 0) await log.connection.flush();
    if (waiting.length >= WINDOW) await Promise.all(waiting.splice(0));
  };
  let unflushed = 0;
  return Object.assign(send, { async end() { await Promise.all(waiting.splice(0)); await log.connection.flush(); } });
}
