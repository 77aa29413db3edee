import { expect, test } from 'vitest';
import { compileFilter } from '../../brokers/filters/expression.ts';
import { lazyAlert } from '../../brokers/filters/lazyAlert.ts';
import { predefinedFilter, predefinedFilters } from '../../brokers/filters/predefined.ts';
import { refusalOf, tryFilter } from '../../brokers/filters/trial.ts';
import { encodeDiaObject, encodeDiaSource } from '../../schemas/avro.ts';
import { newDiaObject, type DiaSource } from '../../schemas/diaRows.ts';
import { neighboursJson, type Neighbour } from '../../schemas/neighbours.ts';
import { assemblePacket } from '../../schemas/packet.ts';
import { nJyOfAbMag } from '../../schemas/units.ts';
import { sampleId, samplePacket, sampleSource } from './sampleAlerts.ts';

const NOW = 61364.25;
type Known = Partial<DiaSource>;

/** A packet of an object with earlier detections, each so many days ago. */
function packet(known: Known, earlier: readonly (Known & { daysAgo: number })[] = []): Buffer {
  const rows = earlier.map(({ daysAgo, ...row }, i) =>
    sampleSource(i, { midpointMjdTai: NOW - daysAgo, ...row }));
  const first = Math.min(NOW, ...rows.map(({ midpointMjdTai }) => midpointMjdTai));
  return assemblePacket({
    diaSourceId: sampleId(7), observationReason: null, targetName: null,
    diaSource: encodeDiaSource(sampleSource(7, {
      midpointMjdTai: NOW, snr: 12, psfFlux: 1000, psfFluxErr: 80, templateFlux: 0, templateFluxErr: 20, ...known,
    })),
    prvDiaSources: rows.length === 0 ? null : rows.map(encodeDiaSource),
    prvDiaForcedSources: null,
    diaObject: encodeDiaObject(newDiaObject({
      diaObjectId: 5n, validityStartMjdTai: NOW, ra: 150, dec: -2.5, nDiaSources: rows.length + 1,
      firstDiaSourceMjdTai: first, lastDiaSourceMjdTai: NOW,
    })),
    ssSource: null, mpcOrbit: null, cutoutDifference: null, cutoutScience: null, cutoutTemplate: null,
  });
}

const names = (bytes: Buffer, neighbours?: string): string[] => Object.values(predefinedFilters)
  .filter((definition) => compileFilter(definition).evaluate(lazyAlert(bytes, neighbours)).outcome === 'matched')
  .map(({ name }) => name);

test('a faint rising source of three nights beside a galaxy is a supernova candidate, new and rising', () => {
  const earlier = [{ daysAgo: 3, psfFlux: 300, psfFluxErr: 60 }, { daysAgo: 1, psfFlux: 600, psfFluxErr: 60 }];
  expect(names(packet({ templateFlux: 5000 }, earlier))).toEqual(
    expect.arrayContaining(['bright', 'supernova', 'newAndRising']),
  );
  expect(names(packet({ templateFlux: 5000 }, earlier))).not.toContain('hostless');
});

const neighbour = (distanceArcsec: number, radiusArcsec: number | null): Neighbour =>
  ({ objectId: 1n, distanceArcsec, positionAngleDeg: 0, rMag: 20, radiusArcsec });

test.each([
  ['within four radii of a galaxy', [], [neighbour(5, 1.5)], true],
  ['on a galaxy without a radius', [], [neighbour(1.9, null)], true],
  ['beyond four radii', [], [neighbour(6.1, 1.5)], false],
  ['on a star beside a galaxy', [neighbour(0.3, null)], [neighbour(2, 1.5)], false],
  ['near nothing', [], [], false],
])('%s: whether a source seen twice has a catalogued host', (_, stars, galaxies, expected) => {
  const found = names(packet({}, [{ daysAgo: 3 }]), neighboursJson({ stars, galaxies }));
  expect(found.includes('cataloguedHost')).toBe(expected);
});

test('without a catalogue nothing has a catalogued host', () => {
  expect(names(packet({}, [{ daysAgo: 3 }]))).not.toContain('cataloguedHost');
});

