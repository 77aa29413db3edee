/** One frame of a recording: rendered, encoded and written beside its truth. Runs in a worker. */
import { join } from 'node:path';
import type { Camera, Detector } from '../schemas/camera.ts';
import type { DayObs } from '../schemas/ids.ts';
import { calibrationFrame, type CalibrationLight } from './calibrationFrames.ts';
import { detectorConfig } from './config.ts';
import { renderExposure, type RenderedExposure } from './exposure.ts';
import { writeWhole } from './files.ts';
import type { Card } from './fitsWriter.ts';
import { effectNames, type SimulationModel } from './model.ts';
import { encodeRaw, type ObservationType } from './rawFile.ts';
import { transferInefficiency } from './readoutEffects.ts';
import { recordPaths } from './recordPaths.ts';
import type { DrawnSource } from './scene.ts';
import type { PlannedVisit } from './schedule.ts';
import type { TruthRow } from './truth.ts';

export type FrameTask = Readonly<{
  dayObs: DayObs; plan: PlannedVisit; observationType: ObservationType;
  /** Light of a calibration frame; null for one of the sky. */
  light: CalibrationLight | null;
}>;

export type RecordedFrame = Readonly<{
  /** Path relative to the recording. */
  path: string; bytes: number; checksum: string; truth: readonly TruthRow[];
  sources: number; saturatedPixels: number; cpuMs: number;
}>;

export function recordFrame(
  outDir: string, seed: number, camera: Camera, detector: Detector, model: SimulationModel, task: FrameTask,
): RecordedFrame {
  const begun = process.threadCpuUsage();
  const { dayObs, plan, observationType, light } = task, paths = recordPaths(camera.name, dayObs);
  const rendered = light ? null : renderExposure(seed, camera, detector, plan, model);
  const calibration = light ? calibrationFrame(seed, camera, detector, light, plan.exposure, model) : null;
  const amps = rendered?.amps ?? calibration?.amps;
  if (!amps) throw new Error('a frame is of the sky or of a calibration');
  const bytes = encodeRaw(camera.name, dayObs, detector, plan, amps, {
    camera, compression: model.compression, observationType, cards: rendered ? conditionCards(rendered) : [],
  });
  const path = paths.raw(plan.exposure, detector.id), file = writeWhole(join(outDir, path), bytes);
  const about = describeFrame(seed, camera, detector, model, task, rendered, calibration?.electrons ?? null);
  writeWhole(join(outDir, paths.artifacts(plan.exposure, detector.id)), `${JSON.stringify(about, null, 1)}\n`);
  if (rendered && rendered.sources.length > 0) {
    writeWhole(join(outDir, paths.sources(plan.exposure, detector.id)), encodeSources(rendered.sources));
  }
  const { user, system } = process.threadCpuUsage(begun);
  return {
    path, ...file, truth: rendered?.truth ?? [], sources: rendered?.sources.length ?? 0,
    saturatedPixels: rendered?.saturatedPixels ?? 0, cpuMs: (user + system) / 1000,
  };
}

/** What a telescope knows of its own exposure: not what truth alone knows. */
function conditionCards({ conditions }: RenderedExposure): Card[] {
  if (!('airmass' in conditions)) return [];
  return [
    ['AIRMASS', rounded(conditions.airmass), 'at the middle of the exposure'],
    ['ALT', rounded(conditions.altitudeDeg), '[deg] altitude'],
    ['MOONALT', rounded(conditions.moonAltitudeDeg), '[deg] altitude of the Moon'],
    ['SUNALT', rounded(conditions.sunAltitudeDeg), '[deg] altitude of the Sun'],
  ];
}

const rounded = (value: number): number => Math.round(value * 1e5) / 1e5;

/** Truth of everything but the sources: what was switched on, with which strength, and where. */
function describeFrame(
  seed: number, camera: Camera, detector: Detector, model: SimulationModel, { plan, observationType, light }: FrameTask,
  rendered: RenderedExposure | null, calibrationElectrons: number | null,
): unknown {
  const { effects } = model, { artifacts, conditions } = rendered ?? { artifacts: null, conditions: null };
  return {
    visit: plan.visit, exposure: plan.exposure, snap: plan.snap ?? 0, detector: detector.id, name: detector.name,
    observationType,
    band: plan.band, exposureSeconds: plan.exposureSeconds, midpointMjdTai: plan.midpointMjdTai,
    sky: model.sky, effects: effectNames(effects), light, meanElectrons: calibrationElectrons,
    pointing: rendered ? { commanded: plan.commanded, actual: plan.actual } : null, conditions,
    saturatedPixels: rendered?.saturatedPixels ?? null,
    strengths: {
      darkElectronsPerSecond: effects.darkCurrent ? detectorConfig.darkElectronsPerSecond : 0,
      brighterFatterPerElectron: effects.brighterFatter ? detectorConfig.brighterFatterPerElectron : 0,
      fringeAmplitude: effects.fringing ? detectorConfig.fringeAmplitude[plan.band] : 0,
      prnu: effects.prnu ? detectorConfig.prnu : 0,
    },
    amps: detector.amps.map((amp, index) => {
      const cti = transferInefficiency(seed, detector, index);
      return {
        name: amp.name, gainElectronsPerAdu: amp.gainElectronsPerAdu,
        readNoiseElectrons: effects.readNoise ? amp.readNoiseElectrons : 0,
        serialCti: effects.serialCti ? cti.serial : 0, parallelCti: effects.parallelCti ? cti.parallel : 0,
        linearityPolynomial: effects.nonlinearity ? amp.linearityPolynomial ?? null : null,
        crosstalk: effects.crosstalk ? amp.crosstalk ?? null : null,
      };
    }),
    artifacts, camera: camera.name,
  };
}

/** CSV of what was drawn: fluxes and magnitudes of this moment, above the air. */
function encodeSources(sources: readonly DrawnSource[]): string {
  const lines = sources.map((s) =>
    `${s.id},${s.kind},${s.raDeg.toFixed(8)},${s.decDeg.toFixed(8)},${s.x.toFixed(3)},${s.y.toFixed(3)},`
    + `${s.fluxNJy.toFixed(3)},${s.mag.toFixed(4)}`);
  return `${['sourceId,kind,ra,dec,x,y,fluxNJy,mag', ...lines].join('\n')}\n`;
}
