/**
 * An alert as a VOEvent 2.0 packet (IVOA Recommendation 2011-07-11), for follow-up networks that speak it. A function of
 * the alert alone: the same alert always gives the same bytes.
 */
import type { Alert } from '../../schemas/diaRows.ts';
import { unixMsOfMjdTai } from '../../schemas/time.ts';

/** Identifier of whom events are from, and of the stream that they belong to: a registered authority replaces it. */
export const VOEVENT_AUTHORITY = 'ivo://vesper';

/** `test` is for simulated nights: robots must not point telescopes at them. */
export type VoEventRole = 'observation' | 'test';

type Param = Readonly<{ name: string; value: string | null; unit?: string; ucd: string; type: 'float' | 'int' | 'string' }>;

export function voEventOf(alert: Alert, instrument: string, role: VoEventRole): string {
  const { diaSource: source, diaObject: object } = alert;
  const id = `${VOEVENT_AUTHORITY}/${instrument}#${alert.diaSourceId}`;
  const isoTime = (mjdTai: number): string => new Date(unixMsOfMjdTai(mjdTai)).toISOString().slice(0, -1);
  const params: readonly Param[] = [
    { name: 'diaSourceId', value: String(alert.diaSourceId), ucd: 'meta.id', type: 'string' },
    { name: 'diaObjectId', value: textOf(source.diaObjectId), ucd: 'meta.id', type: 'string' },
    { name: 'ssObjectId', value: textOf(source.ssObjectId), ucd: 'meta.id', type: 'string' },
    { name: 'band', value: source.band, ucd: 'instr.bandpass', type: 'string' },
    { name: 'psfFlux', value: textOf(source.psfFlux), unit: 'nJy', ucd: 'phot.flux', type: 'float' },
    { name: 'psfFluxErr', value: textOf(source.psfFluxErr), unit: 'nJy', ucd: 'stat.error;phot.flux', type: 'float' },
    { name: 'snr', value: textOf(source.snr), ucd: 'stat.snr', type: 'float' },
    { name: 'reliability', value: textOf(source.reliability), ucd: 'stat.probability', type: 'float' },
    { name: 'nDiaSources', value: textOf(object?.nDiaSources ?? null), ucd: 'meta.number', type: 'int' },
    { name: 'firstDetection', value: textOf(object?.firstDiaSourceMjdTai ?? null), unit: 'd', ucd: 'time.epoch',
      type: 'float' },
  ];
  // Position errors are of one axis, 1 σ, degrees; without one the field stays empty of it.
  const radiusDeg = Math.max(source.raErr ?? 0, source.decErr ?? 0);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<voe:VOEvent xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" `
      + 'xsi:schemaLocation="http://www.ivoa.net/xml/VOEvent/v2.0 http://www.ivoa.net/xml/VOEvent/VOEvent-v2.0.xsd" '
      + `version="2.0" role="${role}" ivorn="${escaped(id)}">`,
    '  <Who>',
    `    <AuthorIVORN>${VOEVENT_AUTHORITY}</AuthorIVORN>`,
    `    <Date>${isoTime(source.timeProcessedMjdTai)}</Date>`,
    '    <Author><title>Vesper</title></Author>',
    '  </Who>',
    '  <What>',
    ...params.filter(({ value }) => value !== null).map(({ name, value, unit, ucd, type }) =>
      `    <Param name="${name}" value="${escaped(value ?? '')}"${unit === undefined ? '' : ` unit="${unit}"`} `
      + `ucd="${ucd}" dataType="${type}"/>`),
    '  </What>',
    '  <WhereWhen>',
    '    <ObsDataLocation>',
    `      <ObservatoryLocation id="${escaped(instrument)}"/>`,
    '      <ObservationLocation>',
    '        <AstroCoordSystem id="UTC-ICRS-TOPO"/>',
    '        <AstroCoords coord_system_id="UTC-ICRS-TOPO">',
    `          <Time unit="s"><TimeInstant><ISOTime>${isoTime(source.midpointMjdTai)}</ISOTime></TimeInstant></Time>`,
    '          <Position2D unit="deg">',
    '            <Name1>RA</Name1>',
    '            <Name2>Dec</Name2>',
    `            <Value2><C1>${source.ra}</C1><C2>${source.dec}</C2></Value2>`,
    `            <Error2Radius>${radiusDeg}</Error2Radius>`,
    '          </Position2D>',
    '        </AstroCoords>',
    '      </ObservationLocation>',
    '    </ObsDataLocation>',
    '  </WhereWhen>',
    '  <Description>A change of the sky on a difference image.</Description>',
    '</voe:VOEvent>',
    '',
  ].join('\n');
}

function textOf(value: number | bigint | null): string | null {
  return value === null ? null : String(value);
}

/** Text for an attribute or an element; what XML 1.0 cannot hold at all is left out. */
function escaped(text: string): string {
  return text.replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '')
    .replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
