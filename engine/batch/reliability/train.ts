/** Trains the model of reliability from labelled detections, and says how good it is. */
import { FEATURES } from '../../stages/reliability/features.ts';
import { createForest, type ForestModel } from '../../stages/reliability/forest.ts';
import { boostTrees } from './boosting.ts';
import { trainingConfig } from './config.ts';
import {
  calibrateScale, completenessAtPurity, countOf, curveOf, inSnrRange, type CurvePoint, type Scored,
} from './curves.ts';

/** Labelled detections of many scenes. */
export type SampleSet = Readonly<{
  /** FEATURES.length numbers a detection. */
  features: readonly Float64Array[]; isReal: readonly boolean[];
  /** Scene that each is from. */
  scenes: readonly number[];
}>;

/** What a set of held-out detections tells about the model. */
export type SetCard = Readonly<{
  real: number; bogus: number;
  /** All detections (SNR ≥ 5). */
  curve: readonly CurvePoint[];
  snrSix: Readonly<{ real: number; bogus: number; atPurity: CurvePoint; curve: readonly CurvePoint[] }>;
}>;

export type TrainingOutcome = Readonly<{
  model: ForestModel;
  trainedOn: Readonly<{ real: number; bogus: number; scenes: number }>;
  /** Scenes of the same ranges of settings that were not learned from, and scenes of settings beyond them. */
  heldOut: SetCard; unseen: SetCard;
}>;

const SNR = FEATURES.indexOf('snr');

/** @param random Uniform in [0, 1). */
export function trainReliability(
  samples: SampleSet, unseen: SampleSet, version: number, random: () => number,
): TrainingOutcome {
  const isHeldOut = (i: number): boolean => samples.scenes[i] % trainingConfig.heldOutEvery === 0;
  const learned = subset(samples, (i) => !isHeldOut(i)), heldOut = subset(samples, isHeldOut);
  const real = learned.isReal.filter(Boolean).length, bogus = learned.isReal.length - real;
  if (real < 100 || bogus < 100) {
    throw new Error(`${real} real and ${bogus} bogus detections are too few to learn from`);
  }
  const count = FEATURES.length, features = new Float64Array(learned.features.length * count);
  learned.features.forEach((row, i) => features.set(row, i * count));
  const { faintSnr, faintWeight } = trainingConfig, trees = boostTrees({
    features, featureCount: count, labels: Uint8Array.from(learned.isReal, Number),
    // Even odds before, whatever the numbers.
    weights: Float64Array.from(learned.isReal, (is, i) => (
      (learned.features[i][SNR] < faintSnr ? faintWeight : 1) * learned.isReal.length / (2 * (is ? real : bogus))
    )),
  }, trainingConfig.boosting, random);
  const plain = { version, features: FEATURES, trees, knots: { sum: [0], reliability: [0] } };
  const { sumOf } = createForest(plain);
  const model = { ...plain, knots: calibrateScale(scored(heldOut, sumOf), trainingConfig.priorReal) };
  const { reliabilityOf } = createForest(model);
  return {
    model, trainedOn: { real, bogus, scenes: new Set(learned.scenes).size },
    heldOut: cardOf(scored(heldOut, reliabilityOf)), unseen: cardOf(scored(unseen, reliabilityOf)),
  };
}

function subset({ features, isReal, scenes }: SampleSet, isMember: (i: number) => boolean): SampleSet {
  const members = features.map((_, i) => i).filter(isMember);
  return {
    features: members.map((i) => features[i]), isReal: members.map((i) => isReal[i]),
    scenes: members.map((i) => scenes[i]),
  };
}

function scored({ features, isReal }: SampleSet, valueOf: (row: Float64Array) => number): Scored {
  return {
    values: Float64Array.from(features, valueOf), labels: Uint8Array.from(isReal, Number),
    snrs: Float64Array.from(features, (row) => row[SNR]),
  };
}

function cardOf(all: Scored): SetCard {
  const { snrSixMin, snrSixMax, thresholds, purityWanted } = trainingConfig;
  const six = inSnrRange(all, snrSixMin, snrSixMax);
  return {
    ...countOf(all), curve: curveOf(all, thresholds),
    snrSix: { ...countOf(six), atPurity: completenessAtPurity(six, purityWanted), curve: curveOf(six, thresholds) },
  };
}
