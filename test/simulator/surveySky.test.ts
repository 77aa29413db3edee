import { expect, test } from 'vitest';
import { loadCamera } from '../../schemas/camera.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { BANDS } from '../../schemas/units.ts';
import { surveyConditions } from '../../simulator/atmosphere.ts';
import {
  equatorial, airmassAt, altitudeDeg, earthHeliocentric, moonAt, sunDirection, zenithAt,
} from '../../simulator/ephemeris.ts';
import { minorPlanets, movingSources } from '../../simulator/minorPlanets.ts';
import { eccentricAnomaly, heliocentric, seenFrom, type Orbit } from '../../simulator/orbits.ts';
import {
  angleBetween, skyOfVector, tangentPlane, toTangent, unitVector, type UnitVector,
} from '../../simulator/projection.ts';
import { randomStream } from '../../simulator/random.ts';
import { cachedCell, starsOfCone } from '../../simulator/scene.ts';
import { cellsOfCone, CELL_SQUARE_DEGREES } from '../../simulator/sky.ts';
import { galactic, placeAt, starDensity, surveyCell } from '../../simulator/surveySky.ts';
import { darknessOf, planSurveyNight } from '../../simulator/surveySchedule.ts';
import {
  magnification, plateauFlux, surveyTransientFlux, surveyTransientsOf, typeIaFlux, type SurveyTransient,
} from '../../simulator/surveyTransients.ts';
import { surveyVariableFlux, type SurveyVariable } from '../../simulator/variables.ts';

const RADIANS = Math.PI / 180, SEED = 4;

test('the same place shows the same stars from whichever pointing it is asked', () => {
  const near = (raDeg: number, decDeg: number, radiusDeg: number): Map<bigint, string> =>
    new Map(
      starsOfCone(SEED, raDeg, decDeg, radiusDeg * RADIANS, 'survey').map(
        (star) => [star.id, JSON.stringify([star.place, star.mags])],
      ),
    );
  const wide = near(150, 2, 0.1), narrow = near(150.02, 2.01, 0.05);
  expect(narrow.size).toBeGreaterThan(100);
  for (const [id, star] of narrow) expect(wide.get(id)).toBe(star);
});

test('at high galactic latitude a detector of 13.7′ has about 8,000 stars and 4,000 galaxies to magnitude 25', () => {
  const cells = cellsOfCone(unitVector(9.45, -44.02), 0.3 * RADIANS).map((index) => cachedCell(SEED, index, 'survey'));
  const detectorCells = (13.65 / 60) ** 2 / CELL_SQUARE_DEGREES / cells.length;
  const r = BANDS.indexOf('r');
  const stars = detectorCells * cells.reduce(
    (sum, { stars: all }) => sum + all.filter(({ mags }) => mags[r] < 25).length, 0,
  );
  const galaxies = detectorCells * cells.reduce((sum, { galaxies: all }) => sum + all.length, 0);
  expect(Math.abs(stars / 8000 - 1)).toBeLessThan(0.1); // The density follows latitude: a few per cent here.
  expect(Math.abs(galaxies / 4000 - 1)).toBeLessThan(0.03); // 20,000 counted: 0.7 %, twice over.
});

test('stars crowd towards the galactic plane', () => {
  const towards = (raDeg: number, decDeg: number): number => starDensity(unitVector(raDeg, decDeg));
  expect(galactic(unitVector(266.405, -28.936)).latitude / RADIANS).toBeCloseTo(0, 1); // The Galaxy's centre.
  expect(galactic(unitVector(192.859, 27.128)).latitude / RADIANS).toBeCloseTo(90, 1);
  expect(towards(266.4, -28.9)).toBeGreaterThan(10 * towards(12, -27)); // Centre against south pole.
  expect(towards(200, -62.8)).toBeGreaterThan(5); // On the plane, away from the centre.
});

test('a star moves by its proper motion and swings by its parallax', () => {
  const star = {
    ...surveyCell(SEED, 12_345).stars[0], motion: { eastMasPerYear: 400, northMasPerYear: -300, parallaxMas: 250 },
  };
  const { raDeg, decDeg } = skyOfVector(star.place), plane = tangentPlane(raDeg, decDeg), mas = 206_264_806;
  const at = (mjd: number, withParallax: boolean): { xi: number; eta: number } => {
    const seen = toTangent(plane, placeAt(star, mjd, withParallax ? earthHeliocentric(mjd) : null));
    if (!seen) throw new Error('behind the plane');
    return seen;
  };
  const decade = at(61_041 + 3652.5, false);
  expect(decade.xi * mas).toBeCloseTo(4000, 0);
  expect(decade.eta * mas).toBeCloseTo(-3000, 0);
  // Half a year apart the Sun stands opposite, so the two shifts add up to a chord of at most 2 × 1.017 of the
  // parallax.
  const shifts = Array.from({ length: 24 }, (_, k) => {
    const mjd = 61_041 + k * 15.2, still = at(mjd, false), swung = at(mjd, true);
    return Math.hypot(swung.xi - still.xi, swung.eta - still.eta) * mas;
  });
  expect(Math.max(...shifts)).toBeLessThan(250 * 1.018);
  expect(Math.max(...shifts)).toBeGreaterThan(250 * 0.98); // Somewhere on the year's ellipse the Sun is 90° away.
});

