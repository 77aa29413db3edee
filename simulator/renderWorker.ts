/** Worker of the simulator's pool: renders one detector's exposure or product and writes it. */
import { join } from 'node:path';
import { workerData } from 'piscina';
import { detectorOf } from '../schemas/camera.ts';
import { productPaths } from '../schemas/products.ts';
import { encodeCalibration, encodeReferences, makeBias, makeDark, makeFlat, makeFringe } from './calibrations.ts';
import { renderExposure } from './exposure.ts';
import { encodeRaw } from './rawFile.ts';
import { makeElectronics } from './electronics.ts';
import { checksumOfFile, stage, writeWhole } from './files.ts';
import { DEMONSTRATION } from './model.ts';
import { encodeObjects } from './objectCatalogue.ts';
import { recordFrame } from './recordTasks.ts';
import type { RenderResults, RenderTask, RenderWorkerData } from './renderTasks.ts';
import { encodeTemplate, makeTemplate } from './template.ts';

// Set by `createRenderer` alone.
const { dataDir, instrument, camera, seed, model = DEMONSTRATION } = workerData as RenderWorkerData;

export default function run(task: RenderTask): RenderResults[keyof RenderResults] {
  switch (task.task) {
    case 'exposure': return renderRaw(task);
    case 'biasAndFlat': return renderBiasAndFlat(task);
    case 'dark': {
      const detector = detectorOf(camera, task.detector), dark = makeDark(seed, detector, model);
      return { checksum: writeWhole(join(dataDir, task.path), encodeCalibration('dark', detector, dark)).checksum };
    }
    case 'electronics': {
      const bytes = makeElectronics(seed, detectorOf(camera, task.detector), model);
      return { checksum: writeWhole(join(dataDir, task.path), bytes).checksum };
    }
    case 'fringe': {
      const detector = detectorOf(camera, task.detector), fringe = makeFringe(seed, detector, task.band);
      return { checksum: writeWhole(join(dataDir, task.path), encodeCalibration('fringe', detector, fringe)).checksum };
    }
    case 'template': {
      const template = makeTemplate(
        seed, camera, detectorOf(camera, task.detector), task.field, task.band, model.sky,
      );
      return { checksum: writeWhole(join(dataDir, task.path), encodeTemplate(template, task.band)).checksum };
    }
    case 'references': {
      const bytes = encodeReferences(seed, camera, task.field, model.sky);
      return { checksum: writeWhole(join(dataDir, task.path), bytes).checksum };
    }
    case 'objects': {
      const bytes = encodeObjects(seed, camera, detectorOf(camera, task.detector), task.field, model.sky);
      return { checksum: writeWhole(join(dataDir, task.path), bytes).checksum };
    }
    case 'checksum': return { checksum: checksumOfFile(join(dataDir, task.path)) };
    case 'frame': return recordFrame(dataDir, seed, camera, detectorOf(camera, task.detector), model, task.frame);
  }
}

function renderRaw({ dayObs, detector, plan }: Extract<RenderTask, { task: 'exposure' }>): RenderResults['exposure'] {
  const begunMs = performance.now();
  const described = detectorOf(camera, detector);
  const { amps, truth } = renderExposure(seed, camera, described, plan, model);
  const bytes = encodeRaw(instrument, dayObs, described, plan, amps, { camera, compression: model.compression });
  const file = stage(join(dataDir, productPaths.raw(instrument, dayObs, plan.exposure, detector)), bytes);
  return { file, truth, renderMs: performance.now() - begunMs };
}

function renderBiasAndFlat(task: Extract<RenderTask, { task: 'biasAndFlat' }>): RenderResults['biasAndFlat'] {
  const { detector, biasPath, flatPath } = task;
  const described = detectorOf(camera, detector);
  const bias = makeBias(seed, described, model);
  const flat = makeFlat(seed, camera, described, bias, model);
  return {
    biasChecksum: writeWhole(join(dataDir, biasPath), encodeCalibration('bias', described, bias)).checksum,
    flatChecksum: writeWhole(join(dataDir, flatPath), encodeCalibration('flat', described, flat)).checksum,
  };
}
