/** A seeded sky of diaObjects with light curves over a year, as the bytes that COPY takes: 2 µs a row. */
import { CopyBinaryWriter } from '../apdb/postgres/copyBinary.ts';
import { writeDiaObjectLast, writeDiaSource, type Placed } from '../apdb/postgres/tables.ts';
import { pixelOf } from '../apdb/pixelization.ts';
import { decodeDiaObject, decodeDiaSource, encodeDiaObject, encodeDiaSource } from '../schemas/avro.ts';
import { ALERT_SCHEMA_VERSION, recordFields } from '../schemas/alertSchema.ts';
import { newDiaObject, newDiaSource, type DiaObject, type DiaSource } from '../schemas/diaRows.ts';
import { asDayObs, commitPosition } from '../schemas/ids.ts';

/** Density and radius of a visit's field: 10,000 objects within 1.75°, LSSTCam's field of 9.6 square degrees. */
const FIELD_OBJECTS = 10_000;
const FIELD_RADIUS_DEG = 1.75;
export const CENTER = { raDeg: 45, decDeg: -30 } as const;

/** The year of the light curves: twelve partitions of 30 days, MJD TAI. */
export const FIRST_MJD = 61_020;
export const MONTHS = 12;
export const DAYS_A_MONTH = 30;
export const NIGHT = asDayObs(20261121); // MJD 61365: the first night after.
export const HISTORY_POSITION = commitPosition(asDayObs(20261120), 1);

/** Objects in the order of their pixels, degrees. Ids and rows follow from the place in this order. */
export type Sky = Readonly<{ count: number; ra: Float64Array; dec: Float64Array; pixel: Int32Array }>;

/** Uniform over a cap around `CENTER` of the size that gives the field its density. */
export function makeSky(count: number, seed: number): Sky {
  const random = mulberry(seed);
  const capHeight = (1 - Math.cos(FIELD_RADIUS_DEG * RAD)) * (count / FIELD_OBJECTS);
  const placed = Array.from({ length: count }, () => {
    const { ra, dec } = offsetFrom(Math.acos(1 - capHeight * random()), 2 * Math.PI * random());
    return { ra, dec, pixel: pixelOf(ra, dec) };
  }).sort((a, b) => a.pixel - b.pixel);
  return {
    count, ra: Float64Array.from(placed, ({ ra }) => ra), dec: Float64Array.from(placed, ({ dec }) => dec),
    pixel: Int32Array.from(placed, ({ pixel }) => pixel),
  };
}

/** The cone around `CENTER` that holds about so many objects. */
export function coneOf(objects: number): Readonly<{ raDeg: number; decDeg: number; radiusDeg: number }> {
  const height = (1 - Math.cos(FIELD_RADIUS_DEG * RAD)) * (objects / FIELD_OBJECTS);
  return { ...CENTER, radiusDeg: Math.acos(1 - height) / RAD };
}

export function objectIdOf(place: number): bigint {
  return (1n << 60n) + BigInt(place) * 1024n;
}

/** Rows of DiaObjectLast as binary COPY, objects `from` ≤ place < `to`. */
export function objectRows(sky: Sky, from: number, to: number, sources: number): Buffer {
  const template = templateOf(newObjectRow(), encodeDiaObject, decodeDiaObject, 'diaObject', (out, version) => (
    writeDiaObjectLast(out, { commitFrom: HISTORY_POSITION, version })));
  const rows = new TemplateRows(template, to - from);
  for (let place = from; place < to; place++) {
    rows.next();
    rows.long('diaObjectId', objectIdOf(place));
    rows.position(sky.ra[place], sky.dec[place], sky.pixel[place]);
    rows.integer('nDiaSources', sources);
  }
  return rows.finish();
}

/**
 * Rows of one month of DiaSource, objects `from` ≤ place < `to`.
 *
 * @param isByVisit As they come: visit after visit, each by pixel. Else as the day-time clustering leaves a month
 *   that is over: by pixel.
 */