test('variables keep their mean magnitude and their amplitude', () => {
  const shapes: SurveyVariable['shape'][] = ['rrLyrae', 'cepheid', 'longPeriod', 'rotating', 'activeNucleus'];
  for (const shape of shapes) {
    const variable: SurveyVariable = { shape, periodDays: 60, phase: 0.3, amplitudeMag: 0.2, seed: 9 };
    const mags = Array.from(
      { length: 60_000 }, (_, k) => -2.5 * Math.log10(surveyVariableFlux(variable, 'r', 60_000 + k)),
    );
    const mean = mags.reduce((sum, mag) => sum + mag, 0) / mags.length;
    const rms = Math.sqrt(mags.reduce((sum, mag) => sum + mag * mag, 0) / mags.length);
    // Of a cosine 0.2/√2; of a damped walk 0.2, in 1,000 damping times of which 32 waves know some per cent.
    expect(Math.abs(mean)).toBeLessThan(shape === 'activeNucleus' ? 0.03 : 1e-3);
    expect(
      Math.abs(rms / (shape === 'activeNucleus' ? 0.2 : 0.2 / Math.SQRT2) - 1),
    ).toBeLessThan(shape === 'activeNucleus' ? 0.15 : 1e-3);
  }
});

test('an eclipse is as deep as said, lasts a twelfth of the period and is flat outside', () => {
  const variable: SurveyVariable = { shape: 'eclipsing', periodDays: 2, phase: 0, amplitudeMag: 0.5, seed: 1 };
  expect(surveyVariableFlux(variable, 'g', 60_000)).toBeCloseTo(10 ** -0.2, 9);
  expect(surveyVariableFlux(variable, 'g', 60_001)).toBeCloseTo(10 ** (-0.4 * 0.2), 9);
  expect(surveyVariableFlux(variable, 'g', 60_000.5)).toBe(1);
  expect(surveyVariableFlux(variable, 'g', 60_000.085)).toBe(1);
});

test('a type Ia loses 1.15 mag in g in 15 days, has a second maximum in i, and a II-P a plateau', () => {
  expect(-2.5 * Math.log10(typeIaFlux('g', 15))).toBeCloseTo(1.15, 1);
  expect(typeIaFlux('i', 26)).toBeGreaterThan(typeIaFlux('i', 18));
  expect(typeIaFlux('g', -19)).toBe(0);
  expect(-2.5 * Math.log10(plateauFlux('r', 90))).toBeLessThan(0.5);
  expect(-2.5 * Math.log10(plateauFlux('r', 140) / plateauFlux('r', 90))).toBeGreaterThan(1.5);
  // Cobalt-56 has a mean life of 111.3 days: 0.98 mag in 100 days.
  expect(-2.5 * Math.log10(plateauFlux('r', 300) / plateauFlux('r', 200))).toBeCloseTo(0.98, 2);
});

test('a lens magnifies symmetrically, by 3/√5 at one Einstein radius', () => {
  expect(magnification(1)).toBeCloseTo(3 / Math.sqrt(5), 12);
  // What the curve needs.
  const lens = { kind: 'microlensing', peakMjdTai: 60_000, timescale: 20, impact: 0.1 } as SurveyTransient;
  expect(surveyTransientFlux(lens, 'g', 60_007)).toBeCloseTo(surveyTransientFlux(lens, 'y', 59_993), 12);
  expect(surveyTransientFlux(lens, 'r', 60_000)).toBe(1);
});

