/** `vesper bodies`: the solar-system objects that were seen, summed up by day, and how their orbits fit. */
import type { BodyHistory } from '../../apdb/solarSystem.ts';
import { decodeMpcOrbit, decodeSsObject, decodeSsSource, encodeSsObject } from '../../schemas/avro.ts';
import type { SsObject } from '../../schemas/ssRows.ts';
import { BANDS } from '../../schemas/units.ts';
import { ssObjectRow } from '../ephemerides/ssObjectRow.ts';
import type { BodiesListOptions, RecordedOptions } from '../setup/arguments.mjs';
import { print, printJson, table } from './output.ts';
import { chooseInstrument, withOpenStores } from './stores.ts';

/**
 * Makes every SSObject anew from all of its ssSources: the day-time update. The same sources give the same rows,
 * however often it runs.
 */
export async function runBodiesUpdate(options: RecordedOptions): Promise<number> {
  return withOpenStores(options.dataDir, 'bodies update', async ({ log, openApdb }) => {
    const instrument = await chooseInstrument(log, options.instrument);
    const { solarSystem } = await openApdb(instrument);
    const bodies = await solarSystem.bodies(), objects = bodies.map(ssObjectOf);
    await solarSystem.replaceObjects(objects.map((row) => encodeSsObject(row)));
    const summary = {
      instrument, bodies: objects.length, observations: objects.reduce((sum, { nObs }) => sum + nObs, 0),
      slopesFitted: objects.reduce((sum, row) => sum + fittedBands(row), 0),
    };
    if (options.json) printJson(summary);
    else print(`${summary.bodies} bodies of ${instrument} from ${summary.observations} sources, `
      + `${summary.slopesFitted} phase slopes fitted`);
    return 0;
  });
}

/** Lists the SSObjects, or the sources of one with their residuals. */
export async function runBodiesList(options: BodiesListOptions): Promise<number> {
  return withOpenStores(options.dataDir, 'bodies list', async ({ log, openApdb }) => {
    const { solarSystem } = await openApdb(await chooseInstrument(log, options.instrument));
    if (options.object !== null) return listSources(await solarSystem.bodies(), options.object, options.json);
    const objects = (await solarSystem.objects()).map((payload) => decodeSsObject(payload));
    if (options.json) { printJson(objects); return 0; }
    if (objects.length === 0) print('no bodies yet: `vesper bodies update` sums up those that were seen');
    else print(table(['body', 'sources', 'arc d', 'H', 'band', 'MOID au', 'T Jupiter'], objects.map((row) => {
      const band = BANDS.find((name) => row[`${name}_H`] !== null) ?? null;
      return [
        row.designation ?? String(row.ssObjectId), String(row.nObs), row.arc.toFixed(3),
        band === null ? '–' : told(row[`${band}_H`], 2), band ?? '–', told(row.MOIDEarth, 3), told(row.tisserand_J, 2),
      ];
    })));
    return 0;
  });
}

function listSources(bodies: readonly BodyHistory[], name: string, isJson: boolean): number {
  const body = bodies.find(({ designation, ssObjectId }) => designation === name || String(ssObjectId) === name);
  if (!body) throw new Error(`no body ${name} was seen; ${bodies.length} others were`);
  const rows = body.observations.map(({ ssSource, ...source }) => ({ ...source, ssSource: decodeSsSource(ssSource) }));
  if (isJson) {
    const { ssObjectId, designation, orbit } = body;
    printJson({ ssObjectId, designation, orbit: orbit && decodeMpcOrbit(orbit), sources: rows });
    return 0;
  }
  const header = [
    'diaSource', 'MJD TAI', 'band', 'flux nJy', 'V pred', 'off ″', 'along ″', 'across ″', 'phase', 'Δ au',
  ];
  print(table(header, rows.map(({ diaSourceId, midpointMjdTai, band, psfFlux, ssSource }) => [
    String(diaSourceId), midpointMjdTai.toFixed(5), band ?? '–', told(psfFlux, 0), told(ssSource.ephVmag, 2),
    told(ssSource.ephOffset, 3), told(ssSource.ephOffsetAlongTrack, 3), told(ssSource.ephOffsetCrossTrack, 3),
    told(ssSource.phaseAngle, 2), told(ssSource.topoRange, 4),
  ])));
  return 0;
}

function ssObjectOf({ ssObjectId, designation, orbit, observations }: BodyHistory): SsObject {
  return ssObjectRow(ssObjectId, designation, orbit && decodeMpcOrbit(orbit), observations.map((observation) => ({
    source: observation, prediction: decodeSsSource(observation.ssSource),
  })));
}

function fittedBands(row: SsObject): number {
  return BANDS.filter((band) => row[`${band}_slope_fit_failed`] === false).length;
}

function told(value: number | null, digits: number): string {
  return value === null ? '–' : value.toFixed(digits);
}
