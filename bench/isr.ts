/**
 * How much CPU time does the removal of an instrument's signature take, step by step, on a raw file in the page cache?
 * In process and warm, as a worker of a night is. Beside it, in the same run: bias and flat alone by numpy, and a copy
 * of one plane, which say what the memory gives at the moment. The digest covers image, mask and variance.
 *
 *     node bench/isr.ts --raw FILE --calibrations DIR [--runs N] [--json] [--keep]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { readElectronics } from '../engine/image/electronics.ts';
import { findCalibrations } from '../engine/cli/isrCalibrations.ts';
import { readCalibrationPlane } from '../engine/image/calibrationPlane.ts';
import { arenaViews, createArena, planArena } from '../engine/image/arena.ts';
import { readFits, requireNumber, requireString } from '../engine/image/fits.ts';
import { rawPixelCount, readRawExposure } from '../engine/image/rawExposure.ts';
import { loadKernels } from '../engine/kernels/kernels.ts';
import { isrConfig } from '../engine/stages/isr/config.ts';
import { removeInstrumentSignature, type RunStep } from '../engine/stages/isr/isr.ts';
import { detectorOf, loadCamera } from '../schemas/camera.ts';
import { benchResult, reportResult, spreadOf, type Spread } from './harness.ts';

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
  (path === null ? null : readCalibrationPlane(path, detector, plane));
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
  timed('a plane copied', () => { planes.scratch[0].set(planes.visit.image); });
}
const hash = createHash('sha256');
for (const { buffer, byteOffset, byteLength } of [planes.visit.image, planes.visit.mask, planes.visit.variance]) {
  hash.update(new Uint8Array(buffer, byteOffset, byteLength));
}
reportResult(benchResult({
  bench: 'isr', question: 'CPU milliseconds of reading a raw file and of each step of the ISR, warm, one core',
  size: { width: detector.width, height: detector.height, amps: detector.amps.length },
  figures: { ...Object.fromEntries([...times].map(([step, ms]) => [`${step}, ms`, spreadOf(ms)])), ...numpyFigures() },
  checksum: hash.digest('hex').slice(0, 16),
}), { json: values.json, keep: values.keep });

/** numpy's bias and flat of as many counts: one pass less, no variance, no mask; nothing when it is not installed. */
function numpyFigures(): Record<string, Spread> {
  const python = '/usr/bin/python3', { width, height } = detector;
  if (spawnSync(python, ['-c', 'import numpy']).status !== 0) {
    process.stderr.write('numpy is not installed: no peer\n');
    return {};
  }
  const script = `
import json, time, numpy as np
n = ${width} * ${height}
raw = np.full(n, 2000, 'u2'); bias = np.full(n, 1000.5, 'f4'); flat = np.full(n, 1.01, 'f4'); out = np.empty(n, 'f4')
runs = []
for _ in range(${WARM_UPS + Number(values.runs)}):
    start = time.process_time()
    np.subtract(raw, bias, out=out); np.divide(out, flat, out=out)
    runs.append(1000 * (time.process_time() - start))
print(json.dumps(runs[${WARM_UPS}:]))`;
  // As printed.
  const runs = JSON.parse(execFileSync(python, ['-c', script], { encoding: 'utf8' })) as number[];
  return { 'numpy: bias and flat, ms': spreadOf(runs) };
}