export function sourceRows(
  sky: Sky, from: number, to: number, month: number, sourcesAYear: number, isByVisit: boolean, seed: number,
): Buffer {
  const template = templateOf(newSourceRow(), encodeDiaSource, decodeDiaSource, 'diaSource', (out, row) => (
    writeDiaSource(out, row, HISTORY_POSITION)));
  const random = mulberry(seed + month);
  const first = Math.ceil((month * sourcesAYear) / MONTHS), end = Math.ceil(((month + 1) * sourcesAYear) / MONTHS);
  const rows = new TemplateRows(template, (to - from) * (end - first));
  const add = (place: number, visit: number) => {
    rows.next();
    rows.scramble(random);
    rows.long('diaSourceId', objectIdOf(place) + BigInt(visit) + 1n);
    rows.long('diaObjectId', objectIdOf(place));
    const error = 0.1 / 3600;
    rows.position(
      sky.ra[place] + (error * normal(random)) / Math.cos(sky.dec[place] * RAD),
      sky.dec[place] + error * normal(random), sky.pixel[place]);
    const mjd = FIRST_MJD + ((visit + 0.05 * random()) * MONTHS * DAYS_A_MONTH) / sourcesAYear;
    rows.double('midpointMjdTai', Math.min(mjd, FIRST_MJD + (month + 1) * DAYS_A_MONTH - 1e-6));
  };
  if (isByVisit) {
    for (let visit = first; visit < end; visit++) for (let place = from; place < to; place++) add(place, visit);
  } else {
    for (let place = from; place < to; place++) for (let visit = first; visit < end; visit++) add(place, visit);
  }
  return rows.finish();
}

/** A row of COPY, and where the bytes of each field are: in its column (big-endian) and in the payload (Avro). */
type Template = Readonly<{ bytes: Buffer; offsets: ReadonlyMap<string, readonly [column: number, payload: number]>;
  floats: readonly number[] }>;

/** Finds the places of fields by changing one at a time and comparing the bytes. */
function templateOf<Row extends DiaSource | DiaObject>(
  row: Row, encode: (row: Row) => Buffer, decode: (bytes: Uint8Array) => Row, record: 'diaSource' | 'diaObject',
  write: (out: CopyBinaryWriter, row: Placed<Row>) => void,
): Template {
  const header = new CopyBinaryWriter(64).finish().length - 2;
  const bytesOf = (changed: Row, pixel: number) => {
    const out = new CopyBinaryWriter(2048);
    const payload = encode(changed);
    write(out, { row: decode(payload), payload, pixelId: pixel, homePixel: pixel });
    return Buffer.from(out.finish().subarray(header, -2));
  };
  const bytes = bytesOf(row, 0);
  const firstDifferences = (other: Buffer): [number, number] => {
    const first = bytes.findIndex((byte, i) => byte !== other[i]);
    let last = bytes.length - 1;
    while (bytes[last] === other[last]) last--;
    return [first, last];
  };
  const offsets = new Map<string, readonly [number, number]>();
  const pixelEnds = firstDifferences(bytesOf(row, 0x7f7f7f7f));
  offsets.set('pixels', [pixelEnds[0], pixelEnds[1] - 3]);
  for (const [name, width, other] of PATCHED) {
    if (!(name in row)) continue;
    const [first, last] = firstDifferences(bytesOf({ ...row, [name]: other }, 0));
    // Of a small integer only the last byte of its column differs.
    offsets.set(name, [name === 'nDiaSources' ? first - 3 : first, last - width + 1]);
  }
  // Fluxes, shapes and errors: random bits there are what keeps real rows from being compressed.
  const floats = recordFields(record, ALERT_SCHEMA_VERSION).filter(({ kind }) => kind === 'float').map(({ name }) => (
    firstDifferences(bytesOf({ ...row, [name]: -1e-20 }, 0))[1] - 3));
  return { bytes, offsets, floats };
}

/** Patched fields: bytes in the payload, and a value all of whose bytes differ from the template's. */
const PATCHED: readonly (readonly [name: string, payloadBytes: number, other: bigint | number])[] = [
  ['diaObjectId', 9, 0x1fefdfcfbfaf9f8fn], ['diaSourceId', 9, 0x1fefdfcfbfaf9f8fn],
  ['ra', 8, -1.1e-77], ['dec', 8, -1.1e-77], ['midpointMjdTai', 8, -1.1e-77], ['nDiaSources', 1, 62],
];

/** Many rows that differ from a template in few bytes. */
class TemplateRows {
  readonly #template: Template;
  readonly #buffer: Buffer;
  #at: number;

