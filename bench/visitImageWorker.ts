/** A worker of `bench/visitImages.ts`: one raw file to a visit image, in an arena of its own. */
import { readElectronics } from '../engine/image/electronics.ts';
import { findCalibrations } from '../engine/cli/isrCalibrations.ts';
import { readCalibrationPlane } from '../engine/image/calibrationPlane.ts';
import { arenaViews, createArena, planArena } from '../engine/image/arena.ts';
import { readFits, requireNumber, requireString } from '../engine/image/fits.ts';
import { rawPixelCount, readRawExposure } from '../engine/image/rawExposure.ts';
import { readReferences } from '../engine/image/references.ts';
import { nominalWcs } from '../engine/image/wcs.ts';
import { loadKernels } from '../engine/kernels/kernels.ts';
import { calibrate } from '../engine/stages/calibrate/calibrate.ts';
import { calibrateConfig } from '../engine/stages/calibrate/config.ts';
import { isrConfig } from '../engine/stages/isr/config.ts';
import { removeInstrumentSignature } from '../engine/stages/isr/isr.ts';
import { detectorOf, loadCamera } from '../schemas/camera.ts';

export type VisitImageTask = Readonly<{ raw: string; calibrations: string; references: string }>;
/** CPU time of the thread, and a figure of the result, which must not depend on how many work. */
export type VisitImageTime = Readonly<{ cpuMs: number; zeroPoint: number }>;

type Prepared = Readonly<{ work: () => number }>;
const prepared = new Map<string, Prepared>();

export default function run(task: VisitImageTask): VisitImageTime {
  let known = prepared.get(task.raw);
  if (known === undefined) prepared.set(task.raw, known = prepare(task));
  const before = process.threadCpuUsage(), zeroPoint = known.work(), { user, system } = process.threadCpuUsage(before);
  return { cpuMs: (user + system) / 1000, zeroPoint };
}

/** What a night has before the shutter closes: planes, calibrations, reference stars. */
function prepare({ raw: path, calibrations, references: referencesPath }: VisitImageTask): Prepared {
  const { header } = readFits(path).hdus[0], camera = loadCamera(requireString(header, 'INSTRUME', path));
  const detector = detectorOf(camera, requireNumber(header, 'DETECTOR', path));
  const plan = planArena(detector.width, detector.height, 1, 1, rawPixelCount(detector)), memory = createArena(plan);
  const planes = arenaViews(memory, plan);
  loadKernels(memory, plan.planes.kernelWork.offset);
  const { band } = readRawExposure(path, detector, planes.raw);
  const paths = findCalibrations(calibrations, { instrument: camera.name, band, detector });
  const read = (from: string | null, plane: Float32Array) => from === null ? null : readCalibrationPlane(from, detector, plane);
  const known = {
    bias: read(paths.bias, planes.bias), flat: read(paths.flat, planes.flat), dark: read(paths.dark, planes.dark),
    fringe: read(paths.fringe, planes.fringe),
    electronics: paths.electronics === null ? null : readElectronics(paths.electronics, detector),
  };
  const references = readReferences(referencesPath, band);
  return { work: () => {
    const raw = readRawExposure(path, detector, planes.raw);
    const { image } = removeInstrumentSignature(
      raw.amps, detector, known, isrConfig, planes.visit, { indices: planes.labels },
      { darkSeconds: raw.exposureSeconds },
    );
    const nominal = nominalWcs(camera, detector, raw.boresightRaDeg, raw.boresightDecDeg, raw.cameraAngleDeg);
    const { photometry } = calibrate(image, nominal, references, raw.exposureSeconds, calibrateConfig, {
      smooth: planes.scratch[0], work: planes.scratch[1],
    });
    return photometry.nJyPerElectron;
  } };
}
