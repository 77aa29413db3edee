/** `vesper apdb reassign|withdraw|close|merge`: day-time corrections, each an entry of the log with its reason. */
import { decodeDiaObject, decodeDiaSource, decodeSsSource } from '../../schemas/avro.ts';
import { loadCamera } from '../../schemas/camera.ts';
import type { DiaSource } from '../../schemas/diaRows.ts';
import { dayObsOfVisit, partsOfCommitPosition, partsOfDiaSourceId, type DayObs } from '../../schemas/ids.ts';
import { ProductCatalog } from '../archive/productCatalog.ts';
import type { ApdbCorrectOptions, ApdbReassignOptions } from '../setup/arguments.mjs';
import { correctSky, type CorrectedSky } from '../stream/correctSky.ts';
import type { KnownBodies, NearBody } from '../stream/knownBodies.ts';
import type { Log } from '../stream/log.ts';
import { lastNightOpened } from '../stream/observatory.ts';
import type { CorrectionRequest } from '../stream/planCorrection.ts';
import { bodiesOfNight } from './orbitCatalogue.ts';
import { note, print, printJson } from './output.ts';
import { chooseNight, withOpenStores } from './stores.ts';

/** How far from its source a body is looked for, degrees: what a poor orbit is off by after years. */
const BODY_RADIUS_DEG = 1;

export async function runApdbReassign(list: string, options: ApdbReassignOptions): Promise<number> {
  const { toObject, toBody } = options, diaSourceIds = idsOf('diaSources', list);
  if ((toObject === null) === (toBody === null)) throw new Error('apdb reassign needs either --to-object or --to-body');
  return correct('apdb reassign', options, async (night) => {
    const { reason } = options;
    if (toObject !== null) return { kind: 'reassignedToObject', reason, diaSourceIds, toDiaObjectId: BigInt(toObject) };
    const bodyAt = bodyFinder(night, toBody ?? '');
    const [first] = await night.apdb.loadSources(diaSourceIds.slice(0, 1));
    if (!first) throw new Error(`diaSource ${diaSourceIds[0]} is not in the APDB`);
    const { ssObjectId } = await bodyAt(decodeDiaSource(first.payload));
    return { kind: 'reassignedToBody', reason, diaSourceIds, toSsObjectId: ssObjectId, bodyAt };
  });
}

export async function runApdbWithdraw(list: string, options: ApdbCorrectOptions): Promise<number> {
  const diaSourceIds = idsOf('diaSources', list);
  return correct('apdb withdraw', options, async () => ({ kind: 'withdrawn', reason: options.reason, diaSourceIds }));
}

export async function runApdbClose(list: string, options: ApdbCorrectOptions): Promise<number> {
  const diaObjectIds = idsOf('diaObjects', list);
  return correct('apdb close', options, async () => ({ kind: 'closed', reason: options.reason, diaObjectIds }));
}

/** The first object gets the sources of the others, which are closed. */
export async function runApdbMerge(into: string, list: string, options: ApdbCorrectOptions): Promise<number> {
  const diaObjectIds = idsOf('diaObjects', list);
  return correct('apdb merge', options, async () => (
    { kind: 'merged', reason: options.reason, toDiaObjectId: BigInt(into), diaObjectIds }));
}

type Night = Readonly<{
  log: Log; instrument: string; dataDir: string; apdb: Parameters<typeof correctSky>[0]['apdb'];
}>;

async function correct(
  command: string, options: ApdbCorrectOptions, requestOf: (night: Night) => Promise<CorrectionRequest>,
): Promise<number> {
  const { dataDir, json, dryRun } = options;
  if (options.reason.trim() === '') throw new Error('--reason is empty: say why, for whoever reads the log later');
  return withOpenStores(dataDir, command, async ({ log, openApdb }) => {
    const { instrument } = await chooseNight(log, options.instrument, null);
    const apdb = await openApdb(instrument);
    const night = { log, instrument, dataDir, apdb };
    const done = await correctSky({ ...night, now: Date.now }, await requestOf(night), dryRun);
    if (json) printJson({ instrument, ...summaryOf(done) });
    else print(textOf(done));
    return 0;
  });
}

