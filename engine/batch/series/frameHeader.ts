/** What a frame's header tells, in the spellings that observatories use. */
import { numberCard, stringCard, type FitsHeader } from '../../image/fits.ts';
import { wcsFromHeader, type Wcs } from '../../image/wcs.ts';
import { mjdOfDate, taiMinusUtcSeconds } from './times.ts';

/** Given on the command line: stronger than any header. Null where not given. */
export type HeaderOverrides = Readonly<{
  gain: number | null; readNoise: number | null; saturation: number | null; pixelScale: number | null;
}>;

export type FrameHeader = Readonly<{
  /** Null where nothing tells. */
  gainElectronsPerAdu: number | null; readNoiseElectrons: number | null; saturationAdu: number | null;
  exposureSeconds: number;
  /** Mid-exposure on the header's own scale, UTC unless TIMESYS says otherwise, and as MJD TAI. */
  midMjd: number; midpointMjdTai: number;
  pointing: Readonly<{ raDeg: number; decDeg: number }> | null;
  pixelScaleArcsec: number | null;
  filter: string | null;
  wcs: Wcs | null;
}>;

const GAIN = [
  'GAIN', 'EGAIN', 'CCDGAIN', 'GAINEFF', 'GAIN1', 'AGAIN', 'HIERARCH ESO DET OUT1 CONAD', 'ESO DET OUT1 CONAD',
];
const READ_NOISE = [
  'RDNOISE', 'READNOIS', 'READNOISE', 'RON', 'ENOISE', 'RDNOIS', 'CCDRON', 'RNOISE', 'RDNOISE1', 'ESO DET OUT1 RON',
];
const SATURATION = ['SATURATE', 'SATLEVEL', 'SATURATI', 'SATUR', 'MAXLIN', 'DATAMAX', 'SATURAT', 'CCDSAT', 'MAXADU'];
const EXPOSURE = ['EXPTIME', 'EXPOSURE', 'EXPOSED', 'ITIME', 'INTTIME', 'TEXP', 'EXP_TIME', 'DARKTIME'];
const MID_MJD = ['MJD-MID', 'MJDMID', 'MJD-AVG', 'MJD_MID', 'MIDMJD'], MID_JD = ['JD-MID', 'JDMID', 'JD_MID', 'MIDJD'];
const START_MJD = ['MJD-OBS', 'MJD-BEG', 'MJD-STRT', 'MJD_OBS', 'MJDOBS', 'MJD'];
const START_JD = ['JD', 'JD-OBS', 'JD_OBS', 'JULDAT', 'OBSJD'];
const HELIOCENTRIC_JD = ['HJD', 'HJD-OBS', 'BJD', 'PHJDMID', 'HJD_MID'];
const MID_DATE = ['DATE-AVG', 'DATE-MID'], START_DATE = ['DATE-BEG', 'DATE-OBS', 'DATE_OBS', 'UTDATE', 'DATEOBS'];
const TIME_OF_DAY = [
  'UT', 'UTC', 'TIME-OBS', 'UT-START', 'UTSTART', 'UTC-OBS', 'UTCSTART', 'TIME-BEG', 'TIME', 'TM-START', 'UT-OBS',
];
const RA = ['RA', 'OBJCTRA', 'TELRA', 'RA_OBS', 'RA-TEL', 'OBJRA', 'CRVAL1', 'CAT-RA', 'RA_DEG'];
const DEC = ['DEC', 'OBJCTDEC', 'TELDEC', 'DEC_OBS', 'DEC-TEL', 'OBJDEC', 'CRVAL2', 'CAT-DEC', 'DEC_DEG'];
const PIXEL_SCALE = ['PIXSCALE', 'PIXSCAL1', 'SECPIX', 'SECPIX1', 'SCALE', 'PSCALE', 'PLTSCALE', 'PIXSCAL'];
const FILTER = ['FILTER', 'FILTNAM', 'FILTER1', 'FILTNAME', 'BAND', 'INSFILTE', 'FILTERS', 'FILTER2'];

/** @throws Error of one line when the header tells no time. */
export function readFrameHeader(header: FitsHeader, overrides: HeaderOverrides): FrameHeader {
  const exposureSeconds = firstNumber(header, EXPOSURE, (v) => v >= 0) ?? 0;
  const midMjd = midExposure(header, exposureSeconds);
  if (midMjd === null) throw new Error('its header tells no time (MJD-OBS, DATE-OBS, JD … were looked for)');
  const wcs = wcsFromHeader(header);
  return {
    gainElectronsPerAdu: overrides.gain ?? firstNumber(header, GAIN, (v) => v > 0),
    readNoiseElectrons: overrides.readNoise ?? firstNumber(header, READ_NOISE, (v) => v >= 0),
    saturationAdu: overrides.saturation ?? firstNumber(header, SATURATION, (v) => v > 0),
    exposureSeconds, midMjd, midpointMjdTai: midMjd + secondsToTai(header, midMjd) / 86400,
    pointing: pointingOf(header), pixelScaleArcsec: overrides.pixelScale ?? pixelScaleOf(header),
    filter: firstString(header, FILTER), wcs,
  };
}

