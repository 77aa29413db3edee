/** `vesper isr`: one raw file, its detector's calibrations, one post-ISR image. */
import { detectorOf, loadCamera, type Camera } from '../../schemas/camera.ts';
import { arenaViews, createArena, planArena } from '../image/arena.ts';
import { readFits, requireNumber, requireString, type FitsCard } from '../image/fits.ts';
import { writeImageProduct } from '../image/imageProduct.ts';
import { rawPixelCount, readRawExposure, type RawExposure } from '../image/rawExposure.ts';
import { nominalWcs } from '../image/wcs.ts';
import { loadKernels } from '../kernels/kernels.ts';
import type { IsrOptions } from '../setup/arguments.mjs';
import { isrConfig } from '../stages/isr/config.ts';
import { removeInstrumentSignature } from '../stages/isr/isr.ts';
import {
  figuresOf, formatFigures, namedCards, onFile, provenanceCards, requireOtherFile, Steps,
} from './imageCommand.ts';
import { findCalibrations, readCalibration } from './isrCalibrations.ts';
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
  requireOtherFile('out', options.out, [rawPath, paths.bias, paths.flat]);
  const calibrations = steps.run('readCalibrations', () => ({
    bias: readCalibration(paths.bias, detector, planes.bias), flat: readCalibration(paths.flat, detector, planes.flat),
  }));
  const { image, report } = steps.run('isr', () => onFile(rawPath, () => removeInstrumentSignature(
    raw.amps, detector, calibrations, isrConfig, planes.visit,
    { plane: planes.scratch[0], indices: planes.labels },
  )));
  const { amps, ...figures } = report;
  steps.run('write', () => writeImageProduct(options.out, image, {
    unit: 'electron', psf: null,
    wcs: nominalWcs(camera, detector, raw.boresightRaDeg, raw.boresightDecDeg, raw.cameraAngleDeg),
    cards: [
      ['PRODUCT', 'postIsrImage'], ['CAMERA', camera.name], ...rawCards(raw),
      ...provenanceCards([
        { kind: 'raw', path: rawPath }, { kind: 'bias', path: paths.bias }, { kind: 'flat', path: paths.flat },
      ]),
      ...namedCards('ISR', isrConfig), ...namedCards('QA', figures),
    ],
  }));
  const { exposure, band } = raw;
  if (options.json) {
    printJson({
      raw: rawPath, out: options.out, camera: camera.name, detector: detector.id, detectorName: detector.name, exposure,
      band, calibrations: paths, figures: figuresOf(figures), amps: amps.map((amp) => ({ ...amp })),
      steps: steps.times, totalMs: steps.totalMs,
    });
    return 0;
  }
  print(`${options.out}: exposure ${exposure} of ${camera.name} ${detector.name}, ${band}, in ${steps.totalMs} ms`);
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
