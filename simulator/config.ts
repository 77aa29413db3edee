/** Every tunable of the simulated observatory: default, unit, reason. */
import type { Band } from '../schemas/units.ts';

export const skyConfig = {
  /** Raised whenever the sky or the detectors change, so that products of an older one are not used with it. */
  version: 1,
  /**
   * HEALPix side of the sky's cells: 1.7′ cells, so that one 3.4′ detector needs about 20 cells of about 160 sources.
   */
  cellNside: 2048,
  /**
   * Stars with magnitude (r) 16.5 … 25 per square degree: 450 on 11.65 square arcminutes, as at high galactic
   * latitude.
   */
  starsPerSquareDegree: 450 / (11.65 / 3600),
  /** dN/dm ∝ 10^(slope m). At 0.2 about 67 stars of 16.5 … 21 fall on a detector, enough for a PSF and a kernel. */
  starSlope: 0.2,
  /** Brighter than this the counts fall as in a uniform space, 10^(0.6 m): about 1.5 saturated stars a detector. */
  starBreakMag: 16.5, starBrightMag: 14, starFaintMag: 25.5,
  /** Galaxies with magnitude (r) up to 25 per square degree: 200 on a detector; slope as observed (0.35). */
  galaxiesPerSquareDegree: 200 / (11.65 / 3600),
  galaxySlope: 0.35, galaxyBrightMag: 17.5, galaxyFaintMag: 25,
  /**
   * Part of the stars of 17.5 … 23 that vary. Real skies have about 1 in 100 above the per cent level. 2.5 in 100 with
   * amplitudes of 10 … 50 % give about 20 sources of SNR ≥ 8 a visit over nine detectors, of both signs.
   */
  variableFraction: 0.025, variableBrightMag: 17.5, variableFaintMag: 23,
  /**
   * Supernova-like transients per square degree and day. The real rate to magnitude 24 is about 1; a demonstration
   * needs some 10 with SNR ≥ 8 a visit on its 0.03 square degrees, each seen for about 40 days, half of them peaking
   * too faint: 10 / (0.03 · 40) / 0.5 ≈ 15.
   */
  supernovaePerSquareDegreeDay: 15,
  /** Flares per square degree and day: a real night has few; at 400 with 1.5 h each, about one is seen at any time. */
  flaresPerSquareDegreeDay: 400,
  /** Below this part of its peak flux a transient is over: 7.5 magnitudes. */
  transientFluxMin: 1e-3,
  /** Reference stars: magnitude limit (r) and errors, as Gaia's and a photometric survey's. */
  referenceFaintMag: 22, referencePositionErrorMas: 5, referenceMagError: 0.005,
} as const;

/**
 * Per band: zero point (AB magnitude that gives 1 electron a second), dark sky (magnitude per square arcsecond).
 * LSE-40 values.
 */
export const bandConfig: Readonly<Record<Band, Readonly<{ zeroPointMag: number; skyMag: number }>>> = {
  u: { zeroPointMag: 26.52, skyMag: 23.05 }, g: { zeroPointMag: 28.51, skyMag: 22.25 },
  r: { zeroPointMag: 28.36, skyMag: 21.2 }, i: { zeroPointMag: 28.17, skyMag: 20.46 },
  z: { zeroPointMag: 27.78, skyMag: 19.61 }, y: { zeroPointMag: 26.82, skyMag: 18.6 },
};

export const opticsConfig = {
  /** Moffat exponent. 3.5 has the wings of real seeing (3 … 4) and is cheap: x^-3.5 needs one square root. */
  moffatBeta: 3.5,
  /** Seeing series, FWHM in arcseconds. Its floor lies above the template's, so that no kernel has to sharpen. */
  seeingMinArcsec: 0.74, seeingMaxArcsec: 0.98,
  /** Growth of the FWHM from the best to the worst place of the field, and ellipticity there. */
  seeingFieldGrowth: 0.06, ellipticityMax: 0.05,
  /**
   * Where a star's light falls below this, in electrons per pixel, it is no longer drawn: 1/600 of the sky's noise in
   * r.
   */
  wingFloorElectrons: 0.05,
  /** Loss of light at the corner of the field. */
  vignetting: 0.08,
  /** Transparency of a clear night, from visit to visit. */
  transparencyMin: 0.92, transparencyMax: 1,
  /** Sky brightness: scatter from visit to visit, magnitudes; gradient from edge to edge of the field. */
  skyScatterMag: 0.08, skyGradient: 0.02,
  /** Pointing and camera-angle errors of a good mount with a pointing model. */
  pointingErrorArcsec: 2, pointingErrorMaxArcsec: 4, cameraAngleErrorMaxDeg: 0.008,
} as const;