/** Mid-exposure before start of exposure before heliocentric times, which are off by up to 8 minutes. */
function midExposure(header: FitsHeader, exposureSeconds: number): number | null {
  const half = exposureSeconds / 2 / 86400;
  const isMjd = (v: number) => v > 15020 && v < 100_000, isJd = (v: number) => v > 2_415_020 && v < 2_500_000;
  const mid = firstNumber(header, MID_MJD, isMjd) ?? jdToMjd(firstNumber(header, MID_JD, isJd))
    ?? dateOf(header, MID_DATE);
  if (mid !== null) return mid;
  const start = firstNumber(header, START_MJD, isMjd) ?? dateOf(header, START_DATE)
    ?? jdToMjd(firstNumber(header, START_JD, isJd));
  if (start !== null) return start + half;
  return jdToMjd(firstNumber(header, HELIOCENTRIC_JD, isJd));
}

function jdToMjd(jd: number | null): number | null {
  return jd === null ? null : jd - 2_400_000.5;
}

/** A date card, with the time of day from its own card where the date has none. */
function dateOf(header: FitsHeader, keywords: readonly string[]): number | null {
  for (const keyword of keywords) {
    const date = stringCard(header, keyword);
    if (date === null) continue;
    if (/[T ]\d/.test(date.trim())) {
      const mjd = mjdOfDate(date.trim(), null);
      if (mjd !== null) return mjd;
      continue;
    }
    const time = TIME_OF_DAY.map((name) => stringCard(header, name))
      .find((text) => text !== null && /^\s*\d{1,2}:\d/.test(text));
    const mjd = mjdOfDate(date.trim(), time?.trim() ?? null);
    if (mjd !== null) return mjd;
  }
  return null;
}

/** What takes the header's time scale to TAI, seconds. TT = TAI + 32.184 s; TDB differs from it by 2 ms at most. */
function secondsToTai(header: FitsHeader, mjd: number): number {
  switch ((stringCard(header, 'TIMESYS') ?? 'UTC').trim().toUpperCase()) {
    case 'TAI': return 0;
    case 'TT': case 'TDB': case 'ET': case 'TDT': return -32.184;
    case 'GPS': return 19;
    default: return taiMinusUtcSeconds(mjd);
  }
}

function pointingOf(header: FitsHeader): { raDeg: number; decDeg: number } | null {
  for (let i = 0; i < RA.length; i++) {
    const raDeg = angle(header, RA[i], true), decDeg = angle(header, DEC[i], false);
    if (raDeg === null || decDeg === null) continue;
    if (raDeg >= 0 && raDeg < 360 && Math.abs(decDeg) <= 90) return { raDeg, decDeg };
  }
  return null;
}

/** Degrees; sexagesimal right ascensions are hours. A plain number is degrees. */
function angle(header: FitsHeader, keyword: string, isHours: boolean): number | null {
  const text = stringCard(header, keyword);
  if (text === null) return numberCard(header, keyword);
  const parts = text.trim().split(/[\s:hdm°'"s]+/).filter((part) => part !== '');
  const values = parts.map(Number);
  if (values.length === 0 || values.some((v) => !Number.isFinite(v))) return null;
  if (values.length === 1) return values[0];
  const size = Math.abs(values[0]) + values[1] / 60 + (values[2] ?? 0) / 3600;
  return (parts[0].startsWith('-') ? -size : size) * (isHours ? 15 : 1);
}

/** From a keyword, from the WCS's matrix, or from pixel size and focal length as amateur cameras write them. */
function pixelScaleOf(header: FitsHeader): number | null {
  const isScale = (v: number) => v > 0.001 && v < 100;
  const told = firstNumber(header, PIXEL_SCALE, isScale);
  if (told !== null) return told;
  const cd = ['CD1_1', 'CD1_2', 'CD2_1', 'CD2_2'].map((keyword) => numberCard(header, keyword) ?? 0);
  const [step1, step2] = [numberCard(header, 'CDELT1'), numberCard(header, 'CDELT2')];
  const area = Math.abs(cd[0] * cd[3] - cd[1] * cd[2]) || Math.abs((step1 ?? 0) * (step2 ?? 0));
  const fromMatrix = Math.sqrt(area) * 3600;
  // A linear matrix of 1 "degree" a pixel is what software writes that knows nothing.
  if (isScale(fromMatrix)) return fromMatrix;
  const pixelUm = numberCard(header, 'XPIXSZ') ?? numberCard(header, 'PIXSIZE1');
  const focalMm = numberCard(header, 'FOCALLEN');
  if (pixelUm === null || focalMm === null || !(focalMm > 0)) return null;
  const scale = (206.265 * pixelUm) / focalMm;
  return isScale(scale) ? scale : null;
}

function firstNumber(
  header: FitsHeader, keywords: readonly string[], isValid: (value: number) => boolean,
): number | null {
  for (const keyword of keywords) {
    const text = stringCard(header, keyword);
    const value = numberCard(header, keyword) ?? (text !== null && text.trim() !== '' ? Number(text) : null);
    if (value !== null && Number.isFinite(value) && isValid(value)) return value;
  }
  return null;
}

function firstString(header: FitsHeader, keywords: readonly string[]): string | null {
  for (const keyword of keywords) {
    const text = (stringCard(header, keyword) ?? numberCard(header, keyword)?.toString() ?? '').trim();
    if (text !== '') return text;
  }
  return null;
}
