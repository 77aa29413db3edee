/**
 * Files of orbits: MPCORB.DAT, the MPC's CometEls.txt, and tables with named columns as CSV, JSON or JSON lines (ours,
 * or JPL's small-body query). A line that is no orbit is named with its number and the reason.
 */
import type { Orbit } from './orbit.ts';
import { cometLine, mpcorbLine } from './mpcLines.ts';
import { namedOrbit, requireColumns, COLUMNS, type NamedValues } from './namedOrbit.ts';

export type OrbitFormat = 'mpcorb' | 'comets' | 'csv' | 'json';
export type BadLine = Readonly<{ line: number; reason: string }>;
export type OrbitFile = Readonly<{ format: OrbitFormat; orbits: readonly Orbit[]; bad: readonly BadLine[] }>;

/** Reads one line; throws an Error with the reason when it is no orbit. */
type LineReader = (text: string, row: number) => Orbit;

/**
 * Reads a whole file. Its format is told by its content. Orbits are in the order of the file; one whose packed
 * designation came before is a bad line.
 *
 * @throws Error of one line when the file as a whole is none of the formats.
 */
export function parseOrbits(text: string): OrbitFile {
  const steps = parseOrbitsInSteps(text);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** As `parseOrbits`; each `yield` (lines done) lets its caller breathe: a million lines take five seconds. */
export function* parseOrbitsInSteps(text: string, chunk = 10_000): Generator<number, OrbitFile> {
  const format = formatOf(text);
  if (format === 'json' && text.trimStart().startsWith('[')) return readRecords(text);
  const lines = text.split('\n'), orbits: Orbit[] = [], bad: BadLine[] = [], seen = new Map<string, number>();
  const { read, first } = readerOf(format, lines);
  for (let index = first; index < lines.length; index++) {
    if (index % chunk === chunk - 1) yield index;
    const line = lines[index].replace(/\r$/, '');
    if (line.trim() === '' || line.startsWith('#')) continue;
    accept(() => read(line, orbits.length + 1), index + 1, orbits, bad, seen);
  }
  if (orbits.length === 0 && bad.length === 0) throw new Error('it holds no orbit');
  return { format, orbits, bad };
}

function accept(
  read: () => Orbit, line: number, orbits: Orbit[], bad: BadLine[], seen: Map<string, number>,
): void {
  try {
    const orbit = read(), before = seen.get(orbit.packed);
    if (before !== undefined) throw new Error(`${orbit.designation} was on line ${before} already`);
    seen.set(orbit.packed, line);
    orbits.push(orbit);
  } catch (error) {
    bad.push({ line, reason: (error as Error).message }); // Readers throw Errors.
  }
}

function formatOf(text: string): OrbitFormat {
  const lines = text.slice(0, 100_000).split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  if (lines.length === 0) throw new Error('it is empty');
  if (lines[0].startsWith('{') || lines[0].startsWith('[')) return 'json';
  if (lines.some((line) => line.startsWith('-----')) || lines.some(isMpcorb)) return 'mpcorb';
  if (lines.some((line) => /^.{14}\d{4} \d{2} [ \d]\d\.\d{4}/.test(line))) return 'comets';
  if (lines[0].includes(',')) return 'csv';
  throw new Error('it is neither MPCORB.DAT, nor CometEls.txt, nor CSV with a header, nor JSON');
}

/** The packed epoch stands in columns 21 to 25, the mean anomaly with five decimals in 27 to 35. */
function isMpcorb(line: string): boolean {
  return /^.{20}[I-L]\d\d[1-9A-C][1-9A-V] [ \d]{3}\.\d{5}/.test(line);
}

function readerOf(format: OrbitFormat, lines: readonly string[]): { read: LineReader; first: number } {
  if (format === 'mpcorb') {
    const rule = lines.findIndex((line) => line.startsWith('-----'));
    return { read: mpcorbLine, first: rule + 1 };
  }
  if (format === 'comets') return { read: cometLine, first: 0 };
  if (format === 'json') return { read: (text, row) => namedOrbit(jsonRecord(text), row), first: 0 };
  const header = lines.findIndex((line) => line.trim() !== '' && !line.startsWith('#'));
  const names = cells(lines[header].replace(/\r$/, ''));
  requireColumns(names);
  return { first: header + 1, read: (text, row) => {
    const values = cells(text);
    if (values.length !== names.length) throw new Error(`${values.length} values for ${names.length} columns`);
    return namedOrbit(Object.fromEntries(names.map((name, k) => [name, values[k]])), row);
  } };
}

/** Cells of a CSV line; a quoted one may hold commas, and doubled quotes. */
function cells(line: string): string[] {
  if (!line.includes('"')) return line.split(',').map((cell) => cell.trim());
  return [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map(([, cell]) => cell.trim())
    .map((cell) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell))
    .slice(0, line.endsWith(',') ? undefined : -1);
}

function readRecords(text: string): OrbitFile {
  let records: unknown;
  try { records = JSON.parse(text); } catch (error) {
    throw new Error(`it begins as JSON and is none: ${(error as Error).message}`, { cause: error });
  }
  const orbits: Orbit[] = [], bad: BadLine[] = [], seen = new Map<string, number>();
  // The text begins with a bracket, so it is an array; records are counted, for lines mean nothing here.
  (records as unknown[]).forEach((record, index) =>
    accept(() => namedOrbit(asRecord(record), orbits.length + 1), index + 1, orbits, bad, seen));
  return { format: 'json', orbits, bad };
}

function jsonRecord(text: string): NamedValues {
  let value: unknown;
  try { value = JSON.parse(text.trim().replace(/,$/, '')); } catch { throw new Error('not a JSON record'); }
  return asRecord(value);
}

function asRecord(value: unknown): NamedValues {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not a JSON record');
  return value as NamedValues; // A record; its values are checked one by one.
}

/** The canonical table: what a catalogue is kept as. Equal orbits give equal bytes. */
export function encodeOrbits(orbits: readonly Orbit[]): string {
  const quoted = (value: string): string => (/[",]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const lines = orbits.map((orbit) => COLUMNS.map((name) => {
    const value = orbit[name];
    return value === null ? '' : typeof value === 'string' ? quoted(value) : String(value);
  }).join(','));
  return `${[COLUMNS.join(','), ...lines].join('\n')}\n`;
}
