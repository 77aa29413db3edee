/** Ids and times: packed, unpacked, and refused when they do not fit. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  asDayObs, asDetectorId, asVisit, commitPosition, dayObsOfVisit, daysBetween, diaSourceIdOf, nextDayObs,
  partsOfCommitPosition, partsOfDiaSourceId, visitOf,
} from '../../schemas/ids.ts';
import {
  dayObsOfMjdTai, mjdOfTaiSeconds, mjdTaiOfDayObs, mjdTaiOfUnixMs, taiSecondsOfMjd,
} from '../../schemas/time.ts';

const dayObs = fc.date({
  min: new Date(Date.UTC(2010, 0, 1)), max: new Date(Date.UTC(2054, 10, 8)), noInvalidDate: true,
})
  .map((date) => asDayObs(date.getUTCFullYear() * 10000 + (date.getUTCMonth() + 1) * 100 + date.getUTCDate()));
const sequence = fc.integer({ min: 0, max: 99_999 });
const detector = fc.integer({ min: 0, max: 255 }).map(asDetectorId);

test('a diaSourceId gives back the visit, detector and counter that it was made of, and is positive', () => {
  const counters = fc.integer({ min: 0, max: 2 ** 24 - 1 });
  fc.assert(fc.property(dayObs, sequence, detector, counters, (day, seq, det, counter) => {
    const id = diaSourceIdOf(visitOf(day, seq), det, counter);
    expect(id).toBeGreaterThanOrEqual(0n);
    expect(id).toBeLessThan(2n ** 63n);
    expect(partsOfDiaSourceId(id)).toEqual({ visit: visitOf(day, seq), detector: det, counter });
  }));
});

test('diaSourceIds of a later night, sequence number, detector or counter are larger', () => {
  const id = (day: number, seq: number, det: number, counter: number) =>
    diaSourceIdOf(visitOf(asDayObs(day), seq), asDetectorId(det), counter);
  expect(id(20261001, 99_999, 255, 2 ** 24 - 1)).toBeLessThan(id(20261002, 0, 0, 0));
  expect(id(20261001, 1, 255, 2 ** 24 - 1)).toBeLessThan(id(20261001, 2, 0, 0));
  expect(id(20261001, 1, 1, 2 ** 24 - 1)).toBeLessThan(id(20261001, 1, 2, 0));
});

test('what is not a night, a detector or a visit is refused by name', () => {
  for (const value of [20261301, 20260230, 2026, Number.NaN, 20261001.5]) {
    expect(() => asDayObs(value)).toThrow(/dayObs .* is not a date/);
  }
  expect(() => asDetectorId(256)).toThrow('detector 256 is not in 0 … 255');
  expect(() => asVisit(42)).toThrow(/is not a date/);
  expect(() => visitOf(asDayObs(20261001), 100_000)).toThrow(/sequence number 100000/);
  expect(() => diaSourceIdOf(visitOf(asDayObs(20091231), 1), asDetectorId(0), 0)).toThrow(/outside 2010/);
});

test('commit positions order by night, then sequence, and are exact doubles', () => {
  fc.assert(fc.property(dayObs, fc.integer({ min: 0, max: 99_999_999 }), (day, seq) => {
    const position = commitPosition(day, seq);
    expect(Number.isSafeInteger(position)).toBe(true);
    expect(partsOfCommitPosition(position)).toEqual({ dayObs: day, sequence: seq });
    expect(commitPosition(nextDayObs(day), 0)).toBeGreaterThan(position);
  }));
});

test('the night after the last of a year or of a leap February is right', () => {
  expect(nextDayObs(asDayObs(20261231))).toBe(20270101);
  expect(nextDayObs(asDayObs(20280228))).toBe(20280229);
  expect(daysBetween(asDayObs(20280228), asDayObs(20280301))).toBe(2);
  expect(dayObsOfVisit(visitOf(asDayObs(20280229), 7))).toBe(20280229);
});

test('dayObs is the date at TAI − 12 h: it changes at noon TAI, not at midnight', () => {
  // MJD 61314.5 is 2026-10-01 12:00.
  expect(mjdTaiOfDayObs(asDayObs(20261001))).toBe(61314.5);
  expect(dayObsOfMjdTai(61314.5)).toBe(20261001);
  expect(dayObsOfMjdTai(61314.4999)).toBe(20260930);
  expect(dayObsOfMjdTai(61315.2)).toBe(20261001);
});

test('MJD TAI of a Unix time is 37 s ahead of UTC, and TAI seconds round-trip', () => {
  // 2026-10-01 00:00:00 UTC is Unix 1790812800 s and MJD 61314.0 UTC.
  expect(mjdTaiOfUnixMs(1_790_812_800_000)).toBeCloseTo(61314 + 37 / 86400, 9);
  expect(mjdOfTaiSeconds(taiSecondsOfMjd(61314.123456))).toBeCloseTo(61314.123456, 9);
});
