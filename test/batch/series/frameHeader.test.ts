import { expect, test } from 'vitest';
import { readFrameHeader } from '../../../engine/batch/series/frameHeader.ts';
import { bandOf } from '../../../engine/batch/series/names.ts';
import { mjdOfDate, taiMinusUtcSeconds } from '../../../engine/batch/series/times.ts';
import type { FitsCard } from '../../../engine/image/fits.ts';

const NONE = { gain: null, readNoise: null, saturation: null, pixelScale: null };
const TIME: FitsCard = ['MJD-OBS', 56507.81683];
const header = (...cards: FitsCard[]) => readFrameHeader([TIME, ...cards], NONE);

test('a frame’s time is mid-exposure, in TAI by the leap seconds of its own date', () => {
  const { midMjd, midpointMjdTai } = header(['EXPTIME', 200.04]);
  // 1e-9 d is 0.1 ms: what a double keeps of an MJD is 1e-11.
  expect(midMjd).toBeCloseTo(56507.81683 + 100.02 / 86400, 9);
  // TAI − UTC was 35 s from 2012-07-01 to 2015-06-30 (IERS Bulletin C 43 and 49).
  expect(midpointMjdTai).toBeCloseTo(midMjd + 35 / 86400, 9);
});

test.each([
  [[['DATE-OBS', '2013-08-03T19:36:14']], 56507 + (19 * 3600 + 36 * 60 + 14) / 86400],
  [[['DATE-OBS', '2013-08-03'], ['UT', '19:36:14']], 56507 + (19 * 3600 + 36 * 60 + 14) / 86400],
  [[['DATE-OBS', '27/10/92'], ['TIME-OBS', '06:00:00']], 48922.25],
  [[['JD', 2456508.31683]], 56507.81683],
  [[['MJD-MID', 56507.9], ['MJD-OBS', 56507.8]], 56507.9 - 50 / 86400],
  [[['HJD', 2456508.31683]], 56507.81683 - 50 / 86400],
] as [FitsCard[], number][])('the header %j tells the start of a 100 s exposure', (cards, startMjd) => {
  const { midMjd } = readFrameHeader([['EXPTIME', 100], ...cards], NONE);
  expect(midMjd).toBeCloseTo(startMjd + 50 / 86400, 8); // A millisecond.
});

test('a header without a time is refused in one line', () => {
  expect(
    () => readFrameHeader([['EXPTIME', 100], ['DATE-OBS', '2013-08-03']], NONE)
  ).toThrow(/^its header tells no time .*$/);
});

test('a TAI time scale is not shifted again', () => {
  const { midMjd, midpointMjdTai } = header(['TIMESYS', 'TAI']);
  expect(midpointMjdTai).toBe(midMjd);
});

test.each([
  [[['GAIN', 1.9], ['RDNOISE', 5]], 1.9, 5], [[['EGAIN', 0.7], ['READNOIS', 8.5]], 0.7, 8.5],
  [[['GAIN', '2.3'], ['RON', 4]], 2.3, 4], [[['GAIN', 0]], null, null],
] as [FitsCard[], number | null, number | null][])('gain and read noise are found in %j', (cards, gain, readNoise) => {
  expect(header(...cards)).toMatchObject({ gainElectronsPerAdu: gain, readNoiseElectrons: readNoise });
});

test('an option is stronger than the header', () => {
  const overrides = { gain: 3, readNoise: 7, saturation: 5e4, pixelScale: 0.4 };
  const read = readFrameHeader(
    [TIME, ['GAIN', 1.9], ['RDNOISE', 5], ['SATURATE', 65000], ['PIXSCALE', 0.3]], overrides,
  );
  expect(read).toMatchObject(
    { gainElectronsPerAdu: 3, readNoiseElectrons: 7, saturationAdu: 5e4, pixelScaleArcsec: 0.4 }
  );
});

test.each([
  [[['RA', ' 18:15:29'], ['DEC', '-25:17:06']], 273.870833, -25.285],
  [[['RA', 273.8708], ['DEC', -25.285]], 273.8708, -25.285],
  [[['OBJCTRA', '18 15 29'], ['OBJCTDEC', '-00 17 06']], 273.870833, -0.285],
  [[['RA', '18h15m29s'], ['DEC', '-25d17m06s']], 273.870833, -25.285],
] as [FitsCard[], number, number][])('the pointing of %j is read in degrees', (cards, raDeg, decDeg) => {
  const { pointing } = header(...cards);
  expect(pointing?.raDeg).toBeCloseTo(raDeg, 4); // The headers' own last digit: 15″ at worst.
  expect(pointing?.decDeg).toBeCloseTo(decDeg, 4);
});

test.each([
  [[['PIXSCALE', 0.31]], 0.31], [[['CD1_1', -1e-4], ['CD1_2', 0], ['CD2_1', 0], ['CD2_2', 1e-4]], 0.36],
  [[['XPIXSZ', 9], ['FOCALLEN', 1856.385]], 1], [[['CDELT1', 1], ['CDELT2', 1]], null], [[], null],
] as [FitsCard[], number | null][])('the pixel scale of %j is told or unknown', (cards, scale) => {
  const { pixelScaleArcsec } = header(...cards);
  if (scale === null) expect(pixelScaleArcsec).toBeNull(); else expect(pixelScaleArcsec).toBeCloseTo(scale, 6);
});

test.each([
  ['i', 'i'], ['I', 'i'], ['R', 'r'], ['V', 'g'], ['B', 'g'], ['Bessell R', 'r'],
  ['SDSS g', 'g'], ["i'", 'i'], ['58', 'r'], [null, 'r'],
  ['Halpha', 'r'], ['Ic', 'i'],
])('filter %s stands for band %s', (filter, band) => {
  expect(bandOf(filter)).toBe(band);
});

test('leap seconds are those of IERS at the ends of their spans', () => {
  expect([41317, 57203.999, 57204, 57753.999, 57754, 61000].map(taiMinusUtcSeconds)).toEqual([10, 35, 36, 36, 37, 37]);
});

test('a date without a time of day has no moment', () => {
  expect(mjdOfDate('2013-08-03', null)).toBeNull();
});
