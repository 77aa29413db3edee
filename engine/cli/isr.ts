/** `vesper isr`: one raw file, its detector's calibrations, one post-ISR image. */
import { readElectronics } from '../image/electronics.ts';
import { detectorOf, loadCamera, type Camera } from '../../schemas/camera.ts';
import { arenaViews, createArena, planArena } from '../image/arena.ts';
import { readCalibrationPlane } from '../image/calibrationPlane.ts';
import { readFits, requireNumber, requireString, type FitsCard } from '../image/fits.ts';
import { writeImageProduct } from '../image/imageProduct.ts';
import { rawPixelCount, readRawExposure, type RawExposure } from '../image/rawExposure.ts';
import { nominalWcs } from '../image/wcs.ts';
import { loadKernels } from '../kernels/kernels.ts';
import type { IsrOptions } from '../setup/arguments.mjs';
import { isrConfig } from '../stages/isr/config.ts';
import { removeInstrumentSignature, type IsrCalibrations, type IsrExposure } from '../stages/isr/isr.ts';
import {
  figuresOf, formatFigures, namedCards, onFile, provenanceCards, requireOtherFile, Steps,
} from './imageCommand.ts';
import { CALIBRATION_KINDS, findCalibrations } from './isrCalibrations.ts';
import { print, printJson, table } from './output.ts';

export async function runIsr(rawPath: string, options: IsrOptions): Promise<number> {
  const steps = new Steps();
  const { camera, detector } = steps.run('find', () => cameraOf(rawPath, options.camera));
  // No template takes part: the smallest stands for it.
  const plan = planArena(detector.width, detector.height, 1, 1, rawPixelCount(detector));
  const memory = createArena(plan), planes = arenaViews(memory, plan);
  loadKernels(memory, plan.planes.kernelWork.offset);
  const raw = steps.run('read', () => readRawExposure(rawPath, detector, planes.raw));
  const paths = steps.run('findCalibrations', () => findCalibrations(options.calibrations, {
    instrument: raw.instrument, band: raw.band, detector,
  }));
  const inputs = [
    { kind: 'raw', path: rawPath },
    ...CALIBRATION_KINDS.flatMap((kind) => (paths[kind] === null ? [] : [{ kind, path: paths[kind] }])),
  ];
  requireOtherFile('out', options.out, inputs.map(({ path }) => path));
  const { width, height } = detector, read = (path: string | null, plane: Float32Array) =>
    (path === null ? null : readCalibrationPlane(path, detector, plane));
  const calibrations = steps.run('readCalibrations', (): IsrCalibrations => ({
    // Planes that the stages after this one would use.
    bias: read(paths.bias, planes.bias), flat: read(paths.flat, planes.flat), dark: read(paths.dark, planes.dark),
    fringe: read(paths.fringe, planes.fringe),
    electronics: paths.electronics === null ? null : readElectronics(paths.electronics, detector),
  }));
  const exposure: IsrExposure = {
    darkSeconds: raw.exposureSeconds, runStep: (step, work) => steps.run(`isr.${step}`, work),
  };
  const { image, report } = onFile(rawPath, () => removeInstrumentSignature(
    raw.amps, detector, calibrations, isrConfig, planes.visit, { indices: planes.labels }, exposure,
  ));
  const { amps, degraded, figures } = report;
  steps.run('write', () => writeImageProduct(options.out, image, {
    unit: 'electron', psf: null,
    wcs: nominalWcs(camera, detector, raw.boresightRaDeg, raw.boresightDecDeg, raw.cameraAngleDeg),
    cards: [
      ['PRODUCT', 'postIsrImage'], ['CAMERA', camera.name], ...rawCards(raw), ...provenanceCards(inputs),
      ['DEGRADED', degraded.join(), 'steps left out, no calibration'],
      ...namedCards('ISR', isrConfig), ...namedCards('QA', figures),
    ],
  }));
  const isr = steps.times.filter(({ step }) => step.startsWith('isr.'));
  if (options.json) {
    printJson({
      raw: rawPath, out: options.out, camera: camera.name, detector: detector.id, detectorName: detector.name,
      exposure: raw.exposure, band: raw.band, width, height, calibrations: paths, degraded, figures: figuresOf(figures),
      amps: amps.map((amp) => ({ ...amp })), steps: steps.times,
      isrMs: Math.round(100 * isr.reduce((sum, { ms }) => sum + ms, 0)) / 100, totalMs: steps.totalMs,
    });
    return 0;
  }
  print(`${options.out}: exposure ${raw.exposure} of ${camera.name} ${detector.name}, ${raw.band}, `
    + `in ${steps.totalMs} ms`);
  if (degraded.length > 0) print(`  degraded: no ${degraded.join(', no ')}`);
  for (const line of formatFigures(figures)) print(line);
  print(table(['amp', 'overscan ADU', 'read noise e-', 'saturated'], amps.map((amp) => [
    amp.name, amp.overscanLevelAdu.toFixed(1), amp.readNoiseElectrons.toFixed(2), String(amp.saturatedCount),
  ])));
  return 0;
}

/** @throws Error of one line when the file is none of a camera that is known. */
function cameraOf(rawPath: string, name: string | null): { camera: Camera; detector: Camera['detectors'][number] } {
  const { header } = readFits(rawPath).hdus[0];
  const camera = loadCamera(name ?? requireString(header, 'INSTRUME', rawPath));
  return { camera, detector: detectorOf(camera, requireNumber(header, 'DETECTOR', rawPath)) };
}

/** What the exposure was, in the words of the raw file. */
function rawCards(raw: RawExposure): FitsCard[] {
  return [
    ['INSTRUME', raw.instrument], ['DAYOBS', raw.dayObs], ['SEQNUM', raw.sequenceNumber], ['OBSID', raw.observationId],
    ['GROUPID', raw.group], ['EXPOSURE', raw.exposure], ['SNAP', raw.snap], ['DETECTOR', raw.detector],
    ['DETNAME', raw.detectorName], ['FILTER', raw.physicalFilter], ['BAND', raw.band],
    ['EXPTIME', raw.exposureSeconds], ['TIMESYS', 'TAI'], ['MJD-BEG', raw.beginMjdTai], ['MJD-MID', raw.midpointMjdTai],
    ['RADESYS', 'ICRS'], ['RA', raw.boresightRaDeg], ['DEC', raw.boresightDecDeg], ['ROTPA', raw.cameraAngleDeg],
  ];
}
