/** Orbits from named values: ours, and the names that JPL and the MPC use. */
import { timeOfPerihelion } from './elements.ts';
import type { Orbit } from './orbit.ts';

export type NamedValues = Readonly<Record<string, unknown>>;

/** Columns of our own table, in order. */
export const COLUMNS = [
  'designation', 'packed', 'epochMjdTt', 'q', 'e', 'i', 'node', 'argperi', 'timeOfPerihelionMjdTt', 'h', 'g',
  'uncertainty', 'oppositions', 'observations', 'arcDays', 'rmsArcsec',
] as const satisfies readonly (keyof Orbit)[];

/** Other names of a value. Times that end in JD are Julian dates. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  designation: ['pdes', 'unpacked_primary_provisional_designation', 'full_name', 'name', 'Principal_desig'],
  packed: ['packed_primary_provisional_designation'],
  epochMjdTt: ['epoch_mjd'], epochJd: ['epoch', 'Epoch'], a: ['semiMajorAxis'], i: ['inc'], node: ['om', 'Node'],
  argperi: ['w', 'peri', 'Peri'], meanAnomaly: ['ma', 'M', 'mean_anomaly'],
  timeOfPerihelionMjdTt: ['peri_time', 'tp_mjd'], timeOfPerihelionJd: ['tp', 'Tp'], h: ['H'], g: ['G'],
  uncertainty: ['condition_code', 'u_param', 'U'], oppositions: ['nopp', 'Num_opps'],
  observations: ['n_obs_used', 'nobs_total', 'Num_obs'], arcDays: ['data_arc', 'arc_length_total'],
  rmsArcsec: ['not_normalized_rms'],
};

/** MJD 0 as a Julian date. */
const MJD_ZERO_JD = 2_400_000.5;

/** @throws Error that names what a table cannot do without. */
export function requireColumns(names: readonly string[]): void {
  const has = (name: string): boolean => names.includes(name) || (ALIASES[name] ?? []).some((a) => names.includes(a));
  const needs: readonly (readonly string[])[] = [
    ['designation'], ['e'], ['q', 'a'], ['i'], ['node'], ['argperi'],
    ['meanAnomaly', 'timeOfPerihelionMjdTt', 'timeOfPerihelionJd'],
    ['epochMjdTt', 'epochJd', 'timeOfPerihelionMjdTt', 'timeOfPerihelionJd'],
  ];
  const missing = needs.filter((one) => !one.some(has));
  if (missing.length > 0) throw new Error(`its header lacks ${missing.map((one) => one.join(' or ')).join(', ')}`);
}

/** @throws Error with the reason when the values are no orbit. */
export function namedOrbit(values: NamedValues, row: number): Orbit {
  const designation = textOf(values, 'designation');
  if (designation === null) throw new Error('no designation');
  const e = required(values, 'e'), a = numberOf(values, 'a');
  const q = numberOf(values, 'q') ?? (a === null ? null : a * (1 - e));
  if (q === null) throw new Error('neither q nor a');
  const tp = dateOf(values, 'timeOfPerihelionMjdTt', 'timeOfPerihelionJd'), mean = numberOf(values, 'meanAnomaly');
  const epoch = dateOf(values, 'epochMjdTt', 'epochJd') ?? tp;
  if (epoch === null) throw new Error('no epoch');
  if (tp === null && mean === null) throw new Error('neither a time of perihelion nor a mean anomaly');
  return checkedOrbit({
    row, designation, packed: textOf(values, 'packed') ?? designation, q, e,
    i: required(values, 'i'), node: required(values, 'node'), argperi: required(values, 'argperi'),
    epochMjdTt: epoch, timeOfPerihelionMjdTt: tp ?? perihelionOf(q, e, mean ?? 0, epoch),
    h: numberOf(values, 'h'), g: numberOf(values, 'g'),
    uncertainty: countOf(values, 'uncertainty'), oppositions: countOf(values, 'oppositions'),
    observations: countOf(values, 'observations'), arcDays: numberOf(values, 'arcDays'),
    rmsArcsec: numberOf(values, 'rmsArcsec'),
  });
}

function perihelionOf(q: number, e: number, mean: number, epoch: number): number {
  requireShape(q, e);
  return timeOfPerihelion(q, e, mean, epoch);
}

/** @throws Error with the reason when the elements describe no orbit that can be followed. */
export function checkedOrbit(orbit: Orbit): Orbit {
  const { q, e, i, node, argperi, epochMjdTt, timeOfPerihelionMjdTt, h, g } = orbit;
  requireShape(q, e);
  if (!(i >= 0 && i <= 180)) throw new Error(`inclination ${i} is not in 0 … 180`);
  if (!(Math.abs(node) <= 360 && Math.abs(argperi) <= 360)) throw new Error(`node ${node} or perihelion ${argperi}`);
  // Years 1600 to 2200: where the theory of the planets holds to better than an arcsecond.
  if (!(epochMjdTt >= -94_000 && epochMjdTt <= 125_000)) {
    throw new Error(`epoch MJD ${epochMjdTt} is not in 1600 … 2200`);
  }
  if (!Number.isFinite(timeOfPerihelionMjdTt)) throw new Error(`time of perihelion ${timeOfPerihelionMjdTt}`);
  if (h !== null && !(Math.abs(h) <= 50)) throw new Error(`absolute magnitude ${h}`);
  if (g !== null && !(Math.abs(g) <= 100)) throw new Error(`slope parameter ${g}`);
  return orbit;
}

function requireShape(q: number, e: number): void {
  if (!(e >= 0 && e < 100)) throw new Error(`eccentricity ${e} is not in 0 … 100`);
  // The Sun's radius is 0.00465 au; beyond 10⁵ au nothing is bound.
  if (!(q >= 0.002 && q <= 1e5)) throw new Error(`perihelion distance ${q} au is not in 0.002 … 100000`);
}

function rawOf(values: NamedValues, name: string): unknown {
  for (const key of [name, ...(ALIASES[name] ?? [])]) {
    const value = values[key];
    if (value !== undefined && value !== null && value !== '') return value;
  }
  return null;
}

function textOf(values: NamedValues, name: string): string | null {
  const value = rawOf(values, name);
  if (value === null) return null;
  const text = typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : '';
  if (text === '' || text.length > 40 || /[\u0000-\u001f]/.test(text)) throw new Error(`${name} is no name`);
  return text;
}

function numberOf(values: NamedValues, name: string): number | null {
  const value = rawOf(values, name);
  if (value === null) return null;
  const number = typeof value === 'number' ? value : typeof value === 'string' ? Number(value) : NaN;
  if (!Number.isFinite(number)) throw new Error(`${name} is "${String(value).slice(0, 20)}", not a number`);
  return number;
}

function countOf(values: NamedValues, name: string): number | null {
  const raw = rawOf(values, name);
  if (typeof raw === 'string' && !/^\d+$/.test(raw.trim())) return null; // MPC writes letters for the uncertain ones.
  return numberOf(values, name);
}

function required(values: NamedValues, name: string): number {
  const value = numberOf(values, name);
  if (value === null) throw new Error(`no ${name}`);
  return value;
}

function dateOf(values: NamedValues, mjdName: string, jdName: string): number | null {
  const jd = numberOf(values, jdName);
  return numberOf(values, mjdName) ?? (jd === null ? null : jd - MJD_ZERO_JD);
}
