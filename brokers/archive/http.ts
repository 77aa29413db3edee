/** The archive over HTTP, read-only: one alert, its cutouts, what lies in a cone, an object's light curve. */
import { asDayObs, partsOfDiaSourceId, type DayObs } from '../../schemas/ids.ts';
import { decodeDiaSource } from '../../schemas/avro.ts';
import { decodeAlert, splitPacket, withoutCutouts } from '../../schemas/packet.ts';
import { brokersConfig } from '../config.ts';
import { embargoEndMs, readPolicy } from '../policy.ts';
import { cutoutPng } from './cutoutImage.ts';
import { lightCurveOf, lightCurveSvg } from './lightCurve.ts';
import { voEventOf } from './voevent.ts';
import { archivedNights, findAlert, findArchivedAlert, findNewestOfObject, searchNight } from './reader.ts';

export type ArchiveLocation = Readonly<{
  dataDir: string;
  instrument: string;
  /** Unless false, VOEvents are marked as tests. */
  isSimulated?: boolean;
}>;

export type ArchiveAnswer = Readonly<{
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string | Buffer;
}>;

const CUTOUTS = { difference: 'cutoutDifference', science: 'cutoutScience', template: 'cutoutTemplate' } as const;
type CutoutName = keyof typeof CUTOUTS;

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-cache' } as const;
/** An archive as somebody sees it. */
type ViewedArchive = ArchiveLocation & Readonly<{ hasPixels: boolean }>;

/** Tells in an answer until when its packet is without cutouts. */
const WITHHELD_HEADER = 'x-pixels-withheld-until';

/** When the asker may see the pixels, ISO 8601; null when that is now. */
function pixelsWithheldUntil({ dataDir, hasPixels }: ViewedArchive, packet: Uint8Array): string | null {
  if (hasPixels) return null;
  const endMs = embargoEndMs(readPolicy(dataDir), decodeDiaSource(splitPacket(packet).diaSource), Date.now());
  return endMs === null ? null : new Date(endMs).toISOString();
}

/** Media types that ask for the bytes as sent. */
const RAW_TYPES: ReadonlySet<string> = new Set(['application/octet-stream', 'application/avro', 'avro/binary']);

/** A request that cannot be answered: its status and the one line to say. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Whether a request is for the archive. */
export function isArchivePath(path: string): boolean {
  return /^\/(alerts|objects)([/?]|$)/.test(path);
}

/**
 * Answers GET on
 * - `/alerts/{diaSourceId}`: the alert as JSON; with `Accept: application/avro` (or octet-stream) the framed bytes as
 * they were sent;
 * - `/alerts/{diaSourceId}/cutouts/{difference|science|template}` as FITS, with `.png` as a picture;
 * - `/alerts/{diaSourceId}/neighbours`: the nearest catalogued stars and galaxies (`schemas/neighbours.ts`);
 * - `/alerts/{diaSourceId}/voevent.xml`: the same as VOEvent 2.0;
 * - `/alerts?ra=DEG&dec=DEG&radius=ARCSEC[&from=MJD][&to=MJD][&night=YYYYMMDD][&limit=N]`: the alerts of a night in a
 * cone, and in a span of exposure times (TAI), which may stand alone;
 * - `/objects/{diaObjectId}/lightcurve`: JSON, with `.svg` a plot.
 *
 * Ids are decimal strings in JSON. Whatever a request holds, nothing but digits and fixed words of it is used to find
 * files, and none of it is repeated in an answer.
 *
 * @param hasPixels False of a user from whom pixels are withheld for the time of the policy: cutouts are refused, and
 * packets come without them.
 * @throws Error when the archive is damaged or cannot be read.
 */
