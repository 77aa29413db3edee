/** Who may ask for what over HTTP: tokens of users, kept as digests in one file of the data directory. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { subjectToken } from '../schemas/subjects.ts';
import { readPolicy } from './policy.ts';

/** A user's rights. */
export type AccessEntry = Readonly<{
  user: string;
  /** SHA-256 of the token, hex: the token itself is told once and kept nowhere. */
  tokenSha256: string;
  /** May change everyone's filters. */
  isOperator: boolean;
  /** May see pixels before their embargo ends. */
  hasPixels: boolean;
  /** Public key (an nkey) with which the user comes to NATS; null for HTTP alone. The server never has the seed. */
  natsPublicKey: string | null;
}>;

export type Access = Readonly<{
  /** False when there is no file: then whoever reaches the loopback address is trusted. */
  isRequired: boolean;
  /** The user of an `Authorization` header: `Bearer TOKEN`, or `Basic` with the token as password; else null. */
  userOf(authorization: string | undefined): AccessEntry | null;
}>;

export function accessPath(dataDir: string): string {
  return join(dataDir, 'access.json');
}

/** Reads the users as they are now. @throws Error of one line that names the file when it is damaged. */
export function readAccess(dataDir: string): Access {
  const entries = readEntries(dataDir);
  if (entries === null) return { isRequired: false, userOf: () => null };
  return {
    isRequired: true,
    userOf(authorization) {
      const given = credentialsOf(authorization ?? '');
      if (given === null) return null;
      const digest = Buffer.from(digestOf(given.token), 'hex');
      const found = entries.find(({ tokenSha256 }) => timingSafeEqual(Buffer.from(tokenSha256, 'hex'), digest));
      return found === undefined || (given.user !== null && given.user !== found.user) ? null : found;
    },
  };
}

/** All users; empty when there is no file. */
export function listAccess(dataDir: string): readonly AccessEntry[] {
  return readEntries(dataDir) ?? [];
}

/** The owner of the filters that ship: the operators' own stream. */
const SHIPPED_USER = 'vesper';

/**
 * Who may have pixels before their embargo ends: everybody while there are no users; then those with the right. Users
 * are read again at most once a second.
 */
export function pixelRights(dataDir: string): (user: string) => boolean {
  let entries: readonly AccessEntry[] | null = null, readAtMs = -Infinity;
  return (user) => {
    if (performance.now() - readAtMs > 1000) {
      entries = readPolicy(dataDir).pixelEmbargoHours === 0 ? null : readEntries(dataDir);
      readAtMs = performance.now();
    }
    return entries === null || user === SHIPPED_USER || entries.some((each) => each.user === user && each.hasPixels);
  };
}

/** Whether some user of the log is to have alerts without cutouts. */
export function needsLiteStream(dataDir: string): boolean {
  return readPolicy(dataDir).pixelEmbargoHours > 0
    && listAccess(dataDir).some(({ natsPublicKey, hasPixels }) => natsPublicKey !== null && !hasPixels);
}

/** Gives a user a new token, in place of an earlier one, and returns it: it cannot be told again. */
export function grantAccess(dataDir: string, rights: Omit<AccessEntry, 'tokenSha256'>): string {
  subjectToken(rights.user);
  const token = randomBytes(32).toString('base64url');
  const others = listAccess(dataDir).filter(({ user }) => user !== rights.user);
  writeEntries(dataDir, [...others, { ...rights, tokenSha256: digestOf(token) }]);
  return token;
}

/** Takes a user's token away; false when there is no such user. */
export function revokeAccess(dataDir: string, user: string): boolean {
  const entries = listAccess(dataDir);
  const others = entries.filter((entry) => entry.user !== user);
  if (others.length < entries.length) writeEntries(dataDir, others);
  return others.length < entries.length;
}

/** Browsers send a password when they were asked for one; programs send a token. */
function credentialsOf(authorization: string): Readonly<{ user: string | null; token: string }> | null {
  const [, scheme, value] = /^(Bearer|Basic) ([A-Za-z0-9_+/=-]{20,400})$/.exec(authorization) ?? [];
  if (scheme === undefined) return null;
  if (scheme === 'Bearer') return { user: null, token: value };
  const [, user, token] = /^([^:]*):(.+)$/s.exec(Buffer.from(value, 'base64').toString('utf8')) ?? [];
  return user === undefined ? null : { user, token };
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function readEntries(dataDir: string): readonly AccessEntry[] | null {
  const path = accessPath(dataDir);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
  try {
    const { users } = JSON.parse(text) as { users: readonly AccessEntry[] }; // Each is looked at below.
    if (users.every(({ user, tokenSha256 }) => subjectToken(user) && /^[0-9a-f]{64}$/.test(tokenSha256))) return users;
  } catch {
    // Told below.
  }
  throw new Error(`${path} is not a list of users with tokens`);
}

function writeEntries(dataDir: string, users: readonly AccessEntry[]): void {
  const path = accessPath(dataDir);
  const sorted = [...users].sort((a, b) => (a.user < b.user ? -1 : 1));
  writeFileSync(`${path}.part`, `${JSON.stringify({ users: sorted }, null, 2)}\n`, { mode: 0o600 });
  chmodSync(`${path}.part`, 0o600); // An earlier part may have been left with other rights.
  renameSync(`${path}.part`, path);
}
