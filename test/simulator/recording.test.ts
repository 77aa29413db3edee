import { createHash } from 'node:crypto';
import {
  existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { encodeEvent, envelope, type ObservatoryEvent } from '../../schemas/events.ts';
import { parseObservatoryEvent } from '../../schemas/eventValidation.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { planCalibrations } from '../../simulator/calibrationFrames.ts';
import { parseFaults } from '../../simulator/faults.ts';
import { EFFECT_SETS, parseEffects } from '../../simulator/model.ts';
import { readManifest, record, type FrameOrder, type RecordingOptions } from '../../simulator/recording.ts';
import type { TimedEvent } from '../../simulator/recordEvents.ts';
import { planEngineering, planExposure, planSurveyNight } from '../../simulator/surveySchedule.ts';
import { readFitsFile } from './readFits.ts';
import { tinyCamera } from './tinyCamera.ts';

// Each recording starts threads of its own, slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const camera = tinyCamera(2), dayObs = asDayObs(20261001), folders: string[] = [];
afterAll(() => { for (const folder of folders) rmSync(folder, { recursive: true }); });

function newFolder(): string {
  folders.push(mkdtempSync(join(tmpdir(), 'vesper-recording-')));
  return folders[folders.length - 1];
}

const plans = planSurveyNight({ dayObs, camera, seed: 5, visitCount: 3, snaps: 1, bands: ['r', 'i'] });
const science = (some = plans): FrameOrder[] => some.map((plan) => ({ plan, observationType: 'science', light: null }));

function options(change: Partial<RecordingOptions> = {}): RecordingOptions {
  return {
    outDir: newFolder(), camera, detectors: camera.detectors, seed: 5, dayObs,
    model: { sky: 'survey', effects: EFFECT_SETS.realistic, compression: 'none' },
    threads: 2, request: { command: 'test' }, faults: parseFaults('late=0'), hasReferences: true,
    hasProducts: false, ...change,
  };
}

/** Path and digest of every file below a folder. */
function contentOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => statSync(join(folder, name)).isFile(),
  ).sort()
    .map((name) => `${name} ${createHash('sha256').update(readFileSync(join(folder, name))).digest('hex')}`);
}