test('supernovae come at their rate, most of them in the light of a galaxy of their cell', () => {
  const cells = cellsOfCone(unitVector(40, -30), 0.75 * RADIANS);
  let events = 0, hosted = 0;
  for (const index of cells) {
    const cell = surveyCell(SEED, index);
    for (const transient of surveyTransientsOf(SEED, cell, CELL_SQUARE_DEGREES, 61_400, 1e-3)) {
      if (transient.kind !== 'typeIa') continue;
      events++;
      if (
        cell.galaxies.some(
          (galaxy) => angleBetween(galaxy.place, transient.place) < (4 * galaxy.radiusArcsec) / 206_265,
        )
      ) hosted++;
    }
  }
  // 0.06 a square degree and day, seen above a thousandth of the peak from −18 to some 200 days, × (1 + z) of 0.6 in
  // the mean:
  const expected = 0.06 * cells.length * CELL_SQUARE_DEGREES * 220 * 1.0;
  expect(Math.abs(events - expected)).toBeLessThan(5 * Math.sqrt(expected) + 0.3 * expected);
  expect(hosted).toBeGreaterThan(0.9 * events);
});

test('Earth stands where the Astronomical Almanac has it: Meeus, example 25.b', () => {
  // 1992-10-13 0h TT: R = 0.99760775 AU; the Sun's geometric longitude 199.907372°, referred to the equinox of date.
  const mjdTai = 48_908 - 32.184 / 86_400, [x, y, z] = earthHeliocentric(mjdTai);
  expect(Math.abs(Math.hypot(x, y, z) - 0.99760775)).toBeLessThan(1e-6); // Left-out terms: 0.2″ on a body at 1 AU.
  const epsilon = 84381.406 / 3600 * RADIANS;
  const longitude = Math.atan2(-(y * Math.cos(epsilon) + z * Math.sin(epsilon)), -x) / RADIANS + 360;
  const precession = (5029.0966 * ((48_908 - 51_544.5) / 36_525)) / 3600;
  expect(Math.abs(longitude + precession - 199.907372) * 3600).toBeLessThan(1);
});

test('the Moon stands where Meeus, example 47.a, has it, to 0.1°', () => {
  // 1992-04-12 0h TT: longitude 133.1627°, latitude −3.2291° of date.
  const { direction } = moonAt(48_724 - 32.184 / 86_400), epsilon = 84381.406 / 3600 * RADIANS, [x, y, z] = direction;
  const t = (48_724 - 51_544.5) / 36_525;
  const longitude = Math.atan2(y * Math.cos(epsilon) + z * Math.sin(epsilon), x) / RADIANS + (5029.0966 * t) / 3600;
  const latitude = Math.asin(z * Math.cos(epsilon) - y * Math.sin(epsilon)) / RADIANS;
  expect(Math.abs(longitude - 133.1627)).toBeLessThan(0.1);
  expect(Math.abs(latitude + 3.2291)).toBeLessThan(0.1);
});

test('Kepler\'s equation is solved for every eccentricity below 1', () => {
  for (const e of [0, 0.1, 0.5, 0.9, 0.99]) {
    for (let m = -7; m < 13; m += 0.37) {
      const eccentric = eccentricAnomaly(m, e), residual = eccentric - e * Math.sin(eccentric) - m;
      expect(Math.abs(residual / (2 * Math.PI) - Math.round(residual / (2 * Math.PI)))).toBeLessThan(1e-11);
    }
  }
});

test('an orbit solves the two-body problem: integrated from its start, it is where it should be a month later', () => {
  const orbit: Orbit = {
    semiMajorAxisAu: 2.7, eccentricity: 0.2, inclination: 0.3, node: 1, perihelion: 2, meanAnomaly: 0.4,
    epochMjdTai: 61_041,
  };
  const k2 = 0.01720209895 ** 2, step = 0.01;
  const velocity = (mjd: number): number[] =>
    [0, 1, 2].map((i) => (heliocentric(orbit, mjd + 1e-3)[i] - heliocentric(orbit, mjd - 1e-3)[i]) / 2e-3);
  let r = [...heliocentric(orbit, 61_041)], v = velocity(61_041);
  const pull = (p: readonly number[]): number[] => {
    const d3 = Math.hypot(...p) ** 3;
    return p.map((c) => (-k2 * c) / d3);
  };
  for (let k = 0; k < 3000; k++) { // Leapfrog: its error is of step² and below 1e-9 AU here.
    v = v.map((c, i) => c + (pull(r)[i] * step) / 2);
    r = r.map((c, i) => c + v[i] * step);
    v = v.map((c, i) => c + (pull(r)[i] * step) / 2);
  }
  const end = heliocentric(orbit, 61_041 + 3000 * step);
  // Seen from 1 AU, 1″ is 4.8e-6 AU: a hundredth of that.
  expect(Math.hypot(r[0] - end[0], r[1] - end[1], r[2] - end[2])).toBeLessThan(4.8e-8);
});

