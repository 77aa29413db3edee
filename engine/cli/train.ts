/** `vesper train reliability`: makes the model that tells transients from artefacts, and the card of how good it is. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Piscina } from 'piscina';
import { randomStream, uniform } from '../../simulator/random.ts';
import { trainingConfig } from '../batch/reliability/config.ts';
import { trainReliability, type SampleSet, type TrainingOutcome } from '../batch/reliability/train.ts';
import { WEAKNESSES } from '../batch/reliability/trainingPair.ts';
import type { TrainOptions } from '../setup/arguments.mjs';
import { FEATURES } from '../stages/reliability/features.ts';
import { note, print, printJson } from './output.ts';
import { SIDE } from './trainingScenes.ts';
import { VISITS_OF_A_SKY } from './trainingVisits.ts';
import type { LabelledScene, TrainingTask } from './trainingWorker.ts';

export async function runTrainReliability(options: TrainOptions): Promise<number> {
  const { seed, pairs, skies, unseen, out } = options, startMs = performance.now();
  const pool = new Piscina<TrainingTask, LabelledScene>({
    filename: new URL('./trainingWorker.ts', import.meta.url).href, maxThreads: availableParallelism(),
    concurrentTasksPerWorker: 1,
  });
  const run = async (kind: TrainingTask['kind'], count: number): Promise<LabelledScene[]> => {
    const scenes = await Promise.all(Array.from({ length: count }, (_, index) => pool.run({ kind, seed, index })));
    note(`${count} × ${kind}: ${describeScenes(scenes)}`);
    return scenes;
  };
  let samples: Samples, held: Samples;
  try {
    // In the order of their numbers, whichever thread ends first.
    samples = samplesOf([...await run('pair', pairs), ...await run('visits', skies)]);
    held = samplesOf(await run('unseenPair', unseen));
  } finally {
    await pool.destroy();
  }
  const random = randomStream(seed, 'boosting');
  const outcome = trainReliability(
    samples.set, held.set, trainingConfig.modelVersion, SIDE * SIDE, () => uniform(random),
  );
  const bytes = JSON.stringify(outcome.model), digest = createHash('sha256').update(bytes).digest('hex');
  const card = cardOf(outcome, options, digest, { samples: samples.refused, unseen: held.refused });
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'model.json'), bytes);
  writeFileSync(join(out, 'modelCard.json'), `${JSON.stringify(card, null, 1)}\n`);
  note(`${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  if (options.json) printJson(card); else print(describe(outcome, out));
  return 0;
}

/** Labelled detections, and how often each failure of a subtraction was met. */
type Samples = Readonly<{ set: SampleSet; refused: Readonly<Record<string, number>> }>;

function samplesOf(labelled: readonly LabelledScene[]): Samples {
  const features: Float64Array[] = [], isReal: boolean[] = [], scenes: number[] = [], count = FEATURES.length;
  const refused: Record<string, number> = {};
  labelled.forEach((scene, number) => {
    scene.isReal.forEach((label, i) => {
      features.push(Float64Array.from(scene.features.slice(i * count, (i + 1) * count)));
      isReal.push(label);
      scenes.push(number);
    });
    for (const code of scene.refused) refused[code] = (refused[code] ?? 0) + 1;
  });
  return { set: { features, isReal, scenes }, refused };
}

function describeScenes(scenes: readonly LabelledScene[]): string {
  const labels = scenes.flatMap(({ isReal }) => isReal), real = labels.filter(Boolean).length;
  return `${real} real, ${labels.length - real} bogus`;
}

function cardOf(
  { model, ...outcome }: TrainingOutcome, { seed, pairs, skies, unseen }: TrainOptions, digest: string,
  refused: Readonly<Record<string, Readonly<Record<string, number>>>>,
) {
  return {
    model: { version: model.version, sha256: digest, trees: model.trees.length, features: model.features },
    command: `vesper train reliability --seed ${seed} --pairs ${pairs} --skies ${skies} --unseen ${unseen}`,
    data: {
      pairs: 'science and template of 1024 x 1024 px rendered by simulator/pairs.ts, settings drawn by '
        + 'engine/cli/trainingScenes.ts, subtracted by the stages of vesper difference; in 7 of 10, precautions are '
        + `left out at random (${WEAKNESSES.join(', ')}), so that artefacts of every kind are many`,
      visits: `${VISITS_OF_A_SKY} visits of each sky of the simulated survey through the pipeline of the night`,
      labels: 'real: within half a full width of an injected change of the same sign; bogus: beyond two full widths '
        + 'of all changes; between: left out',
      refused,
    },
    method: trainingConfig.boosting,
    threshold: 0.5,
    ...outcome,
  };
}

function describe({ model, trainedOn, heldOut, unseen, noiseBound }: TrainingOutcome, out: string): string {
  const line = (name: string, { real, bogus, curve, snrSix }: TrainingOutcome['unseen']): string => {
    const half = curve.find(({ threshold }) => threshold === 0.5);
    const { completeness, threshold } = snrSix.atPurity;
    return `${name}: ${real} real, ${bogus} bogus; at 0.5 ${percent(half?.completeness)} of the real kept, `
      + `${percent(1 - (half?.bogusKept ?? 1))} of the bogus rejected; at SNR 6 and ten bogus to a real, `
      + `${percent(completeness)} complete at a purity of 95 % (threshold ${threshold.toFixed(3)})`;
  };
  return [
    `${model.trees.length} trees from ${trainedOn.real} real and ${trainedOn.bogus} bogus detections of `
      + `${trainedOn.scenes} scenes`,
    line('held out', heldOut), line('unseen settings', unseen),
    `of these bogus at SNR 6, ${percent(noiseBound.shareOfBogus)} are pure noise: no classifier is more than `
      + `${percent(noiseBound.completeness)} complete (if all were noise: ${percent(noiseBound.completenessOfNoiseAlone)})`,
    `wrote ${join(out, 'model.json')} and modelCard.json`,
  ].join('\n');
}

function percent(share: number | undefined): string {
  return share === undefined ? '–' : `${(100 * share).toFixed(1)} %`;
}
