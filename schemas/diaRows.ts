import { ALERT_SCHEMA_VERSION, recordFields } from './alertSchema.ts';
import type { AlertRecordName } from './alertSchema.ts';
import type { MpcOrbit, SsSource } from './ssRows.ts';
import type { Band } from './units.ts';

/**
 * The rows of alert schema 11.0, field by field; a test holds these types and the `.avsc` files together. What
 * each field means, and its unit, stands in the `.avsc`. Every Avro long is a bigint. `null` means not measured;
 * a number is finite (the codec refuses NaN and infinities).
 */

/** One detection on one difference image. */
export type DiaSource = Readonly<{
  diaSourceId: bigint;
  visit: bigint;
  detector: number;
  diaObjectId: bigint | null;
  ssObjectId: bigint | null;
  parentDiaSourceId: bigint | null;
  midpointMjdTai: number;
  ra: number;
  raErr: number | null;
  dec: number;
  decErr: number | null;
  ra_dec_Cov: number | null;
  x: number;
  xErr: number | null;
  y: number;
  yErr: number | null;
  centroid_flag: boolean | null;
  apFlux: number | null;
  apFluxErr: number | null;
  apFlux_flag: boolean | null;
  apFlux_flag_apertureTruncated: boolean | null;
  isNegative: boolean | null;
  snr: number | null;
  psfFlux: number | null;
  psfFluxErr: number | null;
  psfLnL: number | null;
  psfChi2: number | null;
  psfNdata: number;
  psfFlux_flag: boolean | null;
  psfFlux_flag_edge: boolean | null;
  psfFlux_flag_noGoodPixels: boolean | null;
  trailFlux: number | null;
  trailFluxErr: number | null;
  trailRa: number | null;
  trailRaErr: number | null;
  trailDec: number | null;
  trailDecErr: number | null;
  trailLength: number | null;
  trailLengthErr: number | null;
  trailAngle: number | null;
  trailAngleErr: number | null;
  trailChi2: number | null;
  trailNdata: number;
  trail_flag_edge: boolean | null;
  dipoleMeanFlux: number | null;
  dipoleMeanFluxErr: number | null;
  dipoleFluxDiff: number | null;
  dipoleFluxDiffErr: number | null;
  dipoleLength: number | null;
  dipoleAngle: number | null;
  dipoleChi2: number | null;
  dipoleNdata: number;
  scienceFlux: number | null;
  scienceFluxErr: number | null;
  forced_PsfFlux_flag: boolean | null;
  forced_PsfFlux_flag_edge: boolean | null;
  forced_PsfFlux_flag_noGoodPixels: boolean | null;
  templateFlux: number | null;
  templateFluxErr: number | null;
  ixx: number | null;
  iyy: number | null;
  ixy: number | null;
  ixxPSF: number | null;
  iyyPSF: number | null;
  ixyPSF: number | null;
  shape_flag: boolean | null;
  shape_flag_no_pixels: boolean | null;
  shape_flag_not_contained: boolean | null;
  shape_flag_parent_source: boolean | null;
  extendedness: number | null;
  reliability: number | null;
  band: string | null;
  isDipole: boolean | null;
  dipoleFitAttempted: boolean | null;
  timeProcessedMjdTai: number;
  timeWithdrawnMjdTai: number | null;
  bboxSize: number;
  pixelFlags: boolean | null;
  pixelFlags_bad: boolean | null;
  pixelFlags_cr: boolean | null;
  pixelFlags_crCenter: boolean | null;
  pixelFlags_edge: boolean | null;
  pixelFlags_nodata: boolean | null;
  pixelFlags_nodataCenter: boolean | null;
  pixelFlags_interpolated: boolean | null;
  pixelFlags_interpolatedCenter: boolean | null;
  pixelFlags_offimage: boolean | null;
  pixelFlags_saturated: boolean | null;
  pixelFlags_saturatedCenter: boolean | null;
  pixelFlags_suspect: boolean | null;
  pixelFlags_suspectCenter: boolean | null;
  pixelFlags_streak: boolean | null;
  pixelFlags_streakCenter: boolean | null;
  pixelFlags_injected: boolean | null;
  pixelFlags_injectedCenter: boolean | null;
  pixelFlags_injected_template: boolean | null;
  pixelFlags_injected_templateCenter: boolean | null;
  glint_trail: boolean | null;
}>;

