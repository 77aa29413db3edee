/** Matches of a filter for those who do not attach to the log: posted to a web address, or as one file. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsMsg } from '@nats-io/jetstream';
import type { DayObs } from '../../schemas/ids.ts';
import { decodeAlert } from '../../schemas/packet.ts';
import { streams, subjects } from '../../schemas/subjects.ts';
import type { Log } from '../../engine/stream/log.ts';
import { readStored } from '../../engine/stream/readStream.ts';
import { brokersConfig } from '../config.ts';
import { consumeAlerts } from '../consume.ts';
import type { FeedOptions } from '../messageFeed.ts';
import { filterHeaders } from './publisher.ts';

/** What is told of a match: all of the alert but its cutouts and history. 64-bit ids are decimal strings. */
export function matchJson(message: Pick<JsMsg, 'data' | 'headers' | 'seq'>): string {
  const { diaSource, diaObject, ssSource, prvDiaSources } = decodeAlert(message.data);
  return JSON.stringify({
    filter: message.headers?.get(filterHeaders.filter) || null, sequence: message.seq, diaSource, diaObject, ssSource,
    previousSources: prvDiaSources?.length ?? 0,
  }, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

/** @throws Error of one line when it is no http(s) address, or holds a password. */
export function webhookAddress(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw new Error(`a webhook is an http or https address without a password, not ${JSON.stringify(text.slice(0, 100))}`);
  }
  return url;
}

/**
 * Posts every match of a filter, one at a time and in order; a match counts as delivered when the address has answered
 * 2xx. It may come again after a crash: receivers tell by diaSourceId. One durable consumer a filter keeps the place.
 *
 * @throws Error of one line when the address refuses or stays away: what is owed is delivered by the next call.
 */
export async function deliverToWebhook(
  feed: Omit<FeedOptions, 'stream'>, instrument: string, dayObs: DayObs, user: string, name: string, address: URL,
): Promise<number> {
  return consumeAlerts({
    ...feed, stream: streams.filtered(instrument, dayObs), durable: `webhook_${user}_${name}`,
    subject: subjects.filtered(user, name, instrument, dayObs), onAlert: (message) => post(address, matchJson(message)),
  });
}

async function post(address: URL, body: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const reason = await attemptPost(address, body);
    if (reason === null) return;
    if (attempt >= brokersConfig.publishAttempts) {
      throw new Error(`webhook ${address.origin}: ${reason}, ${attempt} times`);
    }
    await sleep(100 * 2 ** attempt); // 0.2 s, 0.4 s, 0.8 s, 1.6 s.
  }
}

/** Null when it was taken, else why not. */
async function attemptPost(address: URL, body: string): Promise<string | null> {
  try {
    const { status } = await fetch(address, {
      method: 'POST', body, headers: { 'content-type': 'application/json' }, redirect: 'error',
      signal: AbortSignal.timeout(brokersConfig.webhookTimeoutMs),
    });
    return status >= 200 && status < 300 ? null : `answered ${status}`;
  } catch (error) {
    const { cause, message } = error as Error;
    return cause instanceof Error ? cause.message : message;
  }
}

/** All matches of a filter in a night so far, a line of JSON each. */
export async function* digestLines(
  log: Log, instrument: string, dayObs: DayObs, user: string, name: string,
): AsyncGenerator<string> {
  const subject = subjects.filtered(user, name, instrument, dayObs);
  for await (const message of readStored(log, streams.filtered(instrument, dayObs), 1, undefined, subject)) {
    yield matchJson(message);
  }
}
