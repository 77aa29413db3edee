/** `vesper apdb …`: the prompt database for people: objects, cones, sources, what there is, and its proof. */
import type { Apdb } from '../../apdb/apdb.ts';
import { decodeDiaForcedSource, decodeDiaObject, decodeDiaSource } from '../../schemas/avro.ts';
import { commitPosition, partsOfCommitPosition, type CommitPosition } from '../../schemas/ids.ts';
import type {
  ApdbConeOptions, ApdbMaintainOptions, ApdbObjectOptions, ApdbQueryOptions, ApdbRebuildOptions, ApdbSourcesOptions,
  RecordedOptions,
} from '../setup/arguments.mjs';
import { catchUp } from '../stream/projector.ts';
import { note, print, printJson, table, toJson } from './output.ts';
import { deliver, formatted, tableOf, type RowFormat } from './rowFormats.ts';
import { chooseNight, withOpenStores, type OpenStores } from './stores.ts';

const OBJECT_COLUMNS = [
  'diaObjectId', 'ra', 'dec', 'nDiaSources', 'firstDiaSourceMjdTai', 'lastDiaSourceMjdTai', 'validityStartMjdTai',
];
const SOURCE_COLUMNS = [
  'diaSourceId', 'diaObjectId', 'midpointMjdTai', 'band', 'ra', 'dec', 'psfFlux', 'psfFluxErr', 'snr', 'reliability',
];
const FORCED_COLUMNS = ['diaForcedSourceId', 'midpointMjdTai', 'band', 'psfFlux', 'psfFluxErr', 'scienceFlux'];
const SOURCES_A_READ = 10_000;

/** One object: its row as of a commit, and its light curve. */
export async function runApdbObject(id: string, options: ApdbObjectOptions): Promise<number> {
  return withApdb(options, 'apdb object', async ({ apdb }) => {
    const asOf = await positionOf(apdb, options.asOf);
    const [history] = await apdb.loadObjects([BigInt(id)], -Infinity, asOf);
    if (history === undefined) throw new Error(`diaObject ${id} is not in the APDB as of commit ${asOf}`);
    const diaObject = decodeDiaObject(history.diaObject);
    const diaSources = history.sources.payloads().map(decodeDiaSource);
    const diaForcedSources = history.forcedSources.payloads().map(decodeDiaForcedSource);
    const format = formatOf(options);
    if (format === 'json') {
      deliver(`${toJson({ position: asOf, diaObject, diaSources, diaForcedSources })}\n`, options.out);
    } else if (format === 'table') {
      deliver([
        tableOf(OBJECT_COLUMNS, [diaObject]), '', tableOf(SOURCE_COLUMNS, diaSources), '',
        diaForcedSources.length === 0 ? 'no forced sources' : tableOf(FORCED_COLUMNS, diaForcedSources), '',
      ].join('\n'), options.out);
    } else {
      const rows = { object: [diaObject], sources: diaSources, forced: diaForcedSources }[options.what];
      const record = ({ object: 'diaObject', sources: 'diaSource', forced: 'diaForcedSource' } as const)[options.what];
      deliver(await formatted(format, record, rows, []), options.out);
    }
    return 0;
  });
}

/** Objects around a position, nearest first. */
export async function runApdbCone(
  { ra, dec, radius }: Readonly<{ ra: number; dec: number; radius: number }>, options: ApdbConeOptions,
): Promise<number> {
  return withApdb(options, 'apdb cone', async ({ apdb }) => {
    const asOf = await positionOf(apdb, options.asOf);
    // Histories are not asked for: none is as late as this.
    const region = await apdb.loadRegion({ raDeg: ra, decDeg: dec, radiusDeg: radius }, 1e9, asOf);
    const rows = region.objects.map(({ diaObject }) => decodeDiaObject(diaObject))
      .map((row) => ({ ...row, separationArcsec: separationArcsec(ra, dec, row.ra, row.dec) }))
      .sort((a, b) => a.separationArcsec - b.separationArcsec);
    const columns = ['separationArcsec', ...OBJECT_COLUMNS];
    deliver(await formatted(formatOf(options), 'diaObject', rows, columns), options.out);
    return 0;
  });
}

/** diaSources since a time, in its order. */
export async function runApdbSources(options: ApdbSourcesOptions): Promise<number> {
  return withApdb(options, 'apdb sources', async ({ apdb }) => {
    const rows = [];
    let after = { midpointMjdTai: options.since, diaSourceId: -1n };
    while (rows.length < options.limit) {
      const read = await apdb.sourcesAfter(after, Math.min(SOURCES_A_READ, options.limit - rows.length));
      if (read.length === 0) break;
      rows.push(...read.map(({ payload }) => decodeDiaSource(payload)));
      after = read[read.length - 1];
    }
    if (rows.length === options.limit) note(`the first ${rows.length}; more with --limit`);
    deliver(await formatted(formatOf(options), 'diaSource', rows, SOURCE_COLUMNS), options.out);
    return 0;
  });
}

/** Pairs of objects that may be one. Exit 1 when there is any. */
export async function runApdbDuplicates(options: RecordedOptions & Readonly<{ radius: number }>): Promise<number> {
  return withApdb(options, 'apdb duplicates', async ({ apdb, instrument }) => {
    const pairs = await apdb.pairsWithin(options.radius);
    if (options.json) printJson({ instrument, radiusArcsec: options.radius, pairs });
    else if (pairs.length === 0) print(`no two objects of ${instrument} lie within ${options.radius}″`);
    else print(tableOf(['separationArcsec', 'first', 'second'], pairs));
    return pairs.length === 0 ? 0 : 1;
  });
}