export const detectorConfig = {
  /** Pixel-to-pixel response (rms), and its large-scale pattern (rms). */
  prnu: 0.008, responsePattern: 0.01,
  /** Columns of reduced response, per 1024 columns, and their response. */
  badColumnsPer1024: 2, badColumnResponse: 0.35,
  /** Fixed bias pattern: column scatter, and the rise next to the register. ADU. */
  biasColumnAdu: 0.8, biasRiseAdu: 6, biasRiseColumns: 25,
  /** Drift of the bias from exposure to exposure and from row to row, ADU; both are seen by the overscan. */
  biasExposureDriftAdu: 2, biasRowDriftAdu: 0.15,
  /** Full well over the SATURATE keyword: a pixel is no longer trusted at 98 % of the full well. */
  fullWellOverSaturate: 1.02,
  /**
   * Cosmic rays per square centimetre and second. Off: the engine's first form does not look for them. Sea level has
   * 0.02.
   */
  cosmicRaysPerCm2Second: 0,
} as const;

export const calibrationConfig = {
  /**
   * 5 biases leave 2.7 electrons of noise, 0.8 % of a sky-limited pixel's variance; 4 flats of 60,000 electrons leave
   * 0.2 % a pixel. More would cost the first night seconds: each frame takes 40 ms a detector.
   */
  biasFrames: 5, flatFrames: 4, flatElectrons: 60_000,
  /** Depth of the template, visits, and its seeing: the best that a season offers. */
  templateVisits: 16, templateSeeingArcsec: 0.7,
  /**
   * Pixels by which a template exceeds its detector on each side: largest dither 14″, pointing 4″, warp support,
   * rounded up.
   */
  templateMarginPx: 110,
} as const;

export const nightConfig = {
  /** ELAIS-S1, one of the deep-drilling fields of the survey: low extinction, and high in the sky for half the year. */
  fields: [{ name: 'ELAIS-S1', raDeg: 9.45, decDeg: -44.02 }],
  /** A night's bands in order; a night of n visits is split evenly: r r r i i i for six. */
  bandSequence: ['r', 'i'] as readonly Band[],
  /** Shutter and readout of the survey, seconds. 38 s from visit to visit = 30 + 2 + slew and settle. */
  exposureSeconds: 30, readoutSeconds: 2, cadenceSeconds: 38,
  /**
   * Visits of a field come in blocks half an hour apart (the survey's pairs), and changing the filter takes two
   * minutes.
   */
  blockGapSeconds: 1800,
  /**
   * Next visit announced this long before its exposure starts; when the announcement is late, the exposure waits for
   * the minimum.
   */
  announceAheadSeconds: 26, announceAheadMinSeconds: 20,
  /** Dithers between visits, arcseconds from the field's centre. */
  ditherMinArcsec: 6, ditherMaxArcsec: 14,
  /** Evening twilight ends 13 h after the night's start at 12 h TAI, on Cerro Pachón on average. */
  eveningHours: 13,
  /** A late detector and a file sent again come this long after the readout, seconds of the survey's time. */
  lateSeconds: 12,
} as const;

export const truthConfig = {
  /** Distance to the detector's or the template's edge within which nothing is asked for, pixels: half a PSF stamp. */
  edgePx: 20,
  /** Distance to a saturated or bled pixel, and to a defect: two FWHM, and one. */
  saturatedPx: 12, defectPx: 5,
} as const;

export const renderConfig = {
  /** Threads of the simulator's own pool: two while products are made, and frames leave one core to the engine. */
  threads: 2,
  /**
   * An idle worker keeps its caches for this long: longer than any cadence, so that a night starts each thread once.
   */
  idleTimeoutMs: 120_000,
  /** Sky cells kept per worker: 64 cells serve a detector of LSSTCam's size; each holds about 100 kB. */
  cellsKept: 512,
} as const;
