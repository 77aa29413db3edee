/** Tunables of the training of reliability. */
import type { BoostingConfig } from './boosting.ts';

export const trainingConfig = {
  /** Raised with every training whose model is committed. */
  modelVersion: 4,
  boosting: {
    // Chosen on held-out pairs: deeper or more trees no longer raise the completeness at a purity of 95 %.
    treeCount: 400, depth: 5, rate: 0.06, leafWeightMin: 4, ridge: 2, gainMin: 0.5, rowShare: 0.7, featureShare: 0.6,
    binCount: 64,
  } satisfies BoostingConfig,
  /** Detections below this SNR weigh more: there the two kinds overlap, and the alerts are many. */
  faintSnr: 8, faintWeight: 3,
  /** Every so-manieth scene is not learned from: the scale is calibrated on it, and the card's first half is of it. */
  heldOutEvery: 5,
  /**
   * Share of real among detections for which reliability is a probability: that of a sound night's detections, of
   * which three in four are real. A classifier that meets more artefacts says so by more low values, not by other odds.
   */
  priorReal: 0.75,
  /** Range of SNR that stands for 6, and thresholds that the card lists. */
  snrSixMin: 5.5, snrSixMax: 6.5,
  thresholds: [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98],
  purityWanted: 0.95,
} as const;
