/** A private Postgres for a test file, on a socket of its own. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStores } from '../../engine/setup/services.mjs';
import type { PostgresAddress, Stores } from '../../engine/setup/services.mjs';

export type TestPostgres = Readonly<{
  address: PostgresAddress;
  /** Kill the server as a fault would, and start it again on the same data, at the same address. */
  crashAndRestart(): Promise<void>;
  /** End it and remove its data. */
  stop(): Promise<void>;
}>;

export async function startTestPostgres(): Promise<TestPostgres> {
  const dataDir = mkdtempSync(join(tmpdir(), 'vesper-apdb-'));
  // Postgres's account must be able to enter, or the cluster would be made elsewhere and stay there after the test.
  chmodSync(dataDir, 0o755);
  let stores = await start(dataDir);
  return {
    address: stores.postgres,
    crashAndRestart: async () => {
      const pid = stores.pids.postgres;
      if (pid === undefined) throw new Error('this server was not started here, and so is not killed here');
      process.kill(pid, 'SIGKILL');
      await stores.stop();
      stores = await start(dataDir);
    },
    stop: async () => {
      await stores.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Never a server that the machine's owner has named: tests drop what they find. */
function start(dataDir: string): Promise<Stores> {
  return startStores({ dataDir, need: { nats: false, postgres: true }, env: { PATH: process.env.PATH } });
}
