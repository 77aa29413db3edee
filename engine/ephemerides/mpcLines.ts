/** Lines of the Minor Planet Center's files: fixed columns, counted from 1 in its descriptions and here. */
import { timeOfPerihelion } from './elements.ts';
import { checkedOrbit } from './namedOrbit.ts';
import type { Orbit } from './orbit.ts';

/** A line of MPCORB.DAT ("Export Format for Minor-Planet Orbits"). @throws Error with the reason when it is none. */
export function mpcorbLine(line: string, row: number): Orbit {
  if (line.length < 103) throw new Error(`${line.length} columns; an orbit has at least 103`);
  const packed = text(line, 1, 7);
  if (packed === '') throw new Error('no packed designation in columns 1 to 7');
  const epochMjdTt = packedDate(text(line, 21, 25));
  const a = number(line, 93, 103, 'semi-major axis'), e = number(line, 71, 79, 'eccentricity'), q = a * (1 - e);
  if (!(e < 1 && a > 0)) throw new Error(`semi-major axis ${a} au and eccentricity ${e} are of no closed orbit`);
  return checkedOrbit({
    row, packed, designation: designationOf(text(line, 167, 194)) || packed, q, e,
    i: number(line, 60, 68, 'inclination'), node: number(line, 49, 57, 'node'),
    argperi: number(line, 38, 46, 'argument of perihelion'), epochMjdTt,
    timeOfPerihelionMjdTt: timeOfPerihelion(q, e, number(line, 27, 35, 'mean anomaly'), epochMjdTt),
    h: optional(line, 9, 13, 'H'), g: optional(line, 15, 19, 'G'),
    uncertainty: /^\d$/.test(text(line, 106, 106)) ? Number(text(line, 106, 106)) : null,
    observations: optional(line, 118, 122, 'observations'), oppositions: optional(line, 124, 126, 'oppositions'),
    arcDays: arcDays(text(line, 128, 136)), rmsArcsec: optional(line, 138, 141, 'rms'),
  });
}

/** A line of CometEls.txt ("Ephemerides and Orbital Elements Format"). @throws Error with the reason. */
export function cometLine(line: string, row: number): Orbit {
  if (line.length < 79) throw new Error(`${line.length} columns; an orbit has at least 79`);
  const day = number(line, 23, 29, 'day of perihelion');
  const timeOfPerihelionMjdTt = calendarMjd(text(line, 15, 18), text(line, 20, 21), Math.floor(day)) + (day % 1);
  const epochText = text(line, 82, 89);
  const epochMjdTt = epochText === '' ? timeOfPerihelionMjdTt
    : calendarMjd(epochText.slice(0, 4), epochText.slice(4, 6), Number(epochText.slice(6)));
  const packed = text(line, 1, 12).replace(/\s+/g, '');
  if (packed === '') throw new Error('no designation in columns 1 to 12');
  return checkedOrbit({
    row, packed, designation: text(line, 103, 158) || packed,
    q: number(line, 31, 39, 'perihelion distance'), e: number(line, 42, 49, 'eccentricity'),
    argperi: number(line, 52, 59, 'argument of perihelion'), node: number(line, 62, 69, 'node'),
    i: number(line, 72, 79, 'inclination'), epochMjdTt, timeOfPerihelionMjdTt,
    // Comets' magnitudes are total ones and fade by another law: not those of the H, G system.
    h: null, g: null, uncertainty: null, oppositions: null, observations: null, arcDays: null, rmsArcsec: null,
  });
}

/**
 * Packed date of the MPC: century (I 18, J 19, K 20, L 21), year, month and day as 1 … 9, A … V; MJD of 0 h TT.
 */
export function packedDate(packed: string): number {
  if (!/^[I-L]\d\d[1-9A-C][1-9A-V]$/.test(packed)) throw new Error(`"${packed}" is no packed date`);
  const digit = (character: string): number => parseInt(character, 36);
  const century = packed.charCodeAt(0) - 'I'.charCodeAt(0) + 18;
  return calendarMjd(String(century * 100 + Number(packed.slice(1, 3))), String(digit(packed[3])), digit(packed[4]));
}

function calendarMjd(year: string, month: string, day: number): number {
  const ms = Date.UTC(Number(year), Number(month) - 1, day), date = new Date(ms);
  if (Number.isNaN(ms) || date.getUTCMonth() !== Number(month) - 1) {
    throw new Error(`${year}-${month}-${day} is no date`);
  }
  return ms / 86_400_000 + 40_587;
}

/** "(1) Ceres" and "1998 AB12" as they are. */
function designationOf(readable: string): string {
  return readable.replace(/\s+/g, ' ');
}

/** "24 days", or the years of a longer arc: then a year each. */
function arcDays(arc: string): number | null {
  const days = /^(\d+) days$/.exec(arc), years = /^(\d{4})-(\d{4})$/.exec(arc);
  if (days) return Number(days[1]);
  return years ? (Number(years[2]) - Number(years[1])) * 365.25 : null;
}

function text(line: string, from: number, to: number): string {
  return line.slice(from - 1, to).trim();
}

function number(line: string, from: number, to: number, name: string): number {
  const value = optional(line, from, to, name);
  if (value === null) throw new Error(`no ${name} in columns ${from} to ${to}`);
  return value;
}

function optional(line: string, from: number, to: number, name: string): number | null {
  const cell = text(line, from, to);
  if (cell === '') return null;
  const value = Number(cell);
  if (!Number.isFinite(value)) throw new Error(`${name} in columns ${from} to ${to} is "${cell}", not a number`);
  return value;
}