test('minor planets are many in opposition on the ecliptic and few at its pole, and trail as their class does', () => {
  const mjd = 61_314.2, sun = sunDirection(mjd), opposite: UnitVector = [-sun[0], -sun[1], -sun[2]];
  const found = movingSources(SEED, opposite, 0.03, opposite, 0.03, mjd, 30), pole = unitVector(270, 66.56);
  // 210 a square degree brighter than R = 23, r = 23.2, within a degree of the ecliptic (Gladman et al. 2009, Icarus
  // 202, 104), on 9.3 square degrees that reach to 1.7°, where 5 % fewer stand: Poisson, and the survey's own 5 %.
  const bright = found.filter(({ planet, mags }) => planet.class === 'mainBelt' && mags[2] < 23.2).length;
  const expected = 210 * 0.95 * Math.PI * (0.03 / RADIANS) ** 2;
  expect(Math.abs(bright - expected)).toBeLessThan(3 * Math.hypot(Math.sqrt(expected), 0.05 * expected));
  expect(movingSources(SEED, pole, 0.03, pole, 0.03, mjd, 30).length).toBeLessThan(5);
  // Retrograde in opposition; a few near perihelion come within half an astronomical unit, and may be faster or slower.
  const belt = found.filter(({ planet }) => planet.class === 'mainBelt');
  const usual = belt.filter(({ degreesPerDay }) => degreesPerDay > 0.1 && degreesPerDay < 0.4);
  expect(usual.length).toBeGreaterThan(0.97 * belt.length);
  for (const { degreesPerDay, start, end } of found) {
    expect(angleBetween(start, end) * 206_265).toBeCloseTo((degreesPerDay * 3600 * 30) / 86_400, 3);
  }
  expect(new Set([...minorPlanets(SEED), ...found.map(({ planet }) => planet)].map((one) => one.class)).size).toBe(4);
});

test.each([
  ['in opposition', 0, 0], ['in quadrature', 90, 0], ['20° off the ecliptic', 20, 20],
])('a field %s shows the very bodies that another about it shows there', (_, lengthDeg, latitudeDeg) => {
  const mjd = 61_700.2, [x, y] = sunDirection(mjd), turn = Math.atan2(y / Math.cos(0.40909), x) + Math.PI;
  const place = (length: number, latitude: number): UnitVector => equatorial([
    Math.cos(latitude) * Math.cos(length), Math.cos(latitude) * Math.sin(length), Math.sin(latitude),
  ]);
  const here = place(turn + lengthDeg * RADIANS, latitudeDeg * RADIANS);
  const beside = place(turn + (lengthDeg + 2) * RADIANS, (latitudeDeg + 1) * RADIANS);
  const idsOf = (field: UnitVector, radius: number): bigint[] =>
    movingSources(SEED, field, radius, here, 0.015, mjd, 30).map(({ planet }) => planet.id).sort();
  const ids = idsOf(here, 0.015);
  expect(ids.length).toBeGreaterThan(100);
  expect(idsOf(beside, 0.07)).toEqual(ids);
});

test('trojans keep company with Jupiter, 60° ahead and behind', () => {
  const longitudes = minorPlanets(SEED).filter(({ class: name }) => name === 'trojan').map(({ orbit }) => {
    const longitude = ((orbit.node + orbit.perihelion + orbit.meanAnomaly) / RADIANS - 103.4) % 360;
    return longitude > 180 ? longitude - 360 : longitude < -180 ? longitude + 360 : longitude;
  });
  const near = (place: number): number => longitudes.filter((longitude) => Math.abs(longitude - place) < 36).length;
  expect(near(60) + near(-60)).toBeGreaterThan(0.99 * longitudes.length); // Three deviations of 12°.
  expect(Math.abs(near(60) / longitudes.length - 0.6)).toBeLessThan(0.05);
});

test('a body is found by the detector\'s cone as by the whole field\'s', () => {
  const mjd = 61_314.2, sun = sunDirection(mjd), field: UnitVector = [-sun[0], -sun[1], -sun[2]];
  const all = movingSources(SEED, field, 0.03, field, 0.03, mjd, 30), one = all[7];
  const near = movingSources(SEED, field, 0.03, one.middle, 0.002, mjd, 30);
  expect(near.map(({ planet }) => planet.id)).toContain(one.planet.id);
});

test('light time moves a body by what it travels meanwhile', () => {
  const orbit: Orbit = {
    semiMajorAxisAu: 3, eccentricity: 0, inclination: 0, node: 0, perihelion: 0, meanAnomaly: 1, epochMjdTai: 61_041,
  };
  const seen = seenFrom([0, 0, 0], orbit, 61_041), then = heliocentric(orbit, 61_041 - 3 * 0.0057755183);
  expect(angleBetween(seen.direction, [then[0] / 3, then[1] / 3, then[2] / 3])).toBeLessThan(1e-9);
});