export async function runApdbStats(options: RecordedOptions): Promise<number> {
  return withApdb(options, 'apdb stats', async ({ apdb, instrument }) => {
    const stats = await apdb.stats();
    if (options.json) { printJson({ instrument, ...stats }); return 0; }
    print(`APDB of ${instrument}: commit ${stats.sequence} of ${stats.dayObs}, ${stats.partitions} partitions of `
      + `${stats.partitionDays} days, sources of MJD ${stats.firstMjdTai ?? '–'} … ${stats.lastMjdTai ?? '–'}`);
    print(table(['table', 'rows', 'MB'], Object.entries(stats.tables).map(([name, { rows, bytes }]) => (
      [name, String(rows), (bytes / 1e6).toFixed(1)]))));
    return 0;
  });
}

/** Drops the tables, or what came since a night, fills them from the log, and compares digests of every table. */
export async function runApdbRebuild(options: ApdbRebuildOptions): Promise<number> {
  return withApdb(options, 'apdb rebuild', async ({ apdb, log, instrument }) => {
    const position = await catchUp(log, apdb, instrument, options.dataDir);
    const before = await apdb.digest();
    const startMs = performance.now();
    const { retainedFromMjdTai } = await apdb.stats();
    if (options.night === null) {
      await apdb.reset();
      // What retention has dropped stays away.
      await apdb.maintain(retainedFromMjdTai);
    } else {
      await apdb.rewind(commitPosition((await chooseNight(log, instrument, options.night)).dayObs, 0));
    }
    await catchUp(log, apdb, instrument, options.dataDir);
    const after = await apdb.digest();
    const tables = Object.entries(before).map(([name, digest]) => (
      { table: name, digest, equal: after[name as keyof typeof after] === digest }));
    const equal = tables.every((one) => one.equal);
    const seconds = (performance.now() - startMs) / 1000;
    const { dayObs, sequence } = partsOfCommitPosition(position);
    if (options.json) printJson({ instrument, position, since: options.night, seconds, equal, tables });
    else {
      print(`rebuilt ${options.night === null ? 'all' : `since night ${options.night}`} of ${instrument} `
        + `up to commit ${sequence} of ${dayObs} in ${seconds.toFixed(1)} s: `
        + `${equal ? 'every table has the same rows' : 'TABLES DIFFER'}`);
      print(table(['table', 'digest', 'same'], tables.map((one) => (
        [one.table, one.digest.slice(0, 16), one.equal ? 'yes' : 'NO']))));
    }
    return equal ? 0 : 1;
  });
}

/** Drops sources that are older than packets look back to, and puts finished months in the order they are read in. */
export async function runApdbMaintain(options: ApdbMaintainOptions): Promise<number> {
  return withApdb(options, 'apdb maintain', async ({ apdb, instrument }) => {
    const { keepDays } = options, { lastMjdTai } = await apdb.stats();
    const startMs = performance.now();
    const done = await apdb.maintain(keepDays === null || lastMjdTai === null ? null : lastMjdTai - keepDays);
    const seconds = (performance.now() - startMs) / 1000;
    if (options.json) { printJson({ instrument, keepDays, ...done, seconds }); return 0; }
    print(`APDB of ${instrument}: ${done.droppedPartitions} partitions dropped, `
      + `${done.clusteredPartitions} clustered, ${done.packedTiles} tiles packed in ${seconds.toFixed(1)} s; sources are kept ${
        done.retainedFromMjdTai === null ? 'without end' : `from MJD ${done.retainedFromMjdTai} on`}`);
    return 0;
  });
}

function formatOf({ json, format }: ApdbQueryOptions): RowFormat {
  return json ? 'json' : format;
}

async function withApdb<Options extends Readonly<{ dataDir: string; instrument: string | null }>>(
  { dataDir, instrument }: Options, command: string,
  work: (opened: Readonly<{ apdb: Apdb; log: OpenStores['log']; instrument: string }>) => Promise<number>,
): Promise<number> {
  return withOpenStores(dataDir, command, async ({ log, openApdb }) => {
    const chosen = (await chooseNight(log, instrument, null)).instrument;
    return work({ apdb: await openApdb(chosen), log, instrument: chosen });
  });
}

async function positionOf(apdb: Apdb, asOf: string | null): Promise<CommitPosition> {
  if (asOf === null) return apdb.position();
  const { dayObs, sequence } = partsOfCommitPosition(Number(asOf) as CommitPosition); // Checked by what follows.
  return commitPosition(dayObs, sequence);
}

function separationArcsec(raA: number, decA: number, raB: number, decB: number): number {
  const rad = Math.PI / 180;
  const sinDec = Math.sin(((decB - decA) * rad) / 2), sinRa = Math.sin(((raB - raA) * rad) / 2);
  const h = sinDec * sinDec + Math.cos(decA * rad) * Math.cos(decB * rad) * sinRa * sinRa;
  return (2 * Math.asin(Math.min(1, Math.sqrt(h))) * 3600) / rad;
}
