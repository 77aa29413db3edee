/** A private nats-server with a log opened on it, and a folder, for one test file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { closeLog, openLog, type Log } from '../../engine/stream/log.ts';
import { startTestNats, type TestNats } from './nats.ts';

export type ServedLog = Readonly<{
  nats: TestNats; log: Log;
  /** For what the engine writes beside the log. */
  dataDir: string;
}>;

/** Served from before the file's first test to after its last one; reading it outside of these throws. */
export function serveLog(): ServedLog {
  let started: Pick<ServedLog, 'nats' | 'log'> | null = null;
  const dataDir = mkdtempSync(join(tmpdir(), 'vesper-log-'));
  beforeAll(async () => {
    const nats = await startTestNats();
    started = { nats, log: await openLog(nats.url, 'test', () => undefined) };
  });
  afterAll(async () => {
    if (started !== null) {
      await closeLog(started.log);
      await started.nats.stop();
    }
    rmSync(dataDir, { recursive: true, force: true });
  });
  const running = () => {
    if (started === null) throw new Error('the log is served while tests run');
    return started;
  };
  return { dataDir, get nats() { return running().nats; }, get log() { return running().log; } };
}
