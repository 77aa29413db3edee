/** Nights as users run them: from nothing to decoded alerts, killed and resumed, verified and replayed. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { NightSummary } from '../engine/cli/nightSummary.ts';
import type { NightAudit } from '../engine/cli/countNight.ts';
import type { ReplayResult } from '../engine/stream/replayNight.ts';
import { readLiveRun } from '../engine/setup/services.mjs';
import { closeLog, openLog } from '../engine/stream/log.ts';
import { decodeAlert } from '../schemas/packet.ts';
import { subjects } from '../schemas/subjects.ts';
import { newDataDir, runVesper, startVesper, untilPrinted } from './support/vesper.ts';

const dataDirs: string[] = [];
afterAll(() => { for (const dataDir of dataDirs) rmSync(dataDir, { recursive: true, force: true }); });

function dataDirectory(): string {
  const dataDir = newDataDir();
  dataDirs.push(dataDir);
  return dataDir;
}

const json = <T>(stdout: string): T => JSON.parse(stdout) as T; // The command's own document.

async function assertSound(dataDir: string): Promise<NightAudit> {
  const verified = await runVesper(['verify', '--json', '--data-dir', dataDir]);
  const audit = json<NightAudit>(verified.stdout);
  expect(audit.violations).toEqual([]);
  expect(verified.code).toBe(0);
  const replayed = await runVesper(['replay', 'last', '--json', '--data-dir', dataDir]);
  expect(json<ReplayResult>(replayed.stdout)).toMatchObject({
    rowsEqual: true, packetsEqual: true, firstDifference: null, packets: audit.counts.packed,
  });
  expect(replayed.code).toBe(0);
  return audit;
}

/** Events that no camera should send: the night goes on without them. */
async function publishMalformed(dataDir: string): Promise<void> {
  const run = readLiveRun(dataDir);
  if (!run) throw new Error('the night has no record of its run');
  const log = await openLog(run.natsUrl, 'test', () => undefined);
  const [garbage, tooFew] = ['NextVisitAnnounced', 'DetectorRead'].map((event) => subjects.observatory('minicam', event));
  await log.js.publish(garbage, 'not an event');
  const data = { type: 'DetectorRead', instrument: 'minicam', dayObs: 20261001, group: 'g', visit: 2026100100001 };
  await log.js.publish(tooFew, JSON.stringify({ specversion: '1.0', id: 'x', data }));
  await closeLog(log);
}

test('a night ends with every count closed, changes found, few false alerts, and replays to equal bytes', async () => {
  const dataDir = dataDirectory();
  const running = startVesper(['night', '--visits', '2', '--cadence', '10', '--json', '--data-dir', dataDir]);
  await untilPrinted(running, /dashboard: http/);
  await publishMalformed(dataDir);
  const { code, stdout, stderr } = await running.outcome;
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/malformed event: not JSON/);
  expect(stderr).toMatch(/malformed event: DetectorRead lacks exposure/);
  const night = json<NightSummary>(stdout);
  expect(night.totals).toMatchObject({ visits: 2, detectors: 18, failed: 0, committed: 18 });
  expect(night.countsClose).toBe(true);
  // At least 10 detectable changes a visit; of N found with probability 0.95 each, fewer than 0.8 N are a 1-in-10⁴
  // event at N = 20.
  expect(night.truth.detectable).toBeGreaterThanOrEqual(20);
  expect(night.truth.found).toBeGreaterThanOrEqual(0.8 * night.truth.detectable);
  expect(night.truth.falseAlerts).toBeLessThanOrEqual(night.totals.detectors);
  // How far precovery comes is a matter of spare time; what it has written replays and counts like everything else.
  expect(night.precovery.newDiaObjects).toBeGreaterThan(0);
  expect(night.precovery.precovered).toBeLessThanOrEqual(night.precovery.newDiaObjects);
  const audit = await assertSound(dataDir);
  expect(audit.counts.delivered['full']).toBe(night.totals.alertsPublished);
  // Every visit has something for the ranked filters that ship, and its selection was recorded before the seal.
  expect(audit.counts.ranked).toMatchObject({ selections: 2, waiting: 0 });
  expect(audit.counts.ranked.delivered).toBe(audit.counts.ranked.selected);

  const out = join(dataDir, 'exported');
  await runVesper(['alerts', 'export', '--out', out, '--limit', '5', '--data-dir', dataDir]);
  const files = readdirSync(out);
  expect(files).toHaveLength(5);
  const alert = decodeAlert(readFileSync(join(out, files[0])));
  expect(`${alert.diaSourceId}.avro-framed`).toBe(files[0]);
  expect(alert.cutoutDifference?.length).toBeGreaterThan(2880);
  const raw = await runVesper(['alerts', 'get', String(alert.diaSourceId), '--json', '--data-dir', dataDir]);
  expect(json<{ diaSourceId: string }>(raw.stdout).diaSourceId).toBe(String(alert.diaSourceId));
  await assertBodies(dataDir);
}, 300_000);

