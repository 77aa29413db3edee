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
  vignetting: 0.08, wideFieldVignetting: 0.4,
  /**
   * Part of a star's light that dust on mirrors scatters into an aureole, its core over the PSF's, and its exponent:
   * r^−3.5 wings, as bright stars show beyond the seeing's (King 1971, PASP 83, 199). Fainter stars' aureoles drown in
   * the sky.
   */
  aureolePart: 0.004, aureoleWidth: 3, aureoleBeta: 1.75, aureoleElectronsMin: 4e5,
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
  /** Cosmic rays per square centimetre and second at 2,700 m; sea level has half as many. */
  cosmicRaysPerCm2Second: 0.04,
  /** Dark current at −100 °C, electrons a second and pixel. */
  darkElectronsPerSecond: 0.03,
  /** Hot pixels per million, and the range of their dark current, electrons a second. */
  hotPixelsPerMillion: 60, hotElectronsPerSecondMin: 5, hotElectronsPerSecondMax: 2000,
  /**
   * Charge that a boundary between two pixels lets over for each electron of difference and of mean charge: repulsion
   * widens bright stars. A flat's variance falls by 8 k Q: 10 % at 100,000 electrons, as measured on thick sensors
   * (Antilogus et al. 2014, JINST 9 C03048).
   */
  brighterFatterPerElectron: 1.25e-7,
  /** Part of a packet's charge left behind at each transfer; an amp has half to one and a half times as much. */
  serialCti: 2e-6, parallelCti: 1e-6,
  /** Amplitude of the fringes of night-sky lines, relative to the sky; periods across the detector. */
  fringeAmplitude: { u: 0, g: 0, r: 0, i: 0.0015, z: 0.006, y: 0.015 } as const, fringePeriods: 14,
} as const;

export const calibrationConfig = {
  /**
   * 5 biases leave 2.7 electrons of noise, 0.8 % of a sky-limited pixel's variance; 4 flats of 60,000 electrons leave
   * 0.2 % a pixel. More would cost the first night seconds: each frame takes 40 ms a detector.
   */
  biasFrames: 5, flatFrames: 4, flatElectrons: 60_000,
  /** Darks as long as a visit, so that hot pixels that saturate do so in both. */
  darkFrames: 10, darkSeconds: 30,
  /** Sky frames of a season behind a fringe frame: their photons leave 0.08 % of the sky a pixel. */
  fringeFrames: 300, fringeSkyElectrons: 5000,
  /** Relative error of charge transfer and repulsion as a season's flats and overscans tell them. */
  electronicsError: 0.02,
  /** Depth of the template, visits, and its seeing: the best that a season offers. */
  templateVisits: 16, templateSeeingArcsec: 0.7,
  /**
   * The survey's own series reaches 0.6″ (one visit in fifty, in red bands at the zenith); below that lies its template,
   * so that no kernel has to sharpen.
   */
  surveyTemplateSeeingArcsec: 0.55,
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
  /** Telemetry of a recorded night is sampled so often: slow sensors and a mount that tracks do not need more. */
  telemetrySeconds: 30,
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
  /**
   * Stars and galaxies whose cells a worker keeps, some 600 bytes each. A detector of LSSTCam meets 17,000 at high
   * latitude and 200,000 towards the Galaxy's centre, minicam 27,000 of the demonstration's.
   */
  sourcesKeptMax: 60_000,
} as const;

export const solarSystemConfig = {
  /** Epoch of the population's mean anomalies: 2026-01-01. */
  epochMjdTai: 61041,
  /** Jupiter's mean longitude then: 34.3515° + 3034.9057° T, T = 0.26 centuries (Simon et al. 1994). */
  jupiterLongitudeDeg: 103.4,
  /**
   * Main-belt bodies brighter than absolute magnitude 15: chosen so that 210 a square degree brighter than R = 23 stand
   * at opposition within a degree of the ecliptic (Gladman et al. 2009, Icarus 202, 104).
   */
  mainBeltTo15: 71_000,
  /** Bodies of each other class. */
  counts: { nearEarth: 2_000, trojan: 4_000, transNeptunian: 4_000 } as const,
  /** Fainter ones (V) are not drawn: a single visit reaches r = 24.4. */
  faintMag: 24.8,
} as const;

export const demonstrationBodyConfig = {
  /**
   * Bodies that cross a field on a day. At some 0.2° a day they are within 12′ of its centre for a day, so that the
   * 0.03 square degrees of minicam show 6 to 9 a visit: 250 a square degree, as an ecliptic field to magnitude 24.
   */
  crossingsPerDay: 24, fieldRadiusArcsec: 720,
  /** A body stays near the field for less than this; who crosses it on a farther day is not there. */
  daysAround: 3,
  /** Distance from the Sun: the main belt. */
  sunDistanceMinAu: 2.1, sunDistanceMaxAu: 3.3,
  /** V at the crossing; more of the faint. At 20.3 a trail of 0.3″ in 30 s still has the flux of a point within 2 σ. */
  brightMag: 20.3, faintMag: 23.8,
} as const;

