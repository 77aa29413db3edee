/**
 * How much CPU time does the removal of an instrument's signature take, step by step, on a raw file in the page cache? In
 * process and warm, as a worker of a night is. The digest covers image, mask and variance.
 *
 *     node bench/isr.ts --raw FILE --calibrations DIR [--runs N] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { readElectronics } from '../engine/batch/calibrations/electronics.ts';
import { findCalibrations, readCalibration } from '../engine/cli/isrCalibrations.ts';
import { arenaViews, createArena, planArena } from '../engine/image/arena.ts';
import { readFits, requireNumber, requireString } from '../engine/image/fits.ts';
import { rawPixelCount, readRawExposure } from '../engine/image/rawExposure.ts';
import { loadKernels } from '../engine/kernels/kernels.ts';
import { isrConfig } from '../engine/stages/isr/config.ts';
import { removeInstrumentSignature, type RunStep } from '../engine/stages/isr/isr.ts';
import { detectorOf, loadCamera } from '../schemas/camera.ts';
import { benchResult, reportResult, spreadOf } from './harness.ts';

const { values } = parseArgs({ options: {
  raw: { type: 'string' }, calibrations: { type: 'string' }, runs: { type: 'string', default: '7' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const { raw: rawPath, calibrations: directory } = values;
if (rawPath === undefined || directory === undefined) throw new Error('--raw FILE and --calibrations DIR are required');
const { header } = readFits(rawPath).hdus[0], camera = loadCamera(requireString(header, 'INSTRUME', rawPath));
const detector = detectorOf(camera, requireNumber(header, 'DETECTOR', rawPath));
const plan = planArena(detector.width, detector.height, 1, 1, rawPixelCount(detector)), memory = createArena(plan);
const planes = arenaViews(memory, plan);
loadKernels(memory, plan.planes.kernelWork.offset);
const paths = findCalibrations(directory, {
  instrument: camera.name, band: readRawExposure(rawPath, detector, planes.raw).band, detector,
});
const read = (path: string | null, plane: Float32Array) =>
  (path === null ? null : readCalibration(path, detector, plane));
const calibrations = {
  bias: read(paths.bias, planes.bias), flat: read(paths.flat, planes.flat), dark: read(paths.dark, planes.dark),
  fringe: read(paths.fringe, planes.fringe),
  electronics: paths.electronics === null ? null : readElectronics(paths.electronics, detector),
};

const times = new Map<string, number[]>();
const timed: RunStep = (step, work) => {
  const before = process.cpuUsage(), result = work(), { user, system } = process.cpuUsage(before);
  times.set(step, [...times.get(step) ?? [], (user + system) / 1000]);
  return result;
};
/** Runs until the compilers have nothing left to improve. */
const WARM_UPS = 3;
for (let run = 0; run < WARM_UPS + Number(values.runs); run++) {
  if (run === WARM_UPS) times.clear();
  const raw = timed('read', () => readRawExposure(rawPath, detector, planes.raw));
  timed('isr in all', () => removeInstrumentSignature(
    raw.amps, detector, calibrations, isrConfig, planes.visit, { indices: planes.labels },
    { darkSeconds: raw.exposureSeconds, runStep: timed },
  ));
}
const hash = createHash('sha256');
for (const { buffer, byteOffset, byteLength } of [planes.visit.image, planes.visit.mask, planes.visit.variance]) {
  hash.update(new Uint8Array(buffer, byteOffset, byteLength));
}
reportResult(benchResult({
  bench: 'isr', question: 'CPU milliseconds of reading a raw file and of each step of the ISR, warm, one core',
  size: { width: detector.width, height: detector.height, amps: detector.amps.length },
  figures: Object.fromEntries([...times].map(([step, ms]) => [`${step}, ms`, spreadOf(ms)])),
  checksum: hash.digest('hex').slice(0, 16),
}), { json: values.json, keep: values.keep });