test('a night goes from dusk to dawn at the survey\'s pace, with fields high and away from the Moon', () => {
  const camera = loadCamera('LSSTCam'), dayObs = asDayObs(20270115);
  const night = planSurveyNight({ dayObs, camera, seed: SEED, visitCount: null, snaps: 1, bands: null });
  const dark = darknessOf(dayObs);
  expect(night.length).toBeGreaterThan(500);
  expect(night.length).toBeLessThan(1100);
  const gaps = night.slice(1).map(
    (visit, i) => (visit.startMjdTai - night[i].startMjdTai) * 86_400,
  ).sort((a, b) => a - b);
  expect(gaps[0]).toBeGreaterThanOrEqual(32);
  expect(gaps[gaps.length >> 1]).toBeLessThan(40);
  for (const visit of night) {
    const place = unitVector(visit.commanded.raDeg, visit.commanded.decDeg);
    const altitude = altitudeDeg(place, zenithAt(visit.startMjdTai));
    expect(altitude).toBeGreaterThan(38); // 42° when chosen; a block's pair comes half an hour later.
    expect(visit.startMjdTai >= dark.evening12 && visit.startMjdTai < dark.morning12 + 0.01).toBe(true);
    if (visit.startMjdTai < dark.evening18) expect('zy').toContain(visit.band);
  }
  expect(new Set(night.map(({ visit }) => visit)).size).toBe(night.length);
});

test('two snaps share a visit, a group and a pointing, and have their own exposures', () => {
  const camera = loadCamera('minicam');
  const [a, b, c] = planSurveyNight(
    { dayObs: asDayObs(20261001), camera, seed: SEED, visitCount: 2, snaps: 2, bands: ['r'] },
  );
  expect([b.visit, b.group, b.commanded, b.actual]).toEqual([a.visit, a.group, a.commanded, a.actual]);
  expect([a.snap, b.snap, c.snap]).toEqual([0, 1, 0]);
  expect([a.exposureSeconds, b.exposure - a.exposure]).toEqual([15, 1]);
  expect(c.visit).not.toBe(a.visit);
});

test('nights outside the ephemeris and places below the horizon are refused in one line', () => {
  expect(() => darknessOf(asDayObs(20160101))).toThrow(
    /^MJD 57388.5 is outside the ephemeris, which holds from 2017-01-01 to 2054-12-31$/,
  );
  const ask = (decDeg: number, raDeg = 100, mjdTai = 61_314.2): unknown =>
    surveyConditions({ seed: 1, exposure: 1, band: 'r', raDeg, decDeg, mjdTai, hasClouds: false });
  expect(() => ask(80)).toThrow(
    /^right ascension 100.000, declination 80.000 stands -\d+\.\d° high at MJD 61314.2000 TAI; .* down to 20°$/,
  );
  // Noon at the observatory is 16:43 UT.
  expect(() => ask(-30, 150, 61_314.7)).toThrow(
    /^the Sun stands \d+\.\d° high at MJD 61314.7000 TAI; the dome opens when it is below -6°$/,
  );
});

test('air thickens, dims, reddens and widens with airmass', () => {
  const zenith = skyOfVector(zenithAt(61_314.2));
  const ask = (offset: number, band: 'u' | 'z'): ReturnType<typeof surveyConditions> =>
    surveyConditions(
      {
        seed: 2, exposure: 5, band, raDeg: zenith.raDeg, decDeg: zenith.decDeg + offset, mjdTai: 61_314.2,
        hasClouds: false,
      },
    );
  expect(ask(60, 'u').airmass).toBeCloseTo(2, 1);
  expect(airmassAt(90)).toBeCloseTo(1, 3);
  expect(
    -2.5 * Math.log10(ask(60, 'u').transparency / ask(0, 'u').transparency),
  ).toBeCloseTo(0.5 * (ask(60, 'u').airmass - 1), 3);
  expect(ask(60, 'u').seeingArcsec / ask(0, 'u').seeingArcsec).toBeCloseTo(ask(60, 'u').airmass ** 0.6, 3);
  expect(ask(0, 'z').seeingArcsec).toBeLessThan(ask(0, 'u').seeingArcsec);
  expect(ask(60, 'u').refractionArcsecPerMag).toBeGreaterThan(10 * ask(60, 'z').refractionArcsecPerMag);
});

test('random streams of the sky and of the frames are apart', () => {
  expect(randomStream(SEED, 'survey stars', 5)).not.toEqual(randomStream(SEED, 'stars', 5));
});
