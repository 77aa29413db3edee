// A checkout small enough to be made for one test: the real engine/setup, an engine/main.ts of the test's own.
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { REPOSITORY } from '../../engine/setup/arguments.mjs';

/** A directory that every account may enter, removed when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'vesper-setup-test-'));
  chmodSync(directory, 0o755); // mkdtemp's 0700 would send Postgres's cluster to /var/tmp.
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A checkout without node_modules. */
export function bareCheckout(): string {
  const directory = temporaryDirectory();
  cpSync(join(REPOSITORY, 'engine', 'setup'), join(directory, 'engine', 'setup'), { recursive: true });
  cpSync(join(REPOSITORY, 'package.json'), join(directory, 'package.json'));
  writeFileSync(join(directory, 'package-lock.json'), JSON.stringify({ packages: { '': {} } }));
  return directory;
}

/** A checkout whose packages (there are none) are installed and whose command proper is `mainSource`. */
export function installedCheckout(mainSource: string): string {
  const directory = bareCheckout();
  mkdirSync(join(directory, 'node_modules'));
  writeFileSync(join(directory, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: {} }));
  writeFileSync(join(directory, 'engine', 'main.ts'), mainSource);
  return directory;
}

/** Stands in for the servers, so that nothing looks for them. */
export const SERVERS_BY_URL = {
  VESPER_NATS_URL: 'nats://127.0.0.1:1',
  VESPER_POSTGRES_URL: 'postgres://127.0.0.1:1',
  VESPER_REDIS_URL: 'redis://127.0.0.1:1',
};
