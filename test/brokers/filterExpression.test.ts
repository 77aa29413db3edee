import { expect, test } from 'vitest';
import { compileFilter, FilterCompileError, type Verdict } from '../../brokers/filters/expression.ts';
import { angularDistanceArcsec } from '../../brokers/filters/helpers.ts';
import { lazyAlert } from '../../brokers/filters/lazyAlert.ts';
import { predefinedFilters } from '../../brokers/filters/predefined.ts';
import { encodeDiaForcedSource, encodeDiaObject, encodeDiaSource } from '../../schemas/avro.ts';
import { newDiaForcedSource, newDiaObject, type DiaSource } from '../../schemas/diaRows.ts';
import { assemblePacket, decodeAlert } from '../../schemas/packet.ts';
import { sampleId, samplePacket, sampleSource } from './sampleAlerts.ts';

const compile = (expression: string): ReturnType<typeof compileFilter> =>
  compileFilter({ user: 'ana', name: 'f', version: 1, expression });

function outcome(expression: string, known: Partial<DiaSource> = {}): Verdict['outcome'] {
  return compile(expression).evaluate(lazyAlert(samplePacket(7, known))).outcome;
}

/** A packet with history: two earlier sources of 3 and 4 σ, a forced flux, an object seen three times. */
function packetWithHistory(): Buffer {
  return assemblePacket({
    diaSourceId: sampleId(7),
    observationReason: 'science',
    targetName: null,
    diaSource: encodeDiaSource(sampleSource(7)),
    prvDiaSources: [3, 4].map((snr) => encodeDiaSource(sampleSource(snr))),
    prvDiaForcedSources: [
      encodeDiaForcedSource(
        newDiaForcedSource({
          diaForcedSourceId: 1n,
          diaObjectId: 5n,
          ra: 150,
          dec: -2.5,
          visit: 1n,
          detector: 4,
          midpointMjdTai: 61360,
          psfFlux: 55,
          timeProcessedMjdTai: 61360.1,
        }),
      ),
    ],
    diaObject: encodeDiaObject(
      newDiaObject({ diaObjectId: 5n, validityStartMjdTai: 61360, ra: 150, dec: -2.5, nDiaSources: 3 }),
    ),
    ssSource: null,
    mpcOrbit: null,
    cutoutDifference: null,
    cutoutScience: null,
    cutoutTemplate: null,
  });
}

test.each([
  ['diaSource.snr > 6.5', 'matched'],
  ['diaSource.snr > 7.0', 'notMatched'],
  ['diaSource.detector == 4', 'matched'],
  ['diaSource.visit == 2026112000001', 'matched'],
  ['diaSource.band in ["g", "r"]', 'matched'],
  ['diaSourceId == diaSource.diaSourceId', 'matched'],
  ['abMag(diaSource.psfFlux) < 26.5 && abMag(diaSource.psfFlux) > 26.3', 'matched'], // 100 nJy is 26.4 mag.
  ['angularDistanceArcsec(diaSource.ra, diaSource.dec, 150.0, -2.5) < 7.5', 'matched'],
  ['abs(diaSource.dec) < 3.0', 'matched'],
] as const)('%s is %s for the sample alert', (expression, expected) => {
  expect(outcome(expression)).toBe(expected);
});

test.each([
  ['diaObject.nDiaSources == 3', 'matched'],
  ['size(prvDiaSources) == 2', 'matched'],
  ['prvDiaSources.exists(s, s.snr > 3.5)', 'matched'],
  ['prvDiaSources.all(s, s.snr > 3.5)', 'notMatched'],
  ['prvDiaForcedSources.exists(f, f.psfFlux > 50.0)', 'matched'],
  ['observation_reason == "science"', 'matched'],
  ['has(alert.ssSource)', 'notMatched'],
  ['!has(alert.ssSource) && has(alert.diaObject)', 'matched'],
] as const)('%s is %s for an alert with history', (expression, expected) => {
  expect(compile(expression).evaluate(lazyAlert(packetWithHistory())).outcome).toBe(expected);
});

test.each([
  ['diaSource.band == "g"', 'undecided'],
  ['!(diaSource.band == "g")', 'undecided'],
  ['diaSource.band == "g" || diaSource.snr > 1.0', 'matched'],
  ['diaSource.band == "g" && diaSource.snr < 1.0', 'notMatched'],
  ['diaSource.snr > 1.0 && diaSource.band == "g"', 'undecided'],
  ['has(diaSource.band)', 'notMatched'],
  ['ssSource.phaseAngle > 1.0', 'undecided'],
  ['diaObject.nDiaSources > 0', 'undecided'],
  ['prvDiaSources.exists(s, s.snr > 1.0)', 'undecided'],
] as const)('with a null band and no history, %s is %s', (expression, expected) => {
  expect(outcome(expression, { band: null })).toBe(expected);
});

