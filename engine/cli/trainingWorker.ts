/** A worker of the training's pool: one scene from the simulator to labelled features. */
import { PairRefused } from '../batch/difference/inputs.ts';
import { labelRows, type TrueChange } from '../batch/reliability/samples.ts';
import type { TrainingResult } from '../batch/reliability/trainingPair.ts';
import { StageError } from '../errors.ts';
import { psfFwhmPx } from '../image/psf.ts';
import { FEATURES, measureFeatures } from '../stages/reliability/features.ts';
import { drawScene, runScene } from './trainingScenes.ts';
import { runTrainingVisits } from './trainingVisits.ts';

export type TrainingTask = Readonly<{ kind: 'pair' | 'unseenPair' | 'visits'; seed: number; index: number }>;

export type LabelledScene = Readonly<{
  /** [detections × FEATURES.length] row-major. */
  features: readonly number[]; isReal: readonly boolean[];
  /** Codes of subtractions that failed: there is nothing to learn from. */
  refused: readonly string[];
}>;

type Collected = { features: number[]; isReal: boolean[]; refused: string[] };

export default function runTask({ kind, seed, index }: TrainingTask): LabelledScene {
  const scene: Collected = { features: [], isReal: [], refused: [] };
  try {
    if (kind === 'visits') runTrainingVisits(seed, index, (result) => collect(scene, result));
    else collect(scene, runScene(drawScene(seed, index, kind === 'unseenPair')));
  } catch (error) {
    if (!(error instanceof StageError || error instanceof PairRefused)) throw error;
    scene.refused.push(error.code);
  }
  return scene;
}

function collect(
  scene: Collected, { rows, inputs, changes }: TrainingResult & { changes: readonly TrueChange[] },
): void {
  const { width, height } = inputs.difference, features = measureFeatures(inputs, rows), count = FEATURES.length;
  labelRows(rows, changes, psfFwhmPx(inputs.differencePsf, width / 2, height / 2)).forEach((label, i) => {
    if (label === 'unclear') return;
    // Eight digits: a last bit that another order of a sum moves is no difference to learn from.
    for (let k = i * count; k < (i + 1) * count; k++) scene.features.push(Number(features[k].toPrecision(8)));
    scene.isReal.push(label === 'real');
  });
}
