/** One known orbit with what its catalogue tells, its id, and its record in a packet. */
import { createHash } from 'node:crypto';
import type { MpcOrbit } from '../../schemas/ssRows.ts';
import { meanMotion, type Elements } from './elements.ts';

/** Null is what the catalogue does not tell. Elements as in `Elements`, flat: a catalogue holds a million of these. */
export type Orbit = Elements & Readonly<{
  /** Place in its catalogue, from 1. */
  row: number;
  /** As people write it (`2008 AB`), and packed (`K08A00B`); where no packed form is known, the same again. */
  designation: string; packed: string;
  h: number | null; g: number | null;
  uncertainty: number | null; oppositions: number | null; observations: number | null; arcDays: number | null;
  rmsArcsec: number | null;
}>;

/**
 * Id of the object: the packed designation's characters as bytes, the first the highest, as Rubin does; one of more
 * than 7 characters has the first 62 bits of its SHA-256 with bit 62 set, so that the two kinds never meet.
 */
export function ssObjectIdOf(packed: string): bigint {
  const bytes = Buffer.from(packed, 'utf8');
  if (bytes.length <= 7) return BigInt(`0x${bytes.toString('hex')}`);
  const digest = createHash('sha256').update(bytes).digest().readBigUInt64BE();
  return (digest & 0x3fff_ffff_ffff_ffffn) | 0x4000_0000_0000_0000n;
}

/** The orbit as packets carry it. */
export function mpcOrbitRow(orbit: Orbit): MpcOrbit {
  const { q, e, i, node, argperi, timeOfPerihelionMjdTt, epochMjdTt, h, g } = orbit;
  const motion = meanMotion(orbit), isClosed = motion !== null;
  const anomaly = isClosed ? (epochMjdTt - timeOfPerihelionMjdTt) * motion : null;
  return {
    ...NOTHING_KNOWN,
    id: orbit.row, designation: orbit.designation, packed_primary_provisional_designation: orbit.packed,
    unpacked_primary_provisional_designation: orbit.designation,
    u_param: orbit.uncertainty, nopp: orbit.oppositions, nobs_total: orbit.observations,
    arc_length_total: orbit.arcDays, not_normalized_rms: orbit.rmsArcsec,
    a: isClosed ? q / (1 - e) : null, q, e, i, node, argperi, peri_time: timeOfPerihelionMjdTt,
    mean_anomaly: anomaly === null ? null : anomaly - 360 * Math.floor(anomaly / 360),
    period: isClosed ? 360 / motion : null, mean_motion: motion, epoch_mjd: epochMjdTt, h, g,
  };
}

const NOTHING_KNOWN = {
  mpc_orb_jsonb: null, created_at: null, updated_at: null, orbit_type_int: null, arc_length_sel: null,
  nobs_total_sel: null, yarkovsky: null, srp: null, a1: null, a2: null, a3: null, dt: null, a_unc: null, q_unc: null,
  e_unc: null, i_unc: null, node_unc: null, argperi_unc: null, peri_time_unc: null, yarkovsky_unc: null, srp_unc: null,
  a1_unc: null, a2_unc: null, a3_unc: null, dt_unc: null, mean_anomaly_unc: null, period_unc: null,
  mean_motion_unc: null, normalized_rms: null, earth_moid: null, fitting_datetime: null,
} as const;
