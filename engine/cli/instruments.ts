/**
 * Kinds of instruments: cameras observe simulated or live nights; each series of real frames is an instrument of its
 * own.
 */
const SERIES_PREFIX = 'series-';

export function seriesInstrument(digestHex: string): string {
  return `${SERIES_PREFIX}${digestHex.slice(0, 8)}`;
}

export function isSimulated(instrument: string): boolean {
  return !instrument.startsWith(SERIES_PREFIX);
}
