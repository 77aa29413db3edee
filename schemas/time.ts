/** Times. Science times are MJD, TAI; wall-clock times are Unix milliseconds, UTC, and never decide a result. */
import { asDayObs, dayObsMs, dayObsOfMs, type DayObs } from './ids.ts';

/** MJD of 1970-01-01. */
const UNIX_EPOCH_MJD = 40587;
const DAY_SECONDS = 86400;

/**
 * TAI − UTC, seconds. 37 since 2017-01-01 (IERS Bulletin C 52); no leap second is announced, and the General
 * Conference on Weights and Measures decided in 2022 (resolution 4) to stop them by 2035.
 */
export const TAI_MINUS_UTC_SECONDS = 37;

/** MJD (TAI) of a Unix time, ms UTC. Valid from 2017 on. */
export function mjdTaiOfUnixMs(unixMs: number): number {
  return UNIX_EPOCH_MJD + (unixMs / 1000 + TAI_MINUS_UTC_SECONDS) / DAY_SECONDS;
}

/** Night to which a time belongs: the date at TAI − 12 h. */
export function dayObsOfMjdTai(mjdTai: number): DayObs {
  return asDayObs(dayObsOfMs((Math.floor(mjdTai - 0.5) - UNIX_EPOCH_MJD) * DAY_SECONDS * 1000));
}

/** MJD (TAI) at which a night begins: 12 h TAI on the calendar date of `dayObs`. */
export function mjdTaiOfDayObs(dayObs: DayObs): number {
  return UNIX_EPOCH_MJD + dayObsMs(dayObs) / (DAY_SECONDS * 1000) + 0.5;
}

/** Seconds since 1970-01-01 on the TAI scale, as Rubin's events carry them. */
export function taiSecondsOfMjd(mjdTai: number): number {
  return (mjdTai - UNIX_EPOCH_MJD) * DAY_SECONDS;
}

export function mjdOfTaiSeconds(taiSeconds: number): number {
  return UNIX_EPOCH_MJD + taiSeconds / DAY_SECONDS;
}

/** Unix time, ms UTC, of an MJD (TAI). Valid from 2017 on; to the tenth of a millisecond that a double of days has. */
export function unixMsOfMjdTai(mjdTai: number): number {
  return Math.round(((mjdTai - UNIX_EPOCH_MJD) * DAY_SECONDS - TAI_MINUS_UTC_SECONDS) * 1000);
}
