/**
 * What does a raw frame cost? One detector of a typical field at high galactic latitude, from the sky to the bytes of
 * its file, on one core: CPU seconds, memory, and whether detectors cost in proportion.
 *
 *     node bench/simulator.ts [--camera LSSTCam] [--detector 94] [--effects realistic] [--runs 5] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { loadCamera } from '../schemas/camera.ts';
import { asDayObs } from '../schemas/ids.ts';
import { parseDetectorList } from '../simulator/detectorList.ts';
import { renderExposure } from '../simulator/exposure.ts';
import { parseEffects, type SimulationModel } from '../simulator/model.ts';
import { encodeRaw } from '../simulator/rawFile.ts';
import { planExposure } from '../simulator/surveySchedule.ts';
import { benchResult, measureCpuMs, reportResult, spreadOf } from './harness.ts';

const { values } = parseArgs({ options: {
  camera: { type: 'string', default: 'LSSTCam' }, detector: { type: 'string', default: '94' },
  effects: { type: 'string', default: 'realistic' },
  compression: { type: 'string', default: 'none' }, runs: { type: 'string', default: '5' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const camera = loadCamera(values.camera), [detector] = parseDetectorList(camera, values.detector), seed = 1;
const dayObs = asDayObs(20261001);
const model: SimulationModel = {
  sky: 'survey', effects: parseEffects(values.effects), compression: values.compression === 'rice' ? 'rice' : 'none',
};
const plan = planExposure(
  {
    dayObs, camera, seed, band: 'r', raDeg: 9.45, decDeg: -44.02, cameraAngleDeg: 0, exposureSeconds: 30,
    startMjdTai: null,
  },
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
reportResult(benchResult({
  bench: 'simulator',
  question: `CPU seconds from the sky to the raw file of one detector of ${camera.name}, effects ${values.effects}`,
  size: { width: detector.width, height: detector.height, amps: detector.amps.length, ...counts },
  figures: {
    cpuSeconds: spreadOf(cpuMs.map((ms) => ms / 1000)),
    memoryGigabytesMax: spreadOf([process.resourceUsage().maxRSS / 1e6]),
  },
  checksum: answer,
}), { json: values.json, keep: values.keep });
