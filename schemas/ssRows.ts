import type { Band } from './units.ts';

/**
 * The solar-system rows of alert schema 11.0; meaning and units stand in the `.avsc` files. As in `diaRows.ts`,
 * longs are bigint and `null` means not known.
 */

/** What the orbit of a solar-system object predicts for one diaSource. */
export type SsSource = Readonly<{
  diaSourceId: bigint;
  ssObjectId: bigint;
  designation: string | null;
  eclLambda: number;
  eclBeta: number;
  galLon: number;
  galLat: number;
  elongation: number | null;
  phaseAngle: number | null;
  topoRange: number | null;
  topoRangeRate: number | null;
  helioRange: number | null;
  helioRangeRate: number | null;
  ephRa: number | null;
  ephDec: number | null;
  ephVmag: number | null;
  ephRate: number | null;
  ephRateRa: number | null;
  ephRateDec: number | null;
  ephOffset: number | null;
  ephOffsetRa: number | null;
  ephOffsetDec: number | null;
  ephOffsetAlongTrack: number | null;
  ephOffsetCrossTrack: number | null;
  helio_x: number | null;
  helio_y: number | null;
  helio_z: number | null;
  helio_vx: number | null;
  helio_vy: number | null;
  helio_vz: number | null;
  helio_vtot: number | null;
  topo_x: number | null;
  topo_y: number | null;
  topo_z: number | null;
  topo_vx: number | null;
  topo_vy: number | null;
  topo_vz: number | null;
  topo_vtot: number | null;
  diaDistanceRank: number | null;
}>;

/** Orbit from the Minor Planet Center. The three times are microseconds since 1970, UTC. */
export type MpcOrbit = Readonly<{
  id: number;
  designation: string;
  packed_primary_provisional_designation: string;
  unpacked_primary_provisional_designation: string;
  mpc_orb_jsonb: string | null;
  created_at: bigint | null;
  updated_at: bigint | null;
  orbit_type_int: number | null;
  u_param: number | null;
  nopp: number | null;
  arc_length_total: number | null;
  arc_length_sel: number | null;
  nobs_total: number | null;
  nobs_total_sel: number | null;
  a: number | null;
  q: number | null;
  e: number | null;
  i: number | null;
  node: number | null;
  argperi: number | null;
  peri_time: number | null;
  yarkovsky: number | null;
  srp: number | null;
  a1: number | null;
  a2: number | null;
  a3: number | null;
  dt: number | null;
  mean_anomaly: number | null;
  period: number | null;
  mean_motion: number | null;
  a_unc: number | null;
  q_unc: number | null;
  e_unc: number | null;
  i_unc: number | null;
  node_unc: number | null;
  argperi_unc: number | null;
  peri_time_unc: number | null;
  yarkovsky_unc: number | null;
  srp_unc: number | null;
  a1_unc: number | null;
  a2_unc: number | null;
  a3_unc: number | null;
  dt_unc: number | null;
  mean_anomaly_unc: number | null;
  period_unc: number | null;
  mean_motion_unc: number | null;
  epoch_mjd: number | null;
  h: number | null;
  g: number | null;
  not_normalized_rms: number | null;
  normalized_rms: number | null;
  earth_moid: number | null;
  fitting_datetime: bigint | null;
}>;

type SsObjectBandFeature =
  'H' | 'HErr' | 'G12' | 'G12Err' | 'Chi2' | 'phaseAngleMin' | 'phaseAngleMax';

/** Covariance of H and G12 in one band: both names carry the band, so it must be the same one. */
type SsObjectCovariance = { [B in Band]: `${B}_H_${B}_G12_Cov` }[Band];

/** One solar-system object, summed up from its sources; the phase curve is per band (`g_H`). */
export type SsObject = Readonly<{
  ssObjectId: bigint;
  designation: string | null;
  nObs: number;
  arc: number;
  firstObservationMjdTai: number | null;
  MOIDEarth: number | null;
  MOIDEarthDeltaV: number | null;
  MOIDEarthEclipticLongitude: number | null;
  MOIDEarthTrueAnomaly: number | null;
  MOIDEarthTrueAnomalyObject: number | null;
  tisserand_J: number | null;
  extendednessMax: number | null;
  extendednessMedian: number | null;
  extendednessMin: number | null;
}>
& Readonly<Record<`${Band}_${SsObjectBandFeature}` | SsObjectCovariance, number | null>>
& Readonly<Record<`${Band}_nObs` | `${Band}_nObsUsed`, number>>
& Readonly<Record<`${Band}_slope_fit_failed`, boolean | null>>;