/** Flux measured at a known position, detected there or not. */
export type DiaForcedSource = Readonly<{
  diaForcedSourceId: bigint;
  diaObjectId: bigint;
  ra: number;
  dec: number;
  visit: bigint;
  detector: number;
  psfFlux: number | null;
  psfFluxErr: number | null;
  midpointMjdTai: number;
  scienceFlux: number | null;
  scienceFluxErr: number | null;
  band: string | null;
  timeProcessedMjdTai: number;
  timeWithdrawnMjdTai: number | null;
}>;

type DiaObjectBandFeature =
  | 'psfFluxMean' | 'psfFluxMeanErr' | 'psfFluxSigma' | 'psfFluxMin' | 'psfFluxMax' | 'psfFluxMaxSlope'
  | 'psfFluxErrMean' | 'fpFluxMean' | 'fpFluxMeanErr' | 'scienceFluxMean' | 'scienceFluxMeanErr';

/** One thing in the sky, summed up from its sources; the light-curve features are per band (`g_psfFluxMean`). */
export type DiaObject = Readonly<{
  diaObjectId: bigint;
  validityStartMjdTai: number;
  ra: number;
  raErr: number | null;
  dec: number;
  decErr: number | null;
  ra_dec_Cov: number | null;
  firstDiaSourceMjdTai: number | null;
  lastDiaSourceMjdTai: number | null;
  nDiaSources: number;
}>
& Readonly<Record<`${Band}_${DiaObjectBandFeature}`, number | null>>
& Readonly<Record<`${Band}_psfFluxNdata`, number>>;

/** One alert as a packet holds it, all of it decoded. */
export type Alert = Readonly<{
  diaSourceId: bigint;
  observation_reason: string | null;
  target_name: string | null;
  diaSource: DiaSource;
  prvDiaSources: readonly DiaSource[] | null;
  prvDiaForcedSources: readonly DiaForcedSource[] | null;
  diaObject: DiaObject | null;
  ssSource: SsSource | null;
  mpc_orbits: MpcOrbit | null;
  cutoutDifference: Uint8Array | null;
  cutoutScience: Uint8Array | null;
  cutoutTemplate: Uint8Array | null;
}>;

/** What a diaSource cannot be without. The counts of pixels of fits that were not made are 0. */
export type DiaSourceRequired = Pick<DiaSource,
  | 'diaSourceId' | 'visit' | 'detector' | 'midpointMjdTai' | 'ra' | 'dec' | 'x' | 'y' | 'timeProcessedMjdTai'
  | 'bboxSize'>;

/** What a diaObject cannot be without. The counts of sources per band are 0 until given. */
export type DiaObjectRequired = Pick<DiaObject, 'diaObjectId' | 'validityStartMjdTai' | 'ra' | 'dec' | 'nDiaSources'>;

/** What a diaForcedSource cannot be without. */
export type DiaForcedSourceRequired = Pick<DiaForcedSource,
  | 'diaForcedSourceId' | 'diaObjectId' | 'ra' | 'dec' | 'visit' | 'detector' | 'midpointMjdTai'
  | 'timeProcessedMjdTai'>;

// The casts below are true because every field that is not nullable is either an Ndata count, set to 0 here, or
// among the required ones, which the caller's type makes it give.
const blankDiaSource = blankRow('diaSource') as Omit<DiaSource, keyof DiaSourceRequired>;
const blankDiaObject = blankRow('diaObject') as Omit<DiaObject, keyof DiaObjectRequired>;
const blankDiaForcedSource = blankRow('diaForcedSource') as Omit<DiaForcedSource, keyof DiaForcedSourceRequired>;

/** A diaSource of which only `known` has been measured: all else is null, and pixel counts of fits are 0. */
export function newDiaSource(known: DiaSourceRequired & Partial<DiaSource>): DiaSource {
  return { ...blankDiaSource, ...known };
}

/** A diaObject of which only `known` has been computed: all else is null, and counts per band are 0. */
export function newDiaObject(known: DiaObjectRequired & Partial<DiaObject>): DiaObject {
  return { ...blankDiaObject, ...known };
}

/** A diaForcedSource of which only `known` has been measured: all else is null. */
export function newDiaForcedSource(known: DiaForcedSourceRequired & Partial<DiaForcedSource>): DiaForcedSource {
  return { ...blankDiaForcedSource, ...known };
}

function blankRow(name: AlertRecordName): Record<string, null | number> {
  const blank: Record<string, null | number> = {};
  for (const field of recordFields(name, ALERT_SCHEMA_VERSION)) {
    if (field.isNullable) blank[field.name] = null;
    else if (field.name.endsWith('Ndata')) blank[field.name] = 0;
  }
  return blank;
}