export async function answerArchiveRequest(
  location: ArchiveLocation, method: string, url: string, accept?: string, hasPixels = true,
): Promise<ArchiveAnswer> {
  const archive = { ...location, hasPixels };
  try {
    if (method !== 'GET') throw new Refusal(405, 'only GET');
    const [path, query = ''] = url.split('?', 2);
    const [, kind, id, ...rest] = path.split('/');
    if (kind === 'alerts' && id === undefined) return await answerCone(archive, new URLSearchParams(query));
    if (kind === 'alerts' && rest.length === 0) return await answerAlert(archive, asId(id), accept);
    if (kind === 'alerts' && rest.length === 2 && rest[0] === 'cutouts') {
      return await answerCutout(archive, asId(id), rest[1]);
    }
    if (kind === 'alerts' && rest.length === 1 && rest[0] === 'voevent.xml') {
      return await answerVoEvent(archive, asId(id));
    }
    if (kind === 'alerts' && rest.length === 1 && rest[0] === 'neighbours') {
      return await answerNeighbours(archive, asId(id));
    }
    if (kind === 'objects' && rest.length === 1) return await answerLightCurve(archive, asId(id), rest[0]);
    throw new Refusal(404, 'not found');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const allow: Record<string, string> = error.status === 405 ? { allow: 'GET' } : {};
    return { status: error.status, headers: { ...JSON_TYPE, ...allow }, body: json({ error: error.message }) };
  }
}

async function answerAlert(archive: ViewedArchive, id: bigint, accept = ''): Promise<ArchiveAnswer> {
  const packet = await alertOf(archive, id), withheldUntil = pixelsWithheldUntil(archive, packet);
  if (accept.split(',').some((part) => RAW_TYPES.has(part.split(';', 1)[0].trim().toLowerCase()))) {
    const told = withheldUntil === null ? packet : withoutCutouts(packet);
    const raw = file('application/octet-stream', `${id}.avro-framed`, told);
    return withheldUntil === null ? raw : { ...raw, headers: { ...raw.headers, [WITHHELD_HEADER]: withheldUntil } };
  }
  const cutoutUrl = (name: CutoutName, bytes: Uint8Array | null): string | null =>
    bytes === null || withheldUntil !== null ? null : `/alerts/${id}/cutouts/${name}`;
  const alert = decodeAlert(packet);
  const links = Object.entries(CUTOUTS).map(([name, field]) => [field, cutoutUrl(name as CutoutName, alert[field])]);
  return { status: 200, headers: JSON_TYPE, body: json({
    ...alert, ...Object.fromEntries(links), ...(withheldUntil !== null && { pixelsWithheldUntil: withheldUntil }),
  }) };
}

async function answerVoEvent(archive: ArchiveLocation, id: bigint): Promise<ArchiveAnswer> {
  const alert = decodeAlert(await alertOf(archive, id));
  const body = voEventOf(alert, archive.instrument, archive.isSimulated === false ? 'observation' : 'test');
  return { status: 200, headers: { 'content-type': 'application/xml; charset=utf-8' }, body };
}

async function answerNeighbours({ dataDir, instrument }: ArchiveLocation, id: bigint): Promise<ArchiveAnswer> {
  const alert = isDiaSourceId(id) ? await findArchivedAlert(dataDir, instrument, id) : null;
  if (alert === null) throw new Refusal(404, 'there is no such alert');
  if (alert.neighbours === null) throw new Refusal(404, 'no catalogue was looked at for this alert');
  return { status: 200, headers: JSON_TYPE, body: alert.neighbours };
}

async function answerCutout(archive: ViewedArchive, id: bigint, asked: string): Promise<ArchiveAnswer> {
  const [, name, extension = 'fits'] = /^(difference|science|template)(?:\.(fits|png))?$/.exec(asked) ?? [];
  if (name === undefined) throw new Refusal(404, 'a cutout is difference, science or template, .fits or .png');
  const packet = await alertOf(archive, id), withheldUntil = pixelsWithheldUntil(archive, packet);
  if (withheldUntil !== null) throw new Refusal(403, `pixels of this alert are withheld until ${withheldUntil}`);
  const parts = splitPacket(packet);
  const fits = parts[CUTOUTS[name as CutoutName]]; // One of the three that the expression lets through.
  if (fits === null) throw new Refusal(404, `this alert has no ${name} cutout`);
  if (extension === 'png') return { status: 200, headers: { 'content-type': 'image/png' }, body: cutoutPng(fits) };
  return file('application/fits', `${id}-${name}.fits`, Buffer.from(fits));
}