function summaryOf({ corrected, position }: CorrectedSky) {
  const { kind, reason, toDiaObjectId, toSsObjectId, moved, closedDiaObjectIds, diaObjects, ssSources } = corrected;
  return {
    position, written: position !== null, kind, reason, toDiaObjectId, toSsObjectId, diaSources: moved,
    diaObjects: diaObjects.map(decodeDiaObject).map(({ diaObjectId, ra, dec, nDiaSources }) => (
      { diaObjectId, ra, dec, nDiaSources })),
    closedDiaObjectIds,
    // In the order of the sources.
    ssSources: ssSources.map((payload) => {
      const { designation, ephOffset: ephOffsetArcsec } = decodeSsSource(payload);
      return { designation, ephOffsetArcsec };
    }),
  };
}

function textOf(done: CorrectedSky): string {
  const { kind, diaSources, diaObjects, closedDiaObjectIds, ssSources, position } = summaryOf(done);
  const at = position === null ? 'tried, nothing written'
    : `commit ${partsOfCommitPosition(position).sequence} of ${partsOfCommitPosition(position).dayObs}`;
  return [
    `${kind}: ${diaSources.length} diaSources, ${diaObjects.length} diaObjects changed, `
      + `${closedDiaObjectIds.length} closed (${at})`,
    ...diaSources.map(({ diaSourceId, fromDiaObjectId: from }, k) => (
      `  diaSource ${diaSourceId} was of ${from === null ? 'no diaObject' : `diaObject ${from}`}`
        + placeOf(ssSources[k]))),
    ...diaObjects.map(({ diaObjectId, nDiaSources }) => `  diaObject ${diaObjectId} has ${nDiaSources} diaSources now`),
    ...closedDiaObjectIds.map((id) => `  diaObject ${id} is closed`),
  ].join('\n');
}

/** How well a body's orbit leads to its new source: who has named another one sees it here. */
function placeOf(seen: ReturnType<typeof summaryOf>['ssSources'][number] | undefined): string {
  if (seen === undefined) return '';
  return `, and lies ${seen.ephOffsetArcsec?.toFixed(2) ?? '–'}″ from where ${seen.designation} was predicted`;
}

/** Finds a body by its name where its orbit predicts it, near each source. */
function bodyFinder({ log, instrument, dataDir }: Night, name: string): (source: DiaSource) => Promise<NearBody> {
  const nights = new Map<DayObs, Promise<KnownBodies | null>>();
  const open = async (dayObs: DayObs) => {
    const camera = (await lastNightOpened(log, instrument))?.arguments.camera ?? instrument;
    return bodiesOfNight(new ProductCatalog(dataDir, instrument), loadCamera(camera), dayObs, note);
  };
  return async ({ diaSourceId, ra, dec, midpointMjdTai }) => {
    const dayObs = dayObsOfVisit(partsOfDiaSourceId(diaSourceId).visit);
    const opened = nights.get(dayObs) ?? open(dayObs);
    nights.set(dayObs, opened);
    const bodies = await opened;
    if (!bodies) throw new Error(`${instrument} has no orbits for ${dayObs}: \`vesper orbits import\` brings some`);
    const body = bodies.near({ raDeg: ra, decDeg: dec, radiusDeg: BODY_RADIUS_DEG }, midpointMjdTai)
      .find(({ ssObjectId, orbit }) => [String(ssObjectId), orbit.designation, orbit.packed].includes(name));
    if (body) return body;
    throw new Error(`no orbit of a body ${name} leads within ${BODY_RADIUS_DEG}° of diaSource ${diaSourceId}`);
  };
}

function idsOf(what: string, list: string): bigint[] {
  const ids = list.split(',').map((text) => text.trim());
  const bad = ids.find((text) => !/^\d{1,19}$/.test(text) || BigInt(text) >= 2n ** 63n);
  if (bad !== undefined) throw new Error(`${what} must be decimal numbers below 2⁶³ with commas between, not "${bad}"`);
  if (new Set(ids).size < ids.length) throw new Error(`${what}: one comes twice`);
  return ids.map(BigInt);
}