test('a source that was once fainter than the template is no supernova candidate', () => {
  expect(names(packet({}, [{ daysAgo: 1, psfFlux: -500 }]))).not.toContain('supernova');
});

test('a star of the template that changed by 10 % twice is a variable; by 2 % it is none', () => {
  const star = { templateFlux: 10_000, templateFluxErr: 20 };
  expect(names(packet({ ...star, psfFlux: -1000 }, [{ daysAgo: 1 }]))).toContain('variableStar');
  expect(names(packet({ ...star, psfFlux: 200 }, [{ daysAgo: 1 }]))).not.toContain('variableStar');
});

test('a first sighting on empty sky may be moving; a second one half a day later is hostless instead', () => {
  expect(names(packet({}))).toContain('movingObject');
  expect(names(packet({}))).not.toContain('hostless');
  expect(names(packet({}, [{ daysAgo: 0.5 }]))).toContain('hostless');
  expect(names(packet({}, [{ daysAgo: 0.5 }]))).not.toContain('movingObject');
});

test('a fall of 0.8 mag in two days is like a kilonova; one of 0.4 mag is not', () => {
  const before = nJyOfAbMag(22);
  const faded = (mag: number): string[] =>
    names(packet({ psfFlux: nJyOfAbMag(22 + mag) }, [{ daysAgo: 2, psfFlux: before, psfFluxErr: 30 }]));
  expect(faded(0.8)).toContain('kilonovaLike');
  expect(faded(0.4)).not.toContain('kilonovaLike');
});

test('19.9 mag on nothing is a bright transient; 20.1 mag, or on a brighter star, is not', () => {
  expect(names(packet({ psfFlux: nJyOfAbMag(19.9) }))).toContain('brightTransient');
  expect(names(packet({ psfFlux: nJyOfAbMag(20.1) }))).not.toContain('brightTransient');
  expect(names(packet({ psfFlux: nJyOfAbMag(19.9), templateFlux: 1e6 }))).not.toContain('brightTransient');
});

test('an edge, a saturated centre or a dipole keeps a new light out', () => {
  for (const flag of ['pixelFlags_edge', 'pixelFlags_saturatedCenter', 'isDipole'] as const) {
    expect(names(packet({ [flag]: true }, [{ daysAgo: 1 }]))).not.toContain('hostless');
  }
});

test('a filter is found by its name and by its label, and a wrong version is none', () => {
  expect(predefinedFilter('bright')).toBe(predefinedFilters.bright);
  expect(predefinedFilter('vesper.bright@1')).toBe(predefinedFilters.bright);
  expect(predefinedFilter('vesper.bright@2')).toBeNull();
});

test('a trial counts matches, visits and share, and shows the best by rank', async () => {
  const filter = compileFilter({
    user: 'ana', name: 'f', version: 1, expression: 'int(diaSource.snr) % 2 == 0', rank: '-diaSource.snr',
  });
  const trial = await tryFilter(filter, Array.from({ length: 20 }, (_, i) => samplePacket(i)));
  expect(trial).toMatchObject({ evaluated: 20, matched: 10, share: 0.5, visits: 1, matchedPerVisitMax: 10, errors: 0 });
  expect(trial.samples.map(({ snr }) => snr)).toEqual([0, 2, 4, 6, 8]);
});

test('a filter that passes more than its share, fails, or saw nothing is refused with the reason', async () => {
  const tried = (expression: string, count = 10): ReturnType<typeof tryFilter> =>
    tryFilter(compileFilter({ user: 'ana', name: 'f', version: 1, expression }),
      Array.from({ length: count }, (_, i) => samplePacket(i)));
  expect(refusalOf(await tried('diaSource.snr < 5.0'), 0.5)).toBeNull();
  expect(refusalOf(await tried('diaSource.snr < 6.0'), 0.5)).toMatch(/60\.0 % of the alerts, more than the 50 %/);
  expect(refusalOf(await tried('1 / (diaSource.detector - 4) == 1'), 0.5)).toMatch(/10 evaluations failed.*zero/);
  expect(refusalOf(await tried('true', 0), 0.5)).toMatch(/no alert/);
});
