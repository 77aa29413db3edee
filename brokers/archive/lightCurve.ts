/** An object's light curve out of an alert about it, as data and as a small plot. */
import type { Alert } from '../../schemas/diaRows.ts';
import { BANDS, isBand, type Band } from '../../schemas/units.ts';
import { lightCurveStatistics, type LightCurveStatistics } from './lightCurveStatistics.ts';

/** A flux on the difference image, nJy, at a midpoint, MJD TAI. */
export type LightCurvePoint = Readonly<{
  midpointMjdTai: number;
  band: string | null;
  psfFlux: number | null;
  psfFluxErr: number | null;
  /** Found there by itself, or measured because something was known there. */
  kind: 'detection' | 'forced';
  /** diaSourceId or diaForcedSourceId. */
  id: bigint;
}>;

export type LightCurve = Readonly<{
  diaObjectId: bigint;
  /** The alert that it is from: the newest of the object, with its history of twelve months. */
  diaSourceId: bigint;
  raDeg: number;
  decDeg: number;
  /** Oldest first. */
  points: readonly LightCurvePoint[];
  /** Of the detections of each band that has one with a flux. */
  statistics: Readonly<Partial<Record<Band, LightCurveStatistics>>>;
}>;

export function lightCurveOf(diaObjectId: bigint, alert: Alert): LightCurve {
  const detections = [...(alert.prvDiaSources ?? []), alert.diaSource].map((row) => ({
    ...fluxOf(row), kind: 'detection' as const, id: row.diaSourceId,
  }));
  const forced = (alert.prvDiaForcedSources ?? []).map((row) => ({
    ...fluxOf(row), kind: 'forced' as const, id: row.diaForcedSourceId,
  }));
  const points = [...detections, ...forced].sort((a, b) => a.midpointMjdTai - b.midpointMjdTai);
  const { ra, dec } = alert.diaObject ?? alert.diaSource;
  return {
    diaObjectId, diaSourceId: alert.diaSourceId, raDeg: ra, decDeg: dec, points, statistics: statisticsOf(detections),
  };
}

function statisticsOf(detections: readonly LightCurvePoint[]): LightCurve['statistics'] {
  return Object.fromEntries(BANDS.flatMap((band) => {
    const statistics = lightCurveStatistics(detections.filter((point) => point.band === band));
    return statistics === null ? [] : [[band, statistics]];
  }));
}

function fluxOf(
  { midpointMjdTai, band, psfFlux, psfFluxErr }: Omit<LightCurvePoint, 'kind' | 'id'>,
): Omit<LightCurvePoint, 'kind' | 'id'> {
  return { midpointMjdTai, band, psfFlux, psfFluxErr };
}

const WIDTH = 480, HEIGHT = 240, LEFT = 70, RIGHT = 12, TOP = 24, BOTTOM = 40;
const COLOURS: Readonly<Record<string, string>> = {
  u: '#7b3fbf', g: '#1f8a3b', r: '#c8322b', i: '#b36b00', z: '#6b4a2b', y: '#333333',
};

/**
 * An SVG of flux against time: dots are detections, rings forced fluxes, bars one σ. Points without a flux are left
 * out. Its text is numbers and band letters alone, whatever the packet holds.
 */
export function lightCurveSvg({ diaObjectId, points }: LightCurve): string {
  const shown = points.flatMap((point) => (point.psfFlux === null ? [] : [{ ...point, flux: point.psfFlux }]));
  const x = axis(shown.map(({ midpointMjdTai }) => [midpointMjdTai]), LEFT, WIDTH - RIGHT);
  const y = axis(shown.map(({ flux, psfFluxErr }) => [flux - (psfFluxErr ?? 0), flux + (psfFluxErr ?? 0)]),
    HEIGHT - BOTTOM, TOP);
  const marks = shown.map(({ midpointMjdTai, flux, psfFluxErr, band, kind }) => {
    const colour = band !== null && isBand(band) ? COLOURS[band] : '#888888';
    const cx = x.at(midpointMjdTai), error = psfFluxErr ?? 0;
    const fill = kind === 'detection' ? colour : 'none';
    return `<path d="M${cx} ${y.at(flux - error)}V${y.at(flux + error)}" stroke="${colour}"/>`
      + `<circle cx="${cx}" cy="${y.at(flux)}" r="3" fill="${fill}" stroke="${colour}"/>`;
  });
  const bands = [...new Set(shown.flatMap(({ band }) => (band !== null && isBand(band) ? [band] : [])))].sort();
  const legend = bands.map((band, i) =>
    `<text x="${WIDTH - RIGHT - 14 * (bands.length - i)}" y="16" fill="${COLOURS[band]}">${band}</text>`);
  const yTicks = y.ticks.map((value) =>
    `<path d="M${LEFT} ${y.at(value)}H${WIDTH - RIGHT}" stroke="#dddddd"/>`
    + `<text x="${LEFT - 6}" y="${y.at(value) + 4}" text-anchor="end">${label(value)}</text>`);
  const xTicks = x.ticks.map((value) =>
    `<text x="${x.at(value)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${label(value)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" `
    + 'font-family="sans-serif" font-size="11" fill="#333333">'
    + `<text x="${LEFT}" y="16">diaObject ${diaObjectId}, ${shown.length} fluxes, nJy</text>`
    + `${yTicks.join('')}${xTicks.join('')}${legend.join('')}`
    + `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">MJD (TAI)</text>`
    + `${marks.join('')}</svg>\n`;
}

/** A linear axis over values between two pixels, with a twentieth of margin on each side and at most seven ticks. */
function axis(
  values: readonly (readonly number[])[], from: number, to: number,
): Readonly<{ at(value: number): number; ticks: readonly number[] }> {
  const all = values.flat();
  const least = all.length === 0 ? 0 : all.reduce((a, b) => Math.min(a, b));
  const most = all.length === 0 ? 1 : all.reduce((a, b) => Math.max(a, b));
  const margin = most > least ? (most - least) / 20 : 0.5;
  const low = least - margin, span = most - least + 2 * margin;
  const step = [1, 2, 5, 10].map((factor) => factor * 10 ** Math.floor(Math.log10(span / 6)))
    .find((size) => span / size <= 6) ?? span;
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= low + span; i++) ticks.push(i * step);
  const at = (value: number): number => Math.round((from + ((value - low) / span) * (to - from)) * 10) / 10;
  return { at, ticks };
}

function label(value: number): string {
  return String(Number(value.toPrecision(8)));
}