test('the magnitude of a flux that is not positive is no value, so nothing is decided by it', () => {
  expect(outcome('abMag(diaSource.psfFlux) > 20.0', { psfFlux: -3 })).toBe('undecided');
  expect(outcome('!(abMag(diaSource.psfFlux) > 20.0)', { psfFlux: -3 })).toBe('undecided');
});

test('an evaluation that fails is a verdict with its reason, not an exception', () => {
  expect(compile('1 / (diaSource.detector - 4) == 1').evaluate(lazyAlert(samplePacket(7)))).toEqual({
    outcome: 'failed',
    reason: expect.stringMatching(/zero/),
  });
});

test('a lazily decoded alert and a wholly decoded one get the same verdict', () => {
  const filter = compile('size(prvDiaSources) == 2 && diaObject.nDiaSources == 3 && diaSource.snr > 6.0');
  expect(filter.evaluate(decodeAlert(packetWithHistory()))).toEqual(filter.evaluate(lazyAlert(packetWithHistory())));
});

test.each([
  ['diaSource.nope > 1.0', /column 11: .*nope/],
  ['nothing > 1', /column 1: .*nothing/],
  ['diaSource.snr >', /column 16: /],
  ['diaSource.snr > "x"', /column 1: .*double > string/],
  ['diaSource.snr + 1 > 2.0', /write whole numbers as 1\.0/],
  ['diaSource.band == null', /has\(record\.field\)/],
  ['diaSource.snr', /is a double, not a bool/],
  ['mag(1.0) > 2.0', /abMag\(double\)/],
  ['diaSource.band.matches("(a+)+$")', /regular expressions/],
  ['cel.bind(x, 1, x > 0)', /cel\.bind/],
  ['prvDiaSources.exists(a, prvDiaSources.exists(b, prvDiaSources.exists(c, true)))', /loops nest/],
  ['(prvDiaSources + prvDiaSources).exists(a, true)', /joined lists/],
] as const)('%s is refused in one line that says where and why', (expression, message) => {
  const error = failureOf(() => compile(expression));
  expect(error).toBeInstanceOf(FilterCompileError);
  expect(error.message).toMatch(message);
  expect(error.message).toMatch(/^filter ana\.f@1: [^\n]+$/);
});

test('an expression too long, too large or too deep is refused', () => {
  expect(() => compile(`true${' || true'.repeat(600)}`)).toThrow(/characters are too many/);
  expect(() => compile(`true${'||true'.repeat(600)}`)).toThrow(FilterCompileError);
  expect(() => compile(`${'('.repeat(200)}true${')'.repeat(200)}`)).toThrow(FilterCompileError);
});

test('a user or name that cannot be part of a subject is refused', () => {
  expect(() => compileFilter({ user: 'a.b', name: 'f', version: 1, expression: 'true' })).toThrow(
    /cannot be part of a subject/,
  );
  expect(() => compileFilter({ user: 'ana', name: 'f', version: 0, expression: 'true' })).toThrow(/version/);
});

test('bright takes a clean positive 12 σ and leaves a 9 σ, a negative and an edge one', () => {
  for (const definition of Object.values(predefinedFilters)) expect(() => compileFilter(definition)).not.toThrow();
  const bright = (known: Partial<DiaSource>): string => outcome(predefinedFilters.bright.expression, known);
  expect(bright({ snr: 12 })).toBe('matched');
  expect(bright({ snr: 9 })).toBe('notMatched');
  expect(bright({ snr: 12, psfFlux: -100 })).toBe('notMatched');
  expect(bright({ snr: 12, pixelFlags_edge: true })).toBe('notMatched');
});

test('a degree is 3600″ along a meridian and shrinks with cos dec along a parallel', () => {
  expect(angularDistanceArcsec(10, 20, 10, 21)).toBeCloseTo(3600, 6);
  expect(angularDistanceArcsec(10, 60, 10.001, 60)).toBeCloseTo(1.8, 6); // cos 60° = 1/2; the chord differs by 1e-10.
});

function failureOf(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error; // Only Errors are thrown here.
  }
  throw new Error('it did not fail');
}