type Place = Readonly<{ visit: bigint; ra: number; dec: number }>;

function isSame(a: Place, b: Place): boolean {
  const cosDec = Math.cos((a.dec * Math.PI) / 180);
  return a.visit === b.visit && 3600 * Math.hypot((a.ra - b.ra) * cosDec, a.dec - b.dec) < 1;
}

/** Alerts of minor planets, and no others, have an ssSource and an orbit; by day they are summed up. */
async function assertBodies(dataDir: string): Promise<void> {
  const out = join(dataDir, 'all'), truthDir = join(dataDir, 'truth', 'minicam', '20261001');
  await runVesper(['alerts', 'export', '--out', out, '--data-dir', dataDir]);
  const alerts = readdirSync(out).map((name) => decodeAlert(readFileSync(join(out, name))));
  const planets = readdirSync(truthDir).flatMap((name) => readFileSync(join(truthDir, name), 'utf8').split('\n'))
    .map((line) => line.split(',')).filter((cells) => cells[3] === 'mainBelt')
    .map(([visit, , , , ra, dec]): Place => ({ visit: BigInt(visit), ra: Number(ra), dec: Number(dec) }));
  const ofBodies = alerts.filter(({ ssSource }) => ssSource !== null);
  const found = planets.filter((planet) => alerts.some(({ diaSource }) => isSame(diaSource, planet)));
  expect(found.length).toBeGreaterThan(3);
  // An alert within 1″ of a body may be of a change beside it: 0.15 % of the pairs at the demonstration's density.
  expect(ofBodies.length).toBe(found.length);
  for (const { diaSource, ssSource, mpc_orbits: orbit, diaObject, prvDiaSources } of ofBodies) {
    expect(planets.some((planet) => isSame(diaSource, planet))).toBe(true);
    expect([diaSource.ssObjectId, orbit?.designation, diaObject, prvDiaSources])
      .toEqual([ssSource?.ssObjectId, ssSource?.designation, null, null]);
    expect(ssSource?.ephOffset).toBeLessThan(1);
  }
  const updated = await runVesper(['bodies', 'update', '--json', '--data-dir', dataDir]);
  expect(json<{ observations: number }>(updated.stdout).observations).toBe(ofBodies.length);
}

test('a night that is killed in the middle goes on when started again: nothing lost, nothing doubled', async () => {
  const dataDir = dataDirectory();
  const args = ['night', '--visits', '3', '--cadence', '8', '--seed', '3', '--json', '--data-dir', dataDir];
  const first = startVesper(args);
  await untilPrinted(first, /visit \d+1 r: 9 detectors read/);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  first.child.kill('SIGKILL');
  await first.outcome;
  // Other arguments do not matter: the night goes on with those it was begun with.
  const second = await runVesper(['night', '--visits', '50', '--json', '--data-dir', dataDir]);
  expect(second.code, second.stderr).toBe(0);
  expect(json<NightSummary>(second.stdout).totals).toMatchObject({ visits: 3, detectors: 27 });
  await assertSound(dataDir);
}, 300_000);
