/** `vesper filter deliver`: a filter's matches to a web address or into a file. */
import { renameSync, writeFileSync } from 'node:fs';
import { deliverToWebhook, digestLines, webhookAddress } from '../../brokers/filters/delivery.ts';
import { FilterLog } from '../../brokers/filters/filterLog.ts';
import type { FilterDeliverOptions } from '../setup/arguments.mjs';
import { print, printJson } from './output.ts';
import { chooseNight, withOpenStores } from './stores.ts';

export async function runFilterDeliver(
  label: string, options: FilterDeliverOptions, signal: AbortSignal,
): Promise<number> {
  const [, user, name] = /^([\w-]{1,64})\.([\w-]{1,64})$/.exec(label) ?? [];
  if (user === undefined) throw new Error(`a filter is USER.NAME, not ${JSON.stringify(label.slice(0, 80))}`);
  if ((options.webhook === null) === (options.digest === null)) throw new Error('give either --webhook or --digest');
  const address = options.webhook === null ? null : webhookAddress(options.webhook);
  return withOpenStores(options.dataDir, 'filter deliver', async ({ log }) => {
    (await FilterLog.open(log)).find(user, name); // One that nobody recorded is refused, and no empty file is left.
    const { instrument, dayObs } = await chooseNight(log, options.instrument, options.night);
    let delivered = 0;
    if (address !== null) {
      const feed = { connection: log.connection, signal, untilCaughtUp: !options.follow };
      delivered = await deliverToWebhook(feed, instrument, dayObs, user, name, address);
    } else if (options.digest !== null) {
      const lines: string[] = [];
      for await (const line of digestLines(log, instrument, dayObs, user, name)) lines.push(`${line}\n`);
      writeFileSync(`${options.digest}.part`, lines.join(''));
      renameSync(`${options.digest}.part`, options.digest);
      delivered = lines.length;
    }
    const to = address?.origin ?? options.digest;
    if (options.json) printJson({ filter: label, instrument, dayObs, delivered, to });
    else print(`${delivered} matches of ${label} in night ${dayObs} delivered to ${to}`);
    return 0;
  });
}
