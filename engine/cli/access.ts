/** `vesper access grant|revoke|list`: users of the page's server and of the streams. */
import { existsSync } from 'node:fs';
import { accessPath, grantAccess, listAccess, revokeAccess } from '../../brokers/access.ts';
import type { AccessGrantOptions } from '../setup/arguments.mjs';
import { note, print, printJson, table } from './output.ts';

type Where = Readonly<{ dataDir: string; json: boolean }>;

export async function runAccessGrant(user: string, options: AccessGrantOptions): Promise<number> {
  if (!existsSync(options.dataDir)) throw new Error(`there is no data directory ${options.dataDir}`);
  const token = grantAccess(options.dataDir, { user, isOperator: options.operator, hasPixels: options.pixels });
  if (options.json) printJson({ user, token, isOperator: options.operator, hasPixels: options.pixels });
  else print(token);
  return 0;
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
  const users = listAccess(dataDir).map(({ user, isOperator, hasPixels }) => ({ user, isOperator, hasPixels }));
  if (json) printJson({ users });
  else if (users.length === 0) print('no users: whoever reaches this machine\'s loopback address is trusted');
  else {
    print(table(['user', 'operator', 'pixels'], users.map(({ user, isOperator, hasPixels }) => [
      user, isOperator ? 'yes' : 'no', hasPixels ? 'yes' : 'no',
    ])));
  }
  return 0;
}
