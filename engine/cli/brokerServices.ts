/** The brokers' side of a night: archive, filter, and the two consumers that take delivery. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { needsLiteStream, pixelRights } from '../../brokers/access.ts';
import { runArchiveService } from '../../brokers/archive/service.ts';
import { brokersConfig } from '../../brokers/config.ts';
import { consumeAlerts } from '../../brokers/consume.ts';
import { reportConsumers } from '../../brokers/consumerEvents.ts';
import { openFilterLog } from '../../brokers/filters/filterLog.ts';
import { runFilterService, type FilterProgress } from '../../brokers/filters/service.ts';
import { runLiteStream, type LiteOptions } from '../../brokers/liteStream.ts';
import type { DayObs } from '../../schemas/ids.ts';
import { decodeAlert } from '../../schemas/packet.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import { CONSUMERS, NIGHT_FILTER } from './countNight.ts';
import { note } from './output.ts';

export type BrokerServices = Readonly<{
  /** Resolves when every alert that is in the stream was archived, filtered and delivered. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}>;

/** @param fail Called when a service ends with an error: nothing is lost, but the night cannot be completed. */
export function startBrokerServices(
  options: Readonly<{
    connection: NatsConnection; dataDir: string; instrument: string; dayObs: DayObs; fail: (error: Error) => void;
    /** Alerts that are new in the archive, by the visit and detector that their ids tell. */
    onArchived: (diaSourceIds: readonly bigint[]) => void;
  }>,
): BrokerServices {
  const { connection, dataDir, instrument, dayObs, fail, onArchived } = options;
  const stop = new AbortController(), firstDrain = new AbortController(), lastDrain = new AbortController();
  const base = { connection, signal: stop.signal };
  const watch = (service: Promise<unknown>): Promise<void> => service.then(() => undefined, (error: unknown) => {
    if (!stop.signal.aborted) fail(error instanceof Error ? error : new Error(String(error)));
  });
  const alerts = streams.alerts(instrument, dayObs);
  // A consumer takes an alert by decoding it; one that cannot be decoded is told, and counted by `verify`.
  const decoded = (message: JsMsg) => {
    try { decodeAlert(message.data); } catch (error) { note(`alert ${message.seq}: ${(error as Error).message}`); }
  };
  let filters: readonly FilterProgress[] = [];
  const ended = new AbortController();
  const reporting = reportConsumers({ connection, instrument, dayObs, filters: () => filters, signal: ended.signal });
  const first = [
    watch(runArchiveService({
      ...base, dataDir, instrument, dayObs, untilCaughtUp: firstDrain.signal,
      onArchived: (entries) => onArchived(entries.map(({ diaSourceId }) => diaSourceId)),
    })),
    watch(
      openFilterLog(connection).then(async (roster) => {
        await roster.recordShipped();
        return runFilterService({
          ...base, instrument, dayObs, filters: [], roster, untilCaughtUp: firstDrain.signal,
          hasPixels: pixelRights(dataDir), onProgress: (progress) => { filters = progress; },
        });
      }),
    ),
    watch(
      consumeAlerts({
        ...base, stream: alerts, durable: CONSUMERS.full, untilCaughtUp: firstDrain.signal,
        onAlert: decoded,
      }),
    ),
  ];
  const lite = watch(liteWhenNeeded({ ...base, dataDir, instrument, dayObs, untilCaughtUp: firstDrain.signal }));
  const last = watch(consumeAlerts({
    ...base, stream: streams.filtered(instrument, dayObs), durable: CONSUMERS.filter, untilCaughtUp: lastDrain.signal,
    subject: subjects.filtered(NIGHT_FILTER.user, NIGHT_FILTER.name, instrument, dayObs), onAlert: decoded,
  }));
  return {
    async drain() {
      firstDrain.abort();
      await Promise.all([...first, lite]);
      // The filter's consumer can only be done when the filter is.
      lastDrain.abort();
      await last;
      ended.abort();
      await reporting;
    },
    async stop() {
      stop.abort();
      ended.abort();
      await Promise.all([...first, lite, last, reporting]);
    },
  };
}

/** Alerts without cutouts, from the night's start, as soon as somebody has a key and no right to pixels. */
async function liteWhenNeeded(
  options: Omit<LiteOptions, 'untilCaughtUp'> & Readonly<{ dataDir: string; untilCaughtUp: AbortSignal }>,
): Promise<void> {
  while (!needsLiteStream(options.dataDir)) {
    if (options.signal.aborted || options.untilCaughtUp.aborted) return;
    const ended = AbortSignal.any([options.signal, options.untilCaughtUp]);
    await sleep(brokersConfig.usersPollMs, undefined, { signal: ended }).catch(() => undefined);
  }
  await runLiteStream(options);
}
