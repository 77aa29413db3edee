/**
 * READ FIRST. The pipeline of one detector as an ordered table of stages: camera, ISR, calibrate, difference, detect,
 * measure, forced, cutouts. What comes after (associate, commit, packets, distribute, archive) is ordered by the log:
 * see `stream/`.
 *
 * Each step takes what the steps before it have made, from a `DetectorRun`, and adds its own product. Stages are pure
 * and never import each other: what one needs of another is handed over here.
 */
import type { Camera, Detector } from '../schemas/camera.ts';
import type { Observation } from '../schemas/commit.ts';
import type { Visit } from '../schemas/ids.ts';
import type { Figures, StageName } from '../schemas/events.ts';
import { encodeNeighbours } from '../schemas/neighbours.ts';
import type { Band } from '../schemas/units.ts';
import type { ArenaViews } from './image/arena.ts';
import type { ReadPlane } from './image/calibrationPlane.ts';
import type { Electronics } from './image/electronics.ts';
import { planCutouts } from './image/cutout.ts';
import { fluxNoisePlanes } from './image/fluxNoise.ts';
import type { PostIsrImage, Template } from './image/maskedImage.ts';
import type { RawAmp } from './image/rawExposure.ts';
import type { ObjectCatalogue } from './image/objectCatalogue.ts';
import type { ReferenceStar } from './image/references.ts';
import { nominalWcs, skyToPixel, type Wcs } from './image/wcs.ts';
import { calibrate, type Calibrated } from './stages/calibrate/calibrate.ts';
import { calibrateConfig } from './stages/calibrate/config.ts';
import { detectDefaults } from './stages/detect/config.ts';
import { detectSources, type DetectionResult } from './stages/detect/detect.ts';
import { differenceDefaults } from './stages/difference/config.ts';
import { differenceImages, type DifferenceResult } from './stages/difference/difference.ts';
import { forcedDefaults } from './stages/forced/config.ts';
import { forcedFluxes, forcedPhotometry, type ForcedFluxes } from './stages/forced/forced.ts';
import { measureSkySources, type SkySources } from './stages/forced/skySources.ts';
import {
  injectSources, recoverSources, type FakeOrder, type InjectedSource, type RecoveredSource,
} from './stages/inject/inject.ts';
import { isrConfig } from './stages/isr/config.ts';
import { removeInstrumentSignature, type IsrFigures } from './stages/isr/isr.ts';
import { measureDefaults } from './stages/measure/config.ts';
import { measureSources, type MeasureResult } from './stages/measure/measure.ts';
import { reliabilityConfig } from './stages/reliability/config.ts';
import { rateSources } from './stages/reliability/reliability.ts';
import { selectCutoutSide } from './stages/packet/cutoutSide.ts';
import { nearestNeighbours } from './stages/packet/nearest.ts';
import { encodeCutouts } from './stages/packet/spool.ts';

/** What a detector comes with. Pixels are in the planes of its arena. */
export type DetectorInputs = Readonly<{
  visit: Visit; detector: Detector; camera: Camera; band: Band; exposureSeconds: number; midpointMjdTai: number;
  boresight: Readonly<{ raDeg: number; decDeg: number; cameraAngleDeg: number }>;
  /** What was pointed at, and why, as the raw file tells; alerts carry it. */
  observation?: Observation;
  rawAmps: readonly RawAmp[]; bias: ReadPlane; flat: ReadPlane;
  /** Null where the detector has none. */
  dark: ReadPlane | null; fringe: ReadPlane | null; electronics: Electronics | null;
  references: readonly ReferenceStar[];
  /** Stars and galaxies about the detector; null where no catalogue has it. */
  objects: ObjectCatalogue | null;
  template: Template; templateWcs: Wcs;
  known: readonly Readonly<{ diaObjectId: bigint; raDeg: number; decDeg: number }>[];
  /** Synthetic sources of the second pass. */
  fakes?: FakeOrder;
}>;

