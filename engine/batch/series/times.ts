/** Civil dates to MJD, and UTC to TAI for any date that a frame may carry. */

/**
 * MJD (UTC) from which TAI − UTC has this value, seconds (IERS Bulletin C).
 */
const LEAP_SECONDS: readonly (readonly [mjd: number, seconds: number])[] = [
  [41317, 10], [41499, 11], [41683, 12], [42048, 13], [42413, 14], [42778, 15], [43144, 16], [43509, 17],
  [43874, 18], [44239, 19], [44786, 20], [45151, 21], [45516, 22], [46247, 23], [47161, 24], [47892, 25],
  [48257, 26], [48804, 27], [49169, 28], [49534, 29], [50083, 30], [50630, 31], [51179, 32], [53736, 33],
  [54832, 34], [56109, 35], [57204, 36], [57754, 37],
];

/** TAI − UTC at a UTC date, seconds; 10 before 1972, when UTC had no whole leap seconds. */
export function taiMinusUtcSeconds(mjdUtc: number): number {
  let seconds = LEAP_SECONDS[0][1];
  for (const [from, value] of LEAP_SECONDS) if (mjdUtc >= from) seconds = value;
  return seconds;
}

/**
 * MJD of a FITS date: `YYYY-MM-DD[Thh:mm[:ss.s]]`, or the old `DD/MM/YY` (1900 + YY, FITS Standard 4.0 §9.1.1).
 *
 * @param time Time of day `hh:mm[:ss.s]` for a date without one; without any, midnight is not assumed: null comes back.
 */
export function mjdOfDate(date: string, time: string | null): number | null {
  const old = /^(\d{2})\/(\d{2})\/(\d{2})$/.exec(date);
  const iso = /^(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ](.*?)Z?)?$/.exec(date);
  const isoParts = iso ? [Number(iso[1]), Number(iso[2]), Number(iso[3])] : null;
  const parts = old ? [1900 + Number(old[3]), Number(old[2]), Number(old[1])] : isoParts;
  const clock = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?$/.exec(iso?.[4] ?? time ?? '');
  if (parts === null || clock === null) return null;
  const ms = Date.UTC(parts[0], parts[1] - 1, parts[2]);
  const seconds = Number(clock[1]) * 3600 + Number(clock[2]) * 60 + Number(clock[3] ?? 0);
  return Number.isNaN(ms) ? null : 40587 + ms / 86_400_000 + seconds / 86400;
}
