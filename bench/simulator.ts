/**
 * What does a raw frame cost? One detector of a typical field at high galactic latitude, from the sky to the bytes of
 * its file, on one core: CPU seconds, memory, whether detectors cost in proportion, and whether one thread and two
 * write the same bytes.
 *
 *     node bench/simulator.ts [--camera LSSTCam] [--detectors 94-97] [--pointing 9.45,-44.02] [--effects realistic]
 *       [--runs 5] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadCamera, type Detector } from '../schemas/camera.ts';
import { asDayObs } from '../schemas/ids.ts';
import { parseDetectorList } from '../simulator/detectorList.ts';
import { renderExposure } from '../simulator/exposure.ts';
import { parseEffects, type SimulationModel } from '../simulator/model.ts';
import { encodeRaw } from '../simulator/rawFile.ts';
import { record } from '../simulator/recording.ts';
import { planExposure } from '../simulator/surveySchedule.ts';
import { benchResult, measureCpuMs, reportResult, spreadOf } from './harness.ts';

const { values } = parseArgs({ options: {
  camera: { type: 'string', default: 'LSSTCam' }, detectors: { type: 'string', default: '94-97' },
  pointing: { type: 'string', default: '9.45,-44.02' }, effects: { type: 'string', default: 'realistic' },
  compression: { type: 'string', default: 'none' }, runs: { type: 'string', default: '5' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const camera = loadCamera(values.camera), detectors = parseDetectorList(camera, values.detectors), seed = 1;
if (detectors.length < 2) throw new Error(`--detectors ${values.detectors}: at least two, for the cost of twice as many`);
const [detector] = detectors, dayObs = asDayObs(20261001);
const model: SimulationModel = {
  sky: 'survey', effects: parseEffects(values.effects), compression: values.compression === 'rice' ? 'rice' : 'none',
};
const [raDeg, decDeg] = values.pointing.split(',').map(Number);
const plan = planExposure(
  { dayObs, camera, seed, band: 'r', raDeg, decDeg, cameraAngleDeg: 0, exposureSeconds: 30, startMjdTai: null },
);

const counts = { stars: 0, galaxies: 0, bytes: 0 };
const { cpuMs, answer } = measureCpuMs(Number(values.runs), 2, () => {
  const { amps, sources } = renderExposure(seed, camera, detector, plan, model);
  const bytes = encodeRaw(camera.name, dayObs, detector, plan, amps, { camera, compression: model.compression });
  counts.galaxies = sources.reduce((sum, { kind }) => sum + (kind === 'galaxy' ? 1 : 0), 0);
  counts.stars = sources.length - counts.galaxies;
  counts.bytes = bytes.length;
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
});
// What the process has needed so far; a worker is one of its threads and needs less.
const memoryGigabytes = process.resourceUsage().maxRSS / 1e6;

const half = await recorded(detectors.slice(0, detectors.length / 2), 1), all = await recorded(detectors, 1);
const onTwo = await recorded(detectors, 2);
if (all.digest !== onTwo.digest) throw new Error('one thread and two wrote different bytes');
reportResult(benchResult({
  bench: 'simulator',
  question: `CPU seconds from the sky to the raw file of one detector of ${camera.name}, effects ${values.effects}`,
  size: {
    width: detector.width, height: detector.height, amps: detector.amps.length, detectors: detectors.length, ...counts,
  },
  figures: {
    cpuSeconds: spreadOf(cpuMs.map((ms) => ms / 1000)),
    memoryGigabytesMax: spreadOf([memoryGigabytes]),
    // 1 is linear: twice the detectors in one worker, their truth written too, cost twice as much.
    costOfTwiceTheDetectors: spreadOf([all.cpuSecondsEach / half.cpuSecondsEach]),
    recordedCpuSecondsEach: spreadOf([all.cpuSecondsEach]),
    recordedCpuSecondsEachOnTwo: spreadOf([onTwo.cpuSecondsEach]),
  },
  checksum: answer,
}), { json: values.json, keep: values.keep });

/** A recording of one exposure in a folder of its own: CPU of its workers a detector, and what it wrote. */
async function recorded(
  some: readonly Detector[], threads: number,
): Promise<Readonly<{ cpuSecondsEach: number; digest: string }>> {
  const outDir = mkdtempSync(join(tmpdir(), 'vesper-bench-simulator-'));
  try {
    const { manifest, frames, cpuSeconds } = await record({
      outDir, camera, detectors: some, seed, dayObs, model, threads, faults: null, hasReferences: false,
      hasProducts: false, request: { command: 'bench' },
    }, [{ plan, observationType: 'science', light: null }]);
    const digest = createHash('sha256').update(JSON.stringify(manifest.files)).digest('hex');
    return { cpuSecondsEach: cpuSeconds / frames, digest };
  } finally {
    rmSync(outDir, { recursive: true });
  }
}