export const surveyConfig = {
  /** Stars with r < 25 per square degree at the galactic poles' latitudes: 8,000 on a detector of 13.7′. */
  starsPerSquareDegree: 150_000, starBrightMag: 9, starFaintMag: 25.5, starSlope: 0.2, starBreakMag: 16.5,
  /** Density at galactic latitude b over that at high latitude: exp(rise (1 − |sin b|)²), 12 on the plane. */
  planeRise: 2.5, bulgeRise: 0.6, bulgeDegrees: 15,
  /** Galaxies with r < 25 per square degree: 4,000 on a detector. */
  galaxiesPerSquareDegree: 77_000, galaxySlope: 0.35, galaxyBrightMag: 15, galaxyFaintMag: 25,
  /** Epoch at which catalogued places hold: 2026-01-01. */
  epochMjdTai: 61041,
  /** Part of the stars of each kind that vary so. */
  rrLyraeOfBlue: 0.03, cepheidOfPlane: 0.003, longPeriodOfGiants: 0.05, eclipsing: 0.004, rotating: 0.02,
  /** Part of the galaxies brighter than 23.5 with an active nucleus. */
  activeNuclei: 0.02,
  /** Transients per square degree and day, of a peak that a visit may show (r < 25). */
  rates: {
    typeIa: 0.06, coreCollapse: 0.08, tidalDisruption: 5e-4, kilonova: 5e-5, nova: 2e-5, microlensing: 2e-3, flare: 6,
  } as const,
} as const;

export const atmosphereConfig = {
  /** Effective wavelengths, nm; extinction per airmass, magnitudes (Cerro Pachón). */
  wavelengthNm: { u: 368, g: 480, r: 622, i: 754, z: 869, y: 971 } as const,
  extinction: { u: 0.5, g: 0.21, r: 0.13, i: 0.1, z: 0.07, y: 0.17 } as const,
  /** Median seeing at the zenith and 500 nm, its scatter in the logarithm, and what the telescope adds. Arcseconds. */
  seeingMedianArcsec: 0.65, seeingScatter: 0.25, systemArcsec: 0.4,
  /** Part of the nights that are not clear, and the deepest cloud of such a night, magnitudes. */
  cloudyNights: 0.3, cloudMagMax: 1.2,
  /** Light of a full Moon's glow in each band over that in V, relative to the dark sky. */
  moonColour: { u: 2.2, g: 1.7, r: 0.9, i: 0.55, z: 0.3, y: 0.15 } as const,
  /** Differential refraction at 45°: arcseconds towards the zenith for each magnitude that a star's g − i is bluer. */
  refractionArcsecPerMag: { u: 0.08, g: 0.035, r: 0.01, i: 0.004, z: 0.002, y: 0.001 } as const, referenceColour: 0.8,
  /** Least altitude at which the telescope observes, degrees. */
  altitudeMinDeg: 20,
  /** Greatest altitude of the Sun with the dome open, degrees: civil twilight. */
  sunAltitudeMaxDeg: -6,
} as const;

export const streakConfig = {
  /** Satellites that cross a square degree in a second, an hour after dusk; none in the middle of the night. */
  satellitesPerSquareDegreeSecond: 0.0015,
  /**
   * Surface brightness: electrons that a satellite of magnitude 6 leaves per pixel of its path follow from its speed.
   */
  satelliteMagMin: 4, satelliteMagMax: 8.5, satelliteDegreesPerSecondMin: 0.25, satelliteDegreesPerSecondMax: 1.1,
  /** Width of a satellite out of focus: 8.4 m seen at 550 km is 3.1″. */
  satelliteFocusArcsec: 3.1,
  /** Aeroplanes per exposure and square degree: one in some thousand exposures, broad and bright. */
  aeroplanesPerSquareDegree: 2e-4,
  /** Brightest stars that leave a ghost, its diameter and its part of their light. */
  ghostStarMag: 11, ghostDiameterArcsec: 160, ghostPart: 1.5e-3,
} as const;

export const surveyScheduleConfig = {
  /** Open shutter of a visit and readout, seconds. */
  visitSeconds: 30, readoutSeconds: 2,
  /** 3.5° take 5 s and a bit, as the survey counts on; changing the filter takes two minutes. */
  slewSettleSeconds: 4, slewDegreesPerSecond: 3, bandChangeSeconds: 120,
  /** Visits of a block before it is repeated in its second band: 28 × 38 s = 18 minutes. */
  blockVisits: 28,
  /** Visits of a deep field's sequence. */
  deepVisits: 20,
  /**
   * Least and greatest altitude (the mount cannot follow through the zenith), distance from the Moon, northern limit.
   */
  altitudeMinDeg: 42, altitudeMaxDeg: 86, moonDistanceMinDeg: 30, northLimitDeg: 12,
} as const;
