/** `vesper access grant|revoke|list`: users of the page's server and of the streams. */
import { existsSync, writeFileSync } from 'node:fs';
import { nkeys } from '@nats-io/nats-core';
import { accessPath, grantAccess, listAccess, revokeAccess } from '../../brokers/access.ts';
import type { AccessGrantOptions } from '../setup/arguments.mjs';
import { note, print, printJson, table } from './output.ts';

type Where = Readonly<{ dataDir: string; json: boolean }>;

export async function runAccessGrant(user: string, options: AccessGrantOptions): Promise<number> {
  if (!existsSync(options.dataDir)) throw new Error(`there is no data directory ${options.dataDir}`);
  const natsPublicKey = options.natsSeed === null ? null : writeSeed(options.natsSeed);
  const rights = { user, isOperator: options.operator, hasPixels: options.pixels, natsPublicKey };
  const token = grantAccess(options.dataDir, rights);
  if (options.json) printJson({ token, ...rights });
  else print(token);
  if (natsPublicKey !== null) note(`the log takes ${user}'s key within a second; its seed is ${options.natsSeed}`);
  return 0;
}

/** Makes a key and writes its secret half, for its owner's eyes alone. Returns the public half. */
function writeSeed(path: string): string {
  const pair = nkeys.createUser();
  writeFileSync(path, `${new TextDecoder().decode(pair.getSeed())}\n`, { mode: 0o600, flag: 'wx' });
  return pair.getPublicKey();
}

export async function runAccessRevoke(user: string, { dataDir, json }: Where): Promise<number> {
  if (!revokeAccess(dataDir, user)) {
    note(`vesper: ${accessPath(dataDir)} has no user ${user}`);
    return 2;
  }
  if (json) printJson({ user, revoked: true }); else print(`${user} has no token any more`);
  return 0;
}

export async function runAccessList({ dataDir, json }: Where): Promise<number> {
  const users = listAccess(dataDir).map(({ tokenSha256: _secret, ...rights }) => rights);
  if (json) printJson({ users });
  else if (users.length === 0) print('no users: whoever reaches this machine\'s loopback address is trusted');
  else {
    print(table(['user', 'operator', 'pixels', 'NATS'], users.map((each) => [
      each.user, ...[each.isOperator, each.hasPixels, each.natsPublicKey !== null].map((has) => (has ? 'yes' : 'no')),
    ])));
  }
  return 0;
}
