/** Who may look at the page's server, and who may change filters through it. */
import type { IncomingMessage } from 'node:http';
import { listAccess, readAccess } from '../access.ts';
import { brokersConfig } from '../config.ts';
import type { Actor } from '../filters/filterLog.ts';

export type Guard = Readonly<{
  mayLook(request: IncomingMessage): boolean;
  /** Whether pixels may be told before their embargo ends: to everybody while there are no users. */
  hasPixels(request: IncomingMessage): boolean;
  /** As whom the request changes filters; null when it may not. */
  actorOf(request: IncomingMessage): Actor | null;
}>;

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

/**
 * On loopback everybody may look; while no users are recorded everybody there may also change filters, in the name that
 * the request's path has. With users, and beyond loopback for looking too, a token decides.
 *
 * @throws Error of one line when the address is beyond loopback and there is no TLS, or there are no users.
 */
export function guardOf(host: string, dataDir: string | undefined, tls: object | null): Guard {
  const isLocal = LOOPBACK.test(host);
  if (!isLocal && tls === null) {
    throw new Error(`dashboard: beyond loopback (${host}) it takes HTTPS: give a certificate and its key`);
  }
  if (!isLocal && (dataDir === undefined || listAccess(dataDir).length === 0)) {
    throw new Error(`dashboard: beyond loopback (${host}) it takes users: make some with "vesper access grant"`);
  }
  const accessNow = (): ReturnType<typeof readAccess> | null => (dataDir === undefined ? null : readAccess(dataDir));
  return {
    // By another name than loopback's only a page comes here that has its own name point to this machine.
    mayLook: (request) => (isLocal
      ? LOOPBACK.test(hostNameOf(request))
      : (accessNow()?.userOf(request.headers.authorization) ?? null) !== null),
    hasPixels(request) {
      const access = accessNow();
      return access === null || !access.isRequired || access.userOf(request.headers.authorization)?.hasPixels === true;
    },
    actorOf(request) {
      const access = accessNow();
      if (access === null) return null;
      if (!access.isRequired) return isLocal ? { user: pathUser(request.url ?? ''), isOperator: false } : null;
      const entry = access.userOf(request.headers.authorization);
      return entry === null ? null : { user: entry.user, isOperator: entry.isOperator };
    },
  };
}

function hostNameOf({ headers: { host = 'localhost' } }: IncomingMessage): string {
  return (URL.parse(`http://${host}`)?.hostname ?? '').replace(/^\[|\]$/g, '');
}

function pathUser(url: string): string {
  return url.split('?', 1)[0].split('/')[2] ?? '';
}

/** A page of another origin may not change anything through a visitor's browser: it cannot send JSON unasked. */
export function changeRefusalOf(request: IncomingMessage): Readonly<{ status: number; reason: string }> | null {
  const { origin, host } = request.headers;
  if (origin !== undefined && URL.parse(origin)?.host !== host) return { status: 403, reason: 'another origin' };
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0].trim().toLowerCase();
  return type === 'application/json' ? null : { status: 415, reason: 'the body is to be application/json' };
}

export class BodyTooLong extends Error {}

/** The body as text. @throws BodyTooLong beyond `requestBodyBytesMax`. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The connection is left open: the refusal goes over it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > brokersConfig.requestBodyBytesMax) throw new BodyTooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