/** What the steps make, one after another. */
export type DetectorRun = {
  readonly inputs: DetectorInputs;
  /** Planes of the detector's arena: work memory, and the pixels of the products. */
  readonly planes: ArenaViews;
  postIsr?: PostIsrImage;
  /** What the ISR did, with its parameters. */
  isrFigures?: IsrFigures;
  calibrated?: Calibrated;
  difference?: DifferenceResult;
  detections?: DetectionResult;
  measured?: MeasureResult;
  forced?: readonly ForcedFluxes[];
  skySources?: SkySources;
  cutouts?: Uint8Array | null;
  injected?: readonly InjectedSource[];
  recovered?: readonly RecoveredSource[];
};

export type PipelineStep = Readonly<{ stage: StageName; name: string; run(run: DetectorRun): Figures }>;

export const DETECTOR_PIPELINE: readonly PipelineStep[] = [
  { stage: 'isr', name: 'InstrumentSignatureRemoved', run: isr },
  { stage: 'calibrate', name: 'VisitImageCalibrated', run: calibrateVisit },
  { stage: 'difference', name: 'ImageDifferenced', run: difference },
  { stage: 'detect', name: 'DiaSourcesDetected', run: detect },
  { stage: 'measure', name: 'DiaSourcesMeasured', run: measure },
  { stage: 'measure', name: 'reliability', run: rate },
  { stage: 'forced', name: 'forced', run: forced },
  { stage: 'packet', name: 'cutouts', run: cutouts },
];

const [ISR, CALIBRATE, DIFFERENCE, DETECT, MEASURE, RATE] = DETECTOR_PIPELINE;

/**
 * The second pass over a visit whose alerts have left: the same steps with synthetic sources in the visit image, which
 * are looked for among what is measured. Nothing of it is committed, packed or alerted.
 */
export const FAKES_PIPELINE: readonly PipelineStep[] = [
  ISR, CALIBRATE, { stage: 'calibrate', name: 'fakesInjected', run: inject },
  DIFFERENCE, DETECT, MEASURE, RATE, { stage: 'measure', name: 'fakesRecovered', run: recover },
];

function inject(run: DetectorRun): Figures {
  const { visitImage, psf, photometry } = made(run.calibrated);
  run.injected = injectSources(visitImage, psf, photometry.nJyPerElectron, made(run.inputs.fakes));
  return { injected: run.injected.length };
}

function recover(run: DetectorRun): Figures {
  const { difference: image, differencePsf } = made(run.difference), { noiseScale } = made(run.detections);
  run.recovered = recoverSources(made(run.injected), image, differencePsf, noiseScale, made(run.measured).rows);
  return { recovered: run.recovered.filter(({ found }) => found !== null).length };
}

function isr(run: DetectorRun): Figures {
  const { rawAmps, detector, bias, flat, dark, fringe, electronics, exposureSeconds } = run.inputs;
  const { visit, labels } = run.planes;
  const { image, report } = removeInstrumentSignature(
    rawAmps, detector, { bias, flat, dark, fringe, electronics }, isrConfig, visit, { indices: labels },
    { darkSeconds: exposureSeconds },
  );
  run.postIsr = image;
  run.isrFigures = report.figures;
  return report.figures;
}

function calibrateVisit(run: DetectorRun): Figures {
  const { camera, detector, boresight, references, exposureSeconds } = run.inputs;
  const { scratch } = run.planes;
  const nominal = nominalWcs(camera, detector, boresight.raDeg, boresight.decDeg, boresight.cameraAngleDeg);
  run.calibrated = calibrate(made(run.postIsr), nominal, references, exposureSeconds, calibrateConfig, {
    smooth: scratch[0], work: scratch[1],
  });
  return run.calibrated.figures;
}

function difference(run: DetectorRun): Figures {
  const { template, templateWcs } = run.inputs;
  const { visitImage, psf, wcs } = made(run.calibrated);
  const { warpedTemplate, convolved, scratch, unusable } = run.planes;
  run.difference = differenceImages(
    { visitImage, visitPsf: psf, visitWcs: wcs, template, templateWcs },
    { warpedTemplate, convolved, scratch: scratch[0], unusable }, differenceDefaults,
  );
  return run.difference.figures;
}

