/** Simulated visits through the pipeline of the night, for the classifier of detections to learn from. */
import { asDayObs } from '../../schemas/ids.ts';
import { loadCamera, type Detector } from '../../schemas/camera.ts';
import { makeBias, makeFlat, makeReferences } from '../../simulator/calibrations.ts';
import { renderExposure } from '../../simulator/exposure.ts';
import { parseEffects, type SimulationModel } from '../../simulator/model.ts';
import { planNight } from '../../simulator/schedule.ts';
import { makeTemplate } from '../../simulator/template.ts';
import type { TrueChange } from '../batch/reliability/samples.ts';
import type { TrainingResult } from '../batch/reliability/trainingPair.ts';
import { arenaViews, createArena, planArena, type ArenaViews } from '../image/arena.ts';
import { asProduct } from '../image/maskedImage.ts';
import { rawPixelCount, type RawAmp } from '../image/rawExposure.ts';
import { parseReferences } from '../image/references.ts';
import { loadKernels } from '../kernels/kernels.ts';
import { DETECTOR_PIPELINE, type DetectorRun } from '../pipeline.ts';

/** Visits of one detector that share sky, calibrations and template: a night of each band. */
export const VISITS_OF_A_SKY = 4;
/** Effects that a simple ISR undoes, and every second time those that it leaves. */
const EFFECTS = ['basic,cosmicRays,hotPixels', 'realistic'] as const;

let views: ArenaViews | null = null;

/**
 * Runs the visits of one detector; each is handed over before the next takes its memory.
 *
 * @param index Chooses sky, detector and effects.
 */
export function runTrainingVisits(
  seed: number, index: number, use: (result: TrainingResult & { changes: readonly TrueChange[] }) => void,
): void {
  const sky = seed * 1000 + 17 + index, camera = loadCamera('minicam');
  const detector = camera.detectors[index % camera.detectors.length];
  const effects = parseEffects(EFFECTS[index % 2]), dayObs = asDayObs(20261001 + (index % 20));
  const model: SimulationModel = { sky: 'demonstration', effects, compression: 'none' };
  const plans = planNight({ dayObs, visitCount: VISITS_OF_A_SKY, seed: sky, camera });
  const bias = makeBias(sky, detector, model), flat = makeFlat(sky, camera, detector, bias, model);
  for (const plan of plans) {
    const made = makeTemplate(sky, camera, detector, plan.field, plan.band), { grid } = made;
    const { amps, truth } = renderExposure(sky, camera, detector, plan, model);
    if (views === null) {
      const arena = planArena(detector.width, detector.height, grid.width, grid.height, rawPixelCount(detector));
      const memory = createArena(arena);
      loadKernels(memory, arena.planes.kernelWork.offset);
      views = arenaViews(memory, arena);
    }
    views.bias.set(bias);
    views.flat.set(flat);
    views.template.image.set(made.image);
    views.template.variance.set(made.variance);
    views.template.mask.set(made.mask);
    const { raDeg, decDeg, cameraAngleDeg } = plan.commanded;
    const run: DetectorRun = {
      planes: views,
      inputs: {
        visit: plan.visit, camera, detector, band: plan.band, exposureSeconds: plan.exposureSeconds,
        midpointMjdTai: plan.midpointMjdTai, boresight: { raDeg, decDeg, cameraAngleDeg },
        rawAmps: rawAmpsOf(detector, amps, views.raw), bias: views.bias, flat: views.flat, dark: null, fringe: null,
        electronics: null,
        references: parseReferences(makeReferences(sky, camera, plan.field), plan.band, 'references'),
        objects: null, template: asProduct('template', views.template),
        templateWcs: { crval: [...grid.crval], crpix: [...grid.crpix], cd: [...grid.cd], sip: null }, known: [],
      },
    };
    for (const step of DETECTOR_PIPELINE) {
      step.run(run);
      if (step.name === 'DiaSourcesMeasured') break; // What comes next needs the model that this is for.
    }
    const changes = truth.map(({ x, y, fluxNJy }) => ({ x, y, flux: fluxNJy, length: 0, angle: 0 }));
    use({ ...resultOf(run), changes });
  }
}

/** The amps' readouts one after another in the arena. */
function rawAmpsOf({ amps }: Detector, readouts: readonly Uint16Array[], plane: Uint16Array): RawAmp[] {
  let offset = 0;
  return amps.map(({ name, rawWidth: width, rawHeight: height }, i) => {
    const pixels = plane.subarray(offset, (offset += width * height));
    pixels.set(readouts[i]);
    return { name, width, height, pixels };
  });
}

function resultOf({ calibrated, difference, detections, measured }: DetectorRun): TrainingResult {
  if (!calibrated || !difference || !detections || !measured) {
    throw new Error('the pipeline ended without its products');
  }
  return {
    rows: measured.rows,
    inputs: {
      difference: difference.difference, differencePsf: difference.differencePsf, visitImage: calibrated.visitImage,
      visitPsf: calibrated.psf, matchedTemplate: difference.matchedTemplate, noiseScale: detections.noiseScale,
    },
  };
}