async function answerCone(archive: ArchiveLocation, query: URLSearchParams): Promise<ArchiveAnswer> {
  const known = ['ra', 'dec', 'radius', 'from', 'to', 'night', 'limit'];
  if ([...query.keys()].some((name) => !known.includes(name))) {
    throw new Refusal(400, `a search is given by ${known.join(', ')}`);
  }
  const isTimed = query.has('from') || query.has('to');
  const hasCone = !isTimed || ['ra', 'dec', 'radius'].some((name) => query.has(name));
  const cone = !hasCone ? null : {
    raDeg: asNumber(query, 'ra', 0, 360),
    decDeg: asNumber(query, 'dec', -90, 90),
    radiusArcsec: asNumber(query, 'radius', 0, brokersConfig.coneRadiusArcsecMax),
  };
  const { coneAlertsMax } = brokersConfig;
  const limit = query.has('limit') ? asNumber(query, 'limit', 1, coneAlertsMax) : coneAlertsMax;
  const night = await asNight(archive, query);
  const search = { cone, fromMjdTai: asTime(query, 'from'), toMjdTai: asTime(query, 'to') };
  const { found, entries } = night === null ? { found: 0, entries: [] }
    : await searchNight(archive.dataDir, archive.instrument, night, search, Math.floor(limit));
  const alerts = entries.map(({ diaSourceId, diaObjectId, raDeg, decDeg, mjdTai }) => ({
    diaSourceId, diaObjectId, ra: raDeg, dec: decDeg, midpointMjdTai: mjdTai,
  }));
  return { status: 200, headers: JSON_TYPE, body: json({ night, found, alerts }) };
}

async function answerLightCurve(archive: ArchiveLocation, id: bigint, name: string): Promise<ArchiveAnswer> {
  if (!['lightcurve', 'lightcurve.svg', 'lightcurve.json'].includes(name)) throw new Refusal(404, 'not found');
  const packet = await findNewestOfObject(archive.dataDir, archive.instrument, id);
  if (packet === null) throw new Refusal(404, 'no alert of this object is in the archive');
  const curve = lightCurveOf(id, decodeAlert(packet));
  if (name !== 'lightcurve.svg') return { status: 200, headers: JSON_TYPE, body: json(curve) };
  return { status: 200, headers: { 'content-type': 'image/svg+xml; charset=utf-8' }, body: lightCurveSvg(curve) };
}

async function alertOf({ dataDir, instrument }: ArchiveLocation, id: bigint): Promise<Buffer> {
  const packet = isDiaSourceId(id) ? await findAlert(dataDir, instrument, id) : null;
  if (packet === null) throw new Refusal(404, 'no such alert');
  return packet;
}

function isDiaSourceId(id: bigint): boolean {
  try {
    partsOfDiaSourceId(id);
    return true;
  } catch {
    return false; // A sequence number that no night has.
  }
}

function asId(text: string): bigint {
  const id = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  if (id <= 0n || id >= 2n ** 63n) throw new Refusal(400, 'an id is a decimal number from 1 to 2^63 - 1');
  return id;
}

function asNumber(query: URLSearchParams, name: string, min: number, max: number): number {
  const given = query.getAll(name);
  const isOne = given.length === 1 && /^[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})$/.test(given[0]);
  const value = isOne ? Number(given[0]) : NaN;
  if (value >= min && value <= max) return value;
  throw new Refusal(400, `${name} is to be one number from ${min} to ${max}`);
}

/** A limit of time, MJD TAI; null when it is not given. */
function asTime(query: URLSearchParams, name: string): number | null {
  return query.has(name) ? asNumber(query, name, 0, MJD_MAX) : null;
}

/** In the year 2132. */
const MJD_MAX = 100_000;

/** The night asked for, else the newest of the archive; null when that is empty. */
async function asNight({ dataDir, instrument }: ArchiveLocation, query: URLSearchParams): Promise<DayObs | null> {
  const given = query.getAll('night');
  if (given.length === 0) return (await archivedNights(dataDir, instrument)).at(-1) ?? null;
  try {
    if (given.length === 1 && /^\d{8}$/.test(given[0])) return asDayObs(Number(given[0]));
  } catch {
    // No day of the calendar: refused like everything else that is no night.
  }
  throw new Refusal(400, 'night is to be one date YYYYMMDD');
}

function file(type: string, name: string, body: Buffer): ArchiveAnswer {
  const headers = { 'content-type': type, 'content-disposition': `attachment; filename="${name}"` };
  return { status: 200, headers, body };
}

/** 64-bit ids are decimal strings in all JSON. */
function json(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? item.toString() : item));
}