function detect(run: DetectorRun): Figures {
  const { difference: image, differencePsf, freePlane } = made(run.difference);
  run.detections = detectSources(image, differencePsf, freePlane, detectDefaults);
  const { detected, scoreScatter, noiseScale, streaks } = run.detections;
  return { detected, scoreScatter, noiseScale, streaks: streaks.length };
}

function measure(run: DetectorRun): Figures {
  const { visit, detector, band, midpointMjdTai } = run.inputs;
  const { visitImage, psf: visitPsf, wcs: visitWcs } = made(run.calibrated);
  const products = made(run.difference), { detections, noiseScale } = made(run.detections);
  run.measured = measureSources({
    visit, detector: detector.id, band, midpointMjdTai, visitImage, visitPsf, visitWcs, noiseScale,
    difference: products.difference, differencePsf: products.differencePsf, matchedTemplate: products.matchedTemplate,
    matchedTemplatePsf: products.matchedTemplatePsf, templateNoiseFactor: products.templateNoiseFactor,
    fluxNoise: products.fluxNoise,
  }, detections, (planes, psf, places) => forcedFluxes(planes, psf, places, forcedDefaults), measureDefaults);
  return { measured: run.measured.rows.length };
}

function rate(run: DetectorRun): Figures {
  const { visitImage, psf: visitPsf } = made(run.calibrated), measured = made(run.measured);
  const { difference: image, differencePsf, matchedTemplate } = made(run.difference);
  const { noiseScale } = made(run.detections);
  const rows = rateSources(
    { difference: image, differencePsf, visitImage, visitPsf, matchedTemplate, noiseScale }, measured.rows,
  );
  run.measured = { ...measured, rows };
  return { reliable: rows.filter(isReliable).length };
}

function isReliable({ reliability }: Readonly<{ reliability: number | null }>): boolean {
  return reliability !== null && reliability >= reliabilityConfig.reliableMin;
}

function forced(run: DetectorRun): Figures {
  const { visitImage, psf, wcs } = made(run.calibrated);
  const { difference: image, differencePsf, matchedTemplate, fluxNoise } = made(run.difference);
  const { noiseScale } = made(run.detections);
  const positions = run.inputs.known.map(({ raDeg, decDeg }) => skyToPixel(wcs, raDeg, decDeg));
  const noise = fluxNoisePlanes(visitImage, matchedTemplate, fluxNoise);
  run.forced = forcedPhotometry(image, differencePsf, visitImage, psf, positions, noiseScale, forcedDefaults, noise);
  const { visit, detector } = run.inputs;
  run.skySources = measureSkySources(image, differencePsf, noiseScale, visit + detector.id, forcedDefaults);
  return { forced: positions.length, skySources: run.skySources.count };
}

function cutouts(run: DetectorRun): Figures {
  const { rows } = made(run.measured);
  if (rows.length === 0) { run.cutouts = null; return { cutoutBytes: 0 }; }
  const { visitImage, psf, wcs } = made(run.calibrated), products = made(run.difference);
  const { objects } = run.inputs;
  const images = [
    { planes: products.difference, psf: products.differencePsf }, { planes: visitImage, psf },
    { planes: products.matchedTemplate, psf: products.matchedTemplatePsf },
  ];
  const stamps = new Map(rows.map((row) => {
    const box = { x: row.x, y: row.y, side: selectCutoutSide(row.bboxSize), wcs };
    const [ofDifference, science, template] = planCutouts(images, box);
    const neighbours = objects && encodeNeighbours(nearestNeighbours(objects, row.ra, row.dec));
    return [row.diaSourceId, { difference: ofDifference, science, template, neighbours }] as const;
  }));
  run.cutouts = encodeCutouts(stamps);
  return { cutoutBytes: run.cutouts.length };
}

/** The product of an earlier step. */
function made<T>(product: T | undefined): T {
  if (product === undefined) throw new Error('a step of the pipeline ran before the one whose product it needs');
  return product;
}
