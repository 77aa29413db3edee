/** Finds a detector's calibrations in a folder by what their headers say. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Detector } from '../../schemas/camera.ts';
import { CARD_BYTES, parseCard, stringCard, numberCard, type FitsCard, type FitsHeader } from '../image/fitsHeader.ts';

/** Those that a detector can go without come last. */
export const CALIBRATION_KINDS = ['bias', 'flat', 'dark', 'fringe', 'electronics'] as const;
export type CalibrationKind = (typeof CALIBRATION_KINDS)[number];

/** Where each lies; null where there is none, which a bias and a flat cannot be. */
export type CalibrationPaths = Readonly<{
  bias: string; flat: string; dark: string | null; fringe: string | null; electronics: string | null;
}>;

/** Of the raw that is to be corrected. */
export type Wanted = Readonly<{ instrument: string; band: string; detector: Detector }>;

/** A primary header that has not ended here is of no calibration of ours. */
const HEADER_BYTES_MAX = 16 * 2880;

/**
 * Paths of a detector's calibrations, looked for in the folder and those below it: OBSTYPE and DETECTOR must be right,
 * INSTRUME and, of a flat or fringe frame, BAND where the file has them. Raw exposures of calibration light are passed
 * over.
 *
 * @throws Error of one line: no such folder, no bias or flat, several of one kind.
 */
export function findCalibrations(directory: string, wanted: Wanted): CalibrationPaths {
  const candidates = listFits(directory).flatMap((path) => {
    const header = readPrimaryHeader(path);
    return header === null ? [] : [{ path, header }];
  });
  const whose = (kind: CalibrationKind): string => `detector ${wanted.detector.name} (${wanted.detector.id})`
    + (isOfBand(kind) ? ` in ${wanted.band}` : '');
  const find = (kind: CalibrationKind): string | null => {
    const found = candidates.filter(({ header }) => serves(header, kind, wanted)).map(({ path }) => path);
    if (found.length > 1) {
      throw new Error(`${directory}: ${found.length} files are a ${kind} of ${whose(kind)}: `
        + found.map((path) => relative(directory, path)).join(', '));
    }
    return found[0] ?? null;
  };
  const required = (kind: CalibrationKind): string => {
    const path = find(kind);
    if (path === null) throw new Error(`${directory}: no ${kind} of ${whose(kind)}`);
    return path;
  };
  return {
    bias: required('bias'), flat: required('flat'), dark: find('dark'), fringe: find('fringe'),
    electronics: find('electronics'),
  };
}

function isOfBand(kind: CalibrationKind): boolean {
  return kind === 'flat' || kind === 'fringe';
}

function listFits(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true, recursive: true });
    return entries.filter((entry) => !entry.isDirectory() && /\.fits?$/i.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name)).sort();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException; // fs throws ErrnoExceptions.
    const known: Readonly<Record<string, string>> = { ENOENT: 'no such directory', ENOTDIR: 'not a directory' };
    throw new Error(`${directory}: ${known[code ?? ''] ?? message}`, { cause: error });
  }
}

/** Cards of the primary header without the rest of the file; null when it cannot be one of ours. */
function readPrimaryHeader(path: string): FitsHeader | null {
  const bytes = Buffer.alloc(HEADER_BYTES_MAX), file = openSync(path, 'r');
  let length: number;
  try { length = readSync(file, bytes, 0, bytes.length, 0); } finally { closeSync(file); }
  const cards: FitsCard[] = [];
  for (let at = 0; at + CARD_BYTES <= length; at += CARD_BYTES) {
    const text = bytes.toString('latin1', at, at + CARD_BYTES);
    if (text.trimEnd() === 'END') return cards;
    if (at === 0 && !text.startsWith('SIMPLE  =')) return null;
    cards.push(parseCard(text));
  }
  return null;
}

function serves(header: FitsHeader, kind: CalibrationKind, { instrument, band, detector }: Wanted): boolean {
  // A raw exposure has a number; what is made of many has none.
  if (numberCard(header, 'EXPOSURE') !== null) return false;
  const of = stringCard(header, 'INSTRUME') ?? instrument, filter = stringCard(header, 'BAND') ?? band;
  return stringCard(header, 'OBSTYPE') === kind && numberCard(header, 'DETECTOR') === detector.id && of === instrument
    && (!isOfBand(kind) || filter === band);
}
