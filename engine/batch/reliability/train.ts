/** Trains the model of reliability from labelled detections, and says how good it is. */
import { FEATURES } from '../../stages/reliability/features.ts';
import { createForest, type ForestModel, type Tree } from '../../stages/reliability/forest.ts';
import { boostTrees } from './boosting.ts';
import { trainingConfig } from './config.ts';
import {
  calibrateScale, completenessAtPurity, countOf, curveOf, inSnrRange, type CurvePoint, type Scored,
} from './curves.ts';
import { noiseBound, type NoiseBound } from './noiseBound.ts';

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
  /**
   * Scenes of the same ranges of settings, judged by a forest that had not learned from them; and scenes of settings
   * beyond, judged by the model itself.
   */
  heldOut: SetCard; unseen: SetCard;
  /** Of the unseen at SNR 6: what the best of classifiers could do, noise being noise. */
  noiseBound: NoiseBound;
}>;

const SNR = FEATURES.indexOf('snr'), FWHM = FEATURES.indexOf('fwhmPx');

/**
 * @param scenePixels Pixels of each of the unseen scenes.
 * @param random      Uniform in [0, 1).
 */
export function trainReliability(
  samples: SampleSet, unseen: SampleSet, version: number, scenePixels: number, random: () => number,
): TrainingOutcome {
  const isHeldOut = (i: number): boolean => samples.scenes[i] % trainingConfig.heldOutEvery === 0;
  const learned = subset(samples, (i) => !isHeldOut(i)), heldOut = subset(samples, isHeldOut);
  const features = FEATURES, plain = { version, features, knots: { sum: [0], reliability: [0] } };
  const judged = { ...plain, trees: boost(learned, random) };
  // The scale is that of detections which were not learned from; then all are, for the rarest kinds are the hardest.
  const knots = calibrateScale(scored(heldOut, createForest(judged).sumOf), trainingConfig.priorReal);
  const model = { ...plain, knots, trees: boost(samples, random) };
  const { reliabilityOf } = createForest(model);
  return {
    model, trainedOn: { ...countsOf(samples), scenes: new Set(samples.scenes).size },
    heldOut: cardOf(scored(heldOut, createForest({ ...judged, knots }).reliabilityOf)),
    unseen: cardOf(scored(unseen, reliabilityOf)),
    noiseBound: boundOf(unseen, scored(unseen, reliabilityOf), scenePixels),
  };
}

/** @throws Error of one line when there are too few of either kind. */
function boost(samples: SampleSet, random: () => number): Tree[] {
  const { real, bogus } = countsOf(samples);
  if (real < 100 || bogus < 100) {
    throw new Error(`${real} real and ${bogus} bogus detections are too few to learn from`);
  }
  const count = FEATURES.length, features = new Float64Array(samples.features.length * count);
  samples.features.forEach((row, i) => features.set(row, i * count));
  const { faintSnr, faintWeight } = trainingConfig;
  return boostTrees({
    features, featureCount: count, labels: Uint8Array.from(samples.isReal, Number),
    // Even odds before, whatever the numbers.
    weights: Float64Array.from(samples.isReal, (is, i) => (
      (samples.features[i][SNR] < faintSnr ? faintWeight : 1) * samples.isReal.length / (2 * (is ? real : bogus))
    )),
  }, trainingConfig.boosting, random);
}

function countsOf({ isReal }: SampleSet): { real: number; bogus: number } {
  const real = isReal.filter(Boolean).length;
  return { real, bogus: isReal.length - real };
}

function boundOf({ features, scenes }: SampleSet, all: Scored, scenePixels: number): NoiseBound {
  const { snrSixMin, snrSixMax, purityWanted } = trainingConfig, six = inSnrRange(all, snrSixMin, snrSixMax);
  const seeing = new Map(scenes.map((scene, i) => [scene, features[i][FWHM]]));
  return noiseBound(
    six.snrs.filter((_, i) => six.labels[i] === 1), countOf(six).bogus,
    [...seeing.values()].map((fwhmPx) => ({ fwhmPx, pixels: scenePixels })), snrSixMin, snrSixMax, purityWanted,
  );
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