  constructor(template: Template, count: number) {
    this.#template = template;
    const empty = new CopyBinaryWriter(64).finish();
    this.#buffer = Buffer.allocUnsafe(empty.length + count * template.bytes.length);
    empty.copy(this.#buffer);
    this.#at = empty.length - 2 - template.bytes.length;
  }

  next(): void {
    this.#at += this.#template.bytes.length;
    this.#template.bytes.copy(this.#buffer, this.#at);
  }

  long(name: string, value: bigint): void {
    const [column, payload] = this.#offsets(name);
    this.#buffer.writeBigInt64BE(value, column);
    let rest = value << 1n;
    for (let k = 0; k < 9; k++, rest >>= 7n) this.#buffer[payload + k] = Number(rest & 0x7fn) | (k < 8 ? 0x80 : 0);
  }

  double(name: string, value: number): void {
    const [column, payload] = this.#offsets(name);
    this.#buffer.writeDoubleBE(value, column);
    this.#buffer.writeDoubleLE(value, payload);
  }

  integer(name: string, value: number): void {
    const [column, payload] = this.#offsets(name);
    this.#buffer.writeInt32BE(value, column);
    this.#buffer[payload] = 2 * value;
  }

  position(ra: number, dec: number, pixel: number): void {
    this.double('ra', ra);
    this.double('dec', dec);
    const [home, own] = this.#offsets('pixels');
    this.#buffer.writeInt32BE(pixel, home);
    this.#buffer.writeInt32BE(pixel, own);
  }

  /** Other mantissas in every float of the payload; signs and exponents stay. */
  scramble(random: () => number): void {
    for (const offset of this.#template.floats) this.#buffer.writeUInt16LE((random() * 65_536) | 0, this.#at + offset);
  }

  finish(): Buffer {
    const end = this.#at + this.#template.bytes.length;
    this.#buffer.writeInt16BE(-1, end);
    return this.#buffer.subarray(0, end + 2);
  }

  #offsets(name: string): [number, number] {
    const found = this.#template.offsets.get(name);
    if (found === undefined) throw new Error(`the template has no field ${name}`);
    return [this.#at + found[0], this.#at + found[1]];
  }
}

/** Every float and double measured, every flag known: the longest rows that are common. */
function newSourceRow(): DiaSource {
  return filled('diaSource', newDiaSource({
    diaSourceId: 1n << 61n, diaObjectId: 1n << 61n, visit: 2026112000123n, detector: 94, midpointMjdTai: 61_000.5,
    ra: 1, dec: 1, x: 1234.5, y: 2345.6, timeProcessedMjdTai: 61_000.51, bboxSize: 31, band: 'r',
  }));
}

function newObjectRow(): DiaObject {
  return filled('diaObject', newDiaObject({
    diaObjectId: 1n << 61n, validityStartMjdTai: 61_000.5, ra: 1, dec: 1, nDiaSources: 1,
  }));
}

export function filled<Row extends object>(record: 'diaSource' | 'diaObject', row: Row): Row {
  const values = { ...row } as Record<string, unknown>; // Row types have no index signature.
  for (const { name, kind, isNullable } of recordFields(record, ALERT_SCHEMA_VERSION)) {
    if (!isNullable || values[name] !== null || name === 'timeWithdrawnMjdTai') continue;
    if (kind === 'float' || kind === 'double') values[name] = name.endsWith('Err') ? 2.7e-5 : 0.83;
    else if (kind === 'boolean') values[name] = false;
  }
  return values as Row; // Nulls of numbers became numbers.
}

const RAD = Math.PI / 180;

/** The point at a distance and a position angle from `CENTER`, degrees. */
export function offsetFrom(distanceRadians: number, angle: number): { ra: number; dec: number } {
  const [sinDec0, cosDec0] = [Math.sin(CENTER.decDeg * RAD), Math.cos(CENTER.decDeg * RAD)];
  const [sinD, cosD] = [Math.sin(distanceRadians), Math.cos(distanceRadians)];
  const sinDec = sinDec0 * cosD + cosDec0 * sinD * Math.cos(angle);
  const dRa = Math.atan2(Math.sin(angle) * sinD * cosDec0, cosD - sinDec0 * sinDec);
  return { ra: (CENTER.raDeg + dRa / RAD + 360) % 360, dec: Math.asin(sinDec) / RAD };
}

export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Mulberry32: seeded, 32 bits of state, uniform in [0, 1). */
export function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
