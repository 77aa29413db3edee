/** Tunables of the injection of synthetic sources. */
export const injectConfig = {
  /** Distance to the image's edge and between two of them, pixels: their PSFs do not meet. */
  marginPx: 25, separationPx: 25,
  /** Part of them that lies on a source of the visit, as supernovae do; within so many pixels of one of its pixels. */
  hostedShare: 0.5, hostScatterPx: 3,
  /** Part of them that fades in place of brightening: a difference finds both. */
  negativeShare: 0.3,
  /** From far below the threshold, where none is found, to where all are. */
  snrMin: 2, snrMax: 60,
  /** Draws of a place before one is given up: a full detector has no room left. */
  triesMax: 200,
  /** A diaSource this near is the injected one, pixels: four errors of a centroid at SNR 5 and a seeing of 4.5 px. */
  matchRadiusPx: 2,
} as const;
