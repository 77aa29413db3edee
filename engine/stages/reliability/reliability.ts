/** The reliability stage: how likely each diaSource is a change in the sky and not an artefact. */
import type { DiaSource } from '../../../schemas/diaRows.ts';
import { FEATURES, measureFeatures, type FeatureInputs, type Ratable } from './features.ts';
import { createForest, type Forest, type ForestModel } from './forest.ts';
import model from './model.json' with { type: 'json' };

/** The model that ships; `vesper train reliability` makes it, and modelCard.json tells how good it is. */
export const RELIABILITY_MODEL = model as ForestModel; // Written by the trainer from this type.

let shipped: Forest | null = null;

/** @throws Error when the model was trained on other features than these: its thresholds would mean other things. */
function shippedForest(): Forest {
  if (RELIABILITY_MODEL.features.join() !== FEATURES.join()) {
    throw new Error('the reliability model was trained on other features; `vesper train reliability` makes a new one');
  }
  return shipped ??= createForest(RELIABILITY_MODEL);
}

/**
 * Rates every row from the pixels around it.
 *
 * @param inputs Planes of one difference; read only.
 * @returns The rows with their reliability, in their order.
 */
export function rateSources<Row extends Ratable>(
  inputs: FeatureInputs, rows: readonly Row[], forest: Forest = shippedForest(),
): (Row & Pick<DiaSource, 'reliability'>)[] {
  const reliabilities = forest.reliabilitiesOf(measureFeatures(inputs, rows), inputs.difference.image);
  return rows.map((row, i) => ({ ...row, reliability: reliabilities[i] }));
}