const eventsOf = (folder: string): TimedEvent[] =>
  readFileSync(join(folder, 'events.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as TimedEvent);
const observatoryOf = (folder: string): ObservatoryEvent[] =>
  eventsOf(folder).map(({ event }) => event)
    .filter(({ type }) => type !== 'ControlCommanded' && type !== 'TelemetrySampled');

test('a recording is the same, byte by byte, on one thread and on two, and is not rendered again', async () => {
  const one = options({ threads: 1 }), two = options({ threads: 2 });
  const first = await record(one, science());
  await record(two, science());
  expect(contentOf(two.outDir)).toEqual(contentOf(one.outDir));
  const before = contentOf(one.outDir), again = await record(one, science());
  expect([first.wasThere, again.wasThere, again.frames]).toEqual([false, true, first.frames]);
  expect(contentOf(one.outDir)).toEqual(before);
  await expect(record({ ...one, seed: 6 }, science())).rejects.toThrow(/holds another recording; give an empty --out$/);
});

test('frames, truth, references and events are there, each file as the manifest says', async () => {
  const wanted = options({ hasReferences: true });
  await record(wanted, science());
  const manifest = readManifest(wanted.outDir);
  expect(manifest?.files.length).toBe(6);
  for (const { path, bytes, checksum } of manifest?.files ?? []) {
    const content = readFileSync(join(wanted.outDir, path));
    expect([content.length, createHash('sha256').update(content).digest('hex')]).toEqual([bytes, checksum]);
  }
  for (const { exposure } of plans) {
    for (const name of [`truth/tinycam/20261001/${exposure}.csv`, `truth/tinycam/20261001/${exposure}_000_sources.csv`,
      `truth/tinycam/20261001/${exposure}_001.json`, `references/tinycam/20261001/${exposure}.csv`]) {
      expect(existsSync(join(wanted.outDir, name))).toBe(true);
    }
  }
  const about = JSON.parse(
    readFileSync(join(wanted.outDir, `truth/tinycam/20261001/${plans[0].exposure}_000.json`), 'utf8'),
  ) as { effects: string[] };
  expect(about.effects).toEqual(Object.entries(EFFECT_SETS.realistic).filter(([, isOn]) => isOn).map(([name]) => name));
});

test('every event of the log is valid, has its own id, and is announced 20 s ahead or more', async () => {
  const wanted = options();
  await record(wanted, science());
  const told = eventsOf(wanted.outDir);
  expect(new Set(told.map(({ id }) => id)).size).toBe(told.length);
  expect(told.every(({ mjdTai }, i) => i === 0 || mjdTai >= told[i - 1].mjdTai)).toBe(true);
  expect(told.map(({ event }) => event.type)).toEqual(expect.arrayContaining(['ControlCommanded', 'TelemetrySampled']));
  for (const { id, event } of told) {
    expect(parseObservatoryEvent(encodeEvent(envelope(id, event, 0))).data).toEqual(event);
  }
  for (const plan of plans) {
    const announced = told.find(({ event }) => event.type === 'NextVisitAnnounced' && event.groupId === plan.group);
    expect((plan.startMjdTai - (announced?.mjdTai ?? Infinity)) * 86_400).toBeGreaterThanOrEqual(20);
  }
  expect(observatoryOf(wanted.outDir).filter(({ type }) => type === 'DetectorRead').length).toBe(6);
});

type Reads = Readonly<{ folder: string; events: Extract<ObservatoryEvent, { type: 'DetectorRead' }>[] }>;

async function readsWith(faults: string): Promise<Reads> {
  const wanted = options({ faults: parseFaults(faults), threads: 1, hasReferences: false });
  await record(wanted, science(plans.slice(0, 1)));
  return {
    folder: wanted.outDir, events: observatoryOf(wanted.outDir).filter((event) => event.type === 'DetectorRead'),
  };
}

test.each([
  ['neverRead', 0], ['late', 2], ['twice', 4],
] as const)('with the fault %s two detectors are read %d times', async (fault, times) => {
  const { events } = await readsWith(`${fault}=1`);
  expect(events.length).toBe(times);
  // 12 s after the readout, which ends 2 s after the shutter.
  const readMjd = plans[0].startMjdTai + 32 / 86_400, laterMs = mjdMs(readMjd) + 12_000;
  for (const { readoutEndedMs } of fault === 'late' ? events : []) {
    expect(Math.abs(readoutEndedMs - laterMs)).toBeLessThan(2);
  }
});

/** Unix milliseconds of a TAI date since 2017. */
const mjdMs = (mjdTai: number): number => ((mjdTai - 40_587) * 86_400 - 37) * 1000;

test('a truncated file comes first and is half of the good one that follows', async () => {
  const { folder, events } = await readsWith('truncated=1');
  expect(events.length).toBe(4);
  const [broken, , good] = events;
  expect(statSync(join(folder, broken.uri)).size).toBe(broken.bytes);
  expect(broken.bytes).toBe(Math.floor(good.bytes / 2));
});

test('a visit that is cancelled is not exposed; one that is repointed is withdrawn and announced anew', async () => {
  const types = async (faults: string): Promise<string[]> => {
    const wanted = options({ faults: parseFaults(faults), threads: 1, hasReferences: false });
    await record(wanted, science(plans.slice(0, 1)));
    return observatoryOf(wanted.outDir).map(({ type }) => type);
  };
  expect(await types('visitCanceled=1')).toEqual(
    ['NightOpened', 'NextVisitAnnounced', 'NextVisitCanceled', 'NightClosed'],
  );
  expect((await types('visitRepointed=1')).slice(0, 5)).toEqual(
    ['NightOpened', 'NextVisitAnnounced', 'NextVisitCanceled', 'NextVisitAnnounced', 'ExposureStarted']);
  expect(() => parseFaults('lateness=1')).toThrow(/^unknown fault "lateness"; there are visitCanceled/);
  expect(() => parseFaults('late=1.5')).toThrow('fault rate late = 1.5 is not in 0 … 1');
  expect(() => parseFaults('late')).toThrow('fault rate late = NaN is not in 0 … 1');
});

test('a place that cannot be written ends in one line, and neither a part nor a manifest is left', async () => {
  const outDir = newFolder();
  mkdirSync(join(outDir, 'raw'));
  writeFileSync(join(outDir, 'raw', 'tinycam'), 'a file where a folder has to be');
  await expect(record(options({ outDir }), science())).rejects.toThrow(
    /^cannot write .*: a part of its path is not a directory$/,
  );
  expect(contentOf(outDir).filter((line) => /staged|recording\.json|events/.test(line))).toEqual([]);
});

test('a calibration sequence has its biases, darks and flat pairs, with the light that was asked for', async () => {
  const orders = planCalibrations(
    {
      dayObs, camera, band: 'r', biases: 2, darks: 1, darkSeconds: 30, flatLevels: [4000, 20_000],
      firstSequenceNumber: 90_001,
    },
  );
  expect(orders.map(({ observationType }) => observationType)).toEqual(
    ['bias', 'bias', 'dark', 'flat', 'flat', 'flat', 'flat'],
  );
  const wanted = options(
    {
      faults: null,
      model: { sky: 'survey', effects: parseEffects('shotNoise,readNoise,biasStructure'), compression: 'none' },
    },
  );
  const { manifest } = await record(wanted, orders);
  const level = (index: number): number => {
    const [primary, amp] = readFitsFile(join(wanted.outDir, manifest.files[index].path));
    const described = camera.detectors[0].amps[0];
    expect(primary.cards.get('OBSTYPE')).toBe(orders[Math.floor(index / 2)].observationType);
    let sum = 0, count = 0;
    for (let y = 0; y < 48; y++) {
      for (let x = 3; x < 51; x++, count++) sum += amp.pixels[y * amp.width + x] - described.biasLevelAdu;
    }
    return (sum / count) * described.gainElectronsPerAdu;
  };
  // 2,304 pixels: shot and read noise to √((Q + 36)/2304); the bias pattern rises by some 5 ADU at the register.
  expect(Math.abs(level(6) - 4000)).toBeLessThan(5 * Math.sqrt(4036 / 2304) + 10);
  expect(Math.abs(level(10) - 20_000)).toBeLessThan(5 * Math.sqrt(20_036 / 2304) + 10);
  expect(existsSync(join(wanted.outDir, 'events.jsonl'))).toBe(false);
});

test('engineering exposures come before the first visit under numbers of their own', () => {
  const engineering = planEngineering(plans, 2);
  expect(engineering.map(({ sequenceNumber }) => sequenceNumber)).toEqual([80_001, 80_002]);
  for (const plan of engineering) {
    expect(plan.startMjdTai + plan.exposureSeconds / 86_400).toBeLessThan(plans[0].startMjdTai);
  }
});

test('one exposure without a time is taken when its place stands highest in the dark', () => {
  const wanted = {
    dayObs, camera, seed: 1, band: 'r', raDeg: 9.45, decDeg: -44.02, cameraAngleDeg: 30, exposureSeconds: 20,
    startMjdTai: null,
  } as const;
  const plan = planExposure(wanted);
  expect(plan.commanded).toEqual({ raDeg: 9.45, decDeg: -44.02, cameraAngleDeg: 30 });
  expect(Math.abs(plan.actual.cameraAngleDeg - 30)).toBeLessThan(0.01);
  expect(Math.abs(plan.midpointMjdTai - plan.startMjdTai - 10 / 86_400)).toBeLessThan(1e-9);
  expect(() => planExposure({ ...wanted, startMjdTai: 50_000 })).toThrow(/outside the ephemeris/);
});
