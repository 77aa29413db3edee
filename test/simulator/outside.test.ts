/** Judgements of programs that are not ours, where they are installed: source-extractor, fitsverify, astropy. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadCamera, type Camera, type Detector } from '../../schemas/camera.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { detectorResponse } from '../../simulator/detector.ts';
import { earthHeliocentric, moonAt, zenithAt } from '../../simulator/ephemeris.ts';
import { renderExposure } from '../../simulator/exposure.ts';
import { encodeFits } from '../../simulator/fitsWriter.ts';
import { parseEffects, type SimulationModel } from '../../simulator/model.ts';
import { electronsPerNJy } from '../../simulator/optics.ts';
import { seenFrom, type Orbit } from '../../simulator/orbits.ts';
import { angleBetween, detectorMap, skyOfVector } from '../../simulator/projection.ts';
import { encodeRaw } from '../../simulator/rawFile.ts';
import type { DrawnSource } from '../../simulator/scene.ts';
import { planExposure } from '../../simulator/surveySchedule.ts';
import { assembleRaw, readFitsBytes } from './readFits.ts';

const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;
const PYTHON = ['/usr/bin/python3', 'python3'].find((python) => has(python, '-c', 'import astropy')) ?? null;
const hasExtractor = has('source-extractor', '--version');
const hasFitsverify = spawnSync('fitsverify', []).error === undefined;

// Other programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let folder = '';
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-outside-')); });
afterAll(() => rmSync(folder, { recursive: true }));

const SEED = 1, dayObs = asDayObs(20261001);
/** One detector of 2,048 pixels a side with LSSTCam's numbers: 190 stars of use, and a third of a second to render. */
const camera: Camera = { ...loadCamera('LSSTCam'), detectors: loadCamera('generic').detectors };
const [detector] = camera.detectors;
const plan = planExposure({
  dayObs, camera, seed: SEED, band: 'r', raDeg: 9.45, decDeg: -44.02, cameraAngleDeg: 25, exposureSeconds: 30,
  startMjdTai: null,
});
const modelOf = (effects: string, compression: 'none' | 'rice' = 'none'): SimulationModel => (
  { sky: 'survey', effects: parseEffects(effects), compression }
);

function rawOf(of: Camera, one: Detector, model: SimulationModel): {
  raw: Buffer; sources: readonly DrawnSource[]; zeroPoint: number
} {
  const rendered = renderExposure(SEED, of, one, plan, model);
  const raw = encodeRaw('test', dayObs, one, plan, rendered.amps, { camera: of, compression: model.compression });
  return {
    raw, sources: rendered.sources,
    zeroPoint: 31.4 + 2.5 * Math.log10(electronsPerNJy('r', 30, rendered.conditions.transparency)),
  };
}

type Found = Readonly<{ x: number; y: number; xWindowed: number; yWindowed: number; magAuto: number; mag: number }>;

/** Source Extractor's catalogue of an image, its pixels made 0-based. */
function extract(name: string, image: Float64Array, zeroPoint: number, threshold: readonly string[]): Found[] {
  const path = (file: string): string => join(folder, `${name}${file}`), { width, height } = detector;
  writeFileSync(path('.fits'), encodeFits([{ cards: [], image: { width, height, pixels: Float32Array.from(image) } }]));
  writeFileSync(path('.param'), 'X_IMAGE\nY_IMAGE\nXWIN_IMAGE\nYWIN_IMAGE\nMAG_AUTO\nMAG_APER(1)\n');
  writeFileSync(path('.conv'), 'CONV NORM\n1 2 1\n2 4 2\n1 2 1\n');
  writeFileSync(path('.sex'), '');
  execFileSync('source-extractor', [
    path('.fits'), '-c', path('.sex'), '-CATALOG_NAME', path('.cat'), '-CATALOG_TYPE', 'ASCII', '-PARAMETERS_NAME',
    path('.param'),
    '-FILTER_NAME', path('.conv'), '-MAG_ZEROPOINT', String(zeroPoint), '-PHOT_APERTURES', '40', '-VERBOSE_TYPE',
    'QUIET', '-DETECT_MINAREA', '5',
    '-BACK_SIZE', '128', ...threshold,
  ]);
  return execFileSync('cat', [path('.cat')], { encoding: 'utf8' }).trim().split('\n').map((line) => {
    const [x, y, xWindowed, yWindowed, magAuto, mag] = line.trim().split(/\s+/).map(Number);
    return { x: x - 1, y: y - 1, xWindowed: xWindowed - 1, yWindowed: yWindowed - 1, magAuto, mag };
  });
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Magnitude (r) to which sources are counted. */
const COUNT_LIMIT = 23;

/**
 * How much fainter MAG_AUTO is near the limit than truth. A Kron aperture leaves light out: 0.03 mag of an image without
 * noise, 0.06 of a star's and 0.15 of a galaxy's at the sky's noise, which alone makes counts to 23 fall short by 2.8
 * deviations of Poisson. Stars and galaxies by the parts that they have of the counts.
 */
function kronLoss(sources: readonly DrawnSource[], found: readonly Found[]): number {
  const faint = sources.filter(({ mag }) => mag > COUNT_LIMIT - 1 && mag < COUNT_LIMIT);
  return [true, false].reduce((sum, isGalaxy) => {
    const some = faint.filter(({ kind }) => (kind === 'galaxy') === isGalaxy);
    const losses = some.flatMap((source) => {
      const isAlone = !sources.some((o) => o !== source && o.mag < source.mag + 3 && distance(o, source) < 12);
      const near = isAlone ? found.find((one) => distance(one, source) < 2.5) : undefined;
      return near ? [near.magAuto - source.mag] : [];
    });
    expect(losses.length).toBeGreaterThan(20);
    return sum + (some.length / faint.length) * median(losses);
  }, 0);
}

type At = Readonly<{ x: number; y: number }>;
const distance = (a: At, b: At): number => Math.hypot(a.x - b.x, a.y - b.y);

describe.skipIf(!hasExtractor)('source-extractor', () => {
  test.each([
    [
      'noise-free', 'none',
      [
        '-THRESH_TYPE', 'ABSOLUTE', '-DETECT_THRESH', '3', '-ANALYSIS_THRESH', '3', '-BACK_TYPE', 'MANUAL',
        '-BACK_VALUE', '0',
      ],
    ],
    [
      'calibrated', 'basic,darkCurrent,differentialRefraction,clouds',
      ['-DETECT_THRESH', '1.5', '-ANALYSIS_THRESH', '1.5'],
    ],
  ] as const)('finds the sources of a %s detector where truth has them', (name, effects, threshold) => {
    const model = modelOf(effects), { raw, sources, zeroPoint } = rawOf(camera, detector, model);
    const { width, height } = detector;
    const { response } = detectorResponse(SEED, camera, detector, model);
    const found = extract(
      name, assembleRaw(readFitsBytes(raw), width, height).map((value, i) => value / response[i]), zeroPoint, threshold,
    );

    const truthCount = sources.filter(({ mag }) => mag < COUNT_LIMIT).length;
    const seenLimit = COUNT_LIMIT + kronLoss(sources, found);
    const foundCount = found.filter(({ magAuto }) => magAuto < seenLimit).length;
    expect(truthCount).toBeGreaterThan(800);
    expect(Math.abs(foundCount - truthCount)).toBeLessThan(2 * Math.sqrt(truthCount));

    const isInside = (s: DrawnSource): boolean => s.x > 50 && s.y > 50 && s.x < width - 50 && s.y < height - 50;
    const isolated = sources.filter((s) => s.kind === 'star' && s.mag > 17.5 && s.mag < 21 && isInside(s)
      && !sources.some((o) => o !== s && o.mag < s.mag + 5 && Math.hypot(o.x - s.x, o.y - s.y) < 25));
    const matched = isolated.flatMap((star) => {
      const near = found.find(({ x, y }) => Math.hypot(x - star.x, y - star.y) < 1);
      return near ? [{ dx: near.xWindowed - star.x, dy: near.yWindowed - star.y, dMag: near.mag - star.mag }] : [];
    });
    expect(matched.length).toBeGreaterThan(0.95 * isolated.length);
    expect(matched.length).toBeGreaterThan(30);
    expect(Math.abs(median(matched.map(({ dx }) => dx)))).toBeLessThan(0.02);
    expect(Math.abs(median(matched.map(({ dy }) => dy)))).toBeLessThan(0.02);
    // Of 30 and more stars that scatter by 0.02 mag; 40 px hold all but 0.1 % of a Moffat's light.
    expect(Math.abs(median(matched.map(({ dMag }) => dMag)))).toBeLessThan(0.01);
  });
});

test.skipIf(!hasFitsverify).each(
  ['none', 'rice'] as const,
)('fitsverify finds neither errors nor warnings in a raw file, compression %s', (compression) => {
  const small = loadCamera('minicam'), path = join(folder, `raw-${compression}.fits`);
  writeFileSync(path, rawOf(small, small.detectors[0], modelOf('realistic', compression)).raw);
  const { stdout } = spawnSync('fitsverify', [path], { encoding: 'utf8' });
  expect(stdout).toContain('Verification found 0 warning(s) and 0 error(s)');
});

describe.skipIf(PYTHON === null)('astropy', () => {
  const python = (script: string, ...args: string[]): string => {
    const setup = 'import sys, json, warnings\nwarnings.simplefilter("ignore")\n'
      + 'from astropy.utils import iers\niers.conf.auto_download = False\n';
    return execFileSync(PYTHON ?? '', ['-c', setup + script, ...args], { encoding: 'utf8' });
  };

  test.each(
    [
      ['LSSTCam', 'R22_S11'], ['LSSTCam', 'R30_S00'], ['LSSTCam', 'R43_S22'], ['LSSTCam', 'R04_SW0'],
      ['minicam', 'S12'],
    ],
  )(
    'reads from the header of each amp of %s %s the places that the optics have, to 1 mas', (name, detectorName) => {
      const of = loadCamera(name), one = of.detectors.find((candidate) => candidate.name === detectorName);
      if (!one) throw new Error(`${name} has no ${detectorName}`);
      const path = join(folder, `wcs-${detectorName}.fits`), map = detectorMap(of, one, plan.commanded);
      // Only the headers matter: amps without pixels of their own.
      const amps = one.amps.map((amp) => new Uint16Array(amp.rawWidth * amp.rawHeight));
      writeFileSync(path, encodeRaw(name, dayObs, one, plan, amps, { camera: of }));
      const points = one.amps.flatMap((amp) => [[0, 0], [1, 1], [0.3, 0.8]].map(([u, v]) => {
        const { detectorBox: box, rawData: data } = amp, i = Math.round(u * (box.x1 - box.x0 - 1));
        const j = Math.round(v * (box.y1 - box.y0 - 1));
        const x = amp.flipX ? box.x1 - 1 - i : box.x0 + i, y = amp.flipY ? box.y1 - 1 - j : box.y0 + j;
        return { amp: amp.name, x: data.x0 + i, y: data.y0 + j, ...skyOfVector(map.toSky(x, y)) };
      }));
      const worst = Number(python(`
from astropy.io import fits
from astropy.wcs import WCS
from astropy.coordinates import SkyCoord
worst = 0
with fits.open(sys.argv[1]) as f:
  for p in json.loads(sys.argv[2]):
    sky = WCS(f[p['amp']].header).pixel_to_world(p['x'], p['y'])
    worst = max(worst, sky.separation(SkyCoord(p['raDeg'], p['decDeg'], unit='deg')).arcsec * 1000)
print(worst)`, path, JSON.stringify(points)));
      expect(worst).toBeLessThan(1);
    });

  test('has Earth where we have it, so that a body at 1 AU is off by 1″ at most, from 2017 to 2054', () => {
    const times = Array.from({ length: 40 }, (_, k) => 57_800 + 350 * k);
    const worst = Number(python(`
import numpy as np
from astropy.time import Time
from astropy.coordinates import get_body_barycentric
worst = 0
for mjd, place in json.loads(sys.argv[1]):
  t = Time(mjd, format='mjd', scale='tai')
  e = get_body_barycentric('earth', t).xyz.to_value('au') - get_body_barycentric('sun', t).xyz.to_value('au')
  worst = max(worst, float(np.linalg.norm(e - np.array(place))) * 206264.8)
print(worst)`, JSON.stringify(times.map((mjd) => [mjd, earthHeliocentric(mjd)]))));
    expect(worst).toBeLessThan(1);
  });

  test('has the zenith of the observatory within 40″ and the Moon within 0.4° of ours, from 2017 to 2054', () => {
    const times = Array.from({ length: 20 }, (_, k) => 57_800.3 + 700.17 * k);
    const ours = times.map((mjd) => [mjd, zenithAt(mjd), moonAt(mjd).direction]);
    const [zenithArcsec, moonDeg] = JSON.parse(python(`
import numpy as np
import astropy.units as u
from astropy.time import Time
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
iers.conf.iers_degraded_accuracy = 'ignore'
site = EarthLocation(lat=-30.2446 * u.deg, lon=-70.7494 * u.deg, height=2660 * u.m)
off = lambda p, q: float(np.linalg.norm(p / np.linalg.norm(p) - np.array(q)))
worst = [0, 0]
for mjd, zenith, moon in json.loads(sys.argv[1]):
  t = Time(mjd, format='mjd', scale='tai')
  z = SkyCoord(alt=90 * u.deg, az=0 * u.deg, frame=AltAz(obstime=t, location=site)).icrs.cartesian.xyz.value
  m = get_body('moon', t).cartesian.xyz.value
  worst = [max(worst[0], off(z, zenith) * 206264.8), max(worst[1], np.degrees(off(m, moon)))]
print(json.dumps(worst))`, JSON.stringify(ours))) as [number, number];
    expect(zenithArcsec).toBeLessThan(40); // Aberration 20″, nutation 17″, UT1 − UTC up to 13″.
    expect(moonDeg).toBeLessThan(0.4); // The terms left out add up to so much.
  });

  test('carries a body over a month to where our orbits have it, seen from Earth, to 1″', () => {
    // Ceres' elements of 2026: astropy has no minor planets, so its Earth and its own Kepler solution by series are
    // used.
    const orbit: Orbit = {
      semiMajorAxisAu: 2.7656, eccentricity: 0.0796, inclination: 0.18482, node: 1.40056, perihelion: 1.28030,
      meanAnomaly: 4.0, epochMjdTai: 61_041,
    };
    const places = [0, 10, 20, 30].map(
      (day) => [61_041 + day, seenFrom(earthHeliocentric(61_041 + day), orbit, 61_041 + day).direction],
    );
    const worst = Number(python(`
import numpy as np
from astropy.time import Time
from astropy.coordinates import get_body_barycentric
from astropy import constants as c, units as u
o = json.loads(sys.argv[2])
mu = c.GM_sun.to_value(u.au**3 / u.day**2)
def body(mjd):
  M = o['meanAnomaly'] + np.sqrt(mu / o['semiMajorAxisAu']**3) * (mjd - o['epochMjdTai'])
  E = M
  for _ in range(200): E = M + o['eccentricity'] * np.sin(E)
  nu = 2 * np.arctan2(np.sqrt(1 + o['eccentricity']) * np.sin(E / 2), np.sqrt(1 - o['eccentricity']) * np.cos(E / 2))
  r = o['semiMajorAxisAu'] * (1 - o['eccentricity'] * np.cos(E))
  w = o['perihelion'] + nu; N = o['node']; i = o['inclination']
  cN, sN, cw, sw = np.cos(N), np.sin(N), np.cos(w), np.sin(w)
  p = r * np.array([cN*cw - sN*sw*np.cos(i), sN*cw + cN*sw*np.cos(i), sw*np.sin(i)])
  e = np.radians(84381.406 / 3600)
  return np.array([p[0], p[1]*np.cos(e) - p[2]*np.sin(e), p[1]*np.sin(e) + p[2]*np.cos(e)])
worst = 0
for mjd, d in json.loads(sys.argv[1]):
  t = Time(mjd, format='mjd', scale='tai')
  earth = get_body_barycentric('earth', t).xyz.to_value('au') - get_body_barycentric('sun', t).xyz.to_value('au')
  lt = 0
  for _ in range(4):
    v = body(mjd - lt) - earth; lt = np.linalg.norm(v) * (u.au / c.c).to_value(u.day)
  v /= np.linalg.norm(v)
  worst = max(worst, float(np.linalg.norm(v - np.array(d))) * 206264.8)
print(worst)`, JSON.stringify(places), JSON.stringify(orbit)));
    expect(worst).toBeLessThan(1);
  });

  test.each(
    ['mars', 'jupiter'],
  )('has %s for a month where our orbit through one of its moments has it, to 1″', (planet) => {
    const month = [0, 5, 10, 15, 20, 25, 30].map((day) => 61_041 + day);
    // Elements of the ellipse through the planet's place and velocity (Danby 1988, §6.3), and its directions from
    // Earth.
    type Published = { seen: [number, number, number][]; orbit: Orbit };
    const published = JSON.parse(python(`
import numpy as np
from astropy.time import Time
from astropy.coordinates import get_body_barycentric as at, solar_system_ephemeris
from astropy import constants as c, units as u
solar_system_ephemeris.set('builtin')
T = lambda mjd: Time(mjd, format='mjd', scale='tai')
helio = lambda name, mjd: at(name, T(mjd)).xyz.to_value('au') - at('sun', T(mjd)).xyz.to_value('au')
name, month = sys.argv[1], json.loads(sys.argv[2])
mu = c.GM_sun.to_value(u.au**3 / u.day**2)
e = np.radians(84381.406 / 3600)
ecl = lambda p: np.array([p[0], p[1]*np.cos(e) + p[2]*np.sin(e), -p[1]*np.sin(e) + p[2]*np.cos(e)])
mid = month[len(month) // 2]
r = ecl(helio(name, mid)); v = ecl((helio(name, mid + 0.5) - helio(name, mid - 0.5)))
h = np.cross(r, v); n = np.array([-h[1], h[0], 0]); d = np.linalg.norm(r)
ev = np.cross(v, h) / mu - r / d; ecc = np.linalg.norm(ev); a = 1 / (2 / d - v @ v / mu)
angle = lambda p, q: np.arctan2(np.cross(p, q) @ h / np.linalg.norm(h), p @ q)
nu = angle(ev, r); E = 2 * np.arctan2(np.sqrt(1 - ecc) * np.sin(nu / 2), np.sqrt(1 + ecc) * np.cos(nu / 2))
seen = []
for mjd in month:
  lt = 0
  for _ in range(4):
    p = helio(name, mjd - lt) - helio('earth', mjd); lt = np.linalg.norm(p) * (u.au / c.c).to_value(u.day)
  seen.append(list(p / np.linalg.norm(p)))
i = np.arccos(h[2] / np.linalg.norm(h))
orbit = dict(semiMajorAxisAu=a, eccentricity=ecc, inclination=i, node=np.arctan2(n[1], n[0]), perihelion=angle(n, ev),
  meanAnomaly=E - ecc * np.sin(E), epochMjdTai=mid)
print(json.dumps(dict(seen=seen, orbit=orbit)))`, planet, JSON.stringify(month))) as Published;
    const worst = Math.max(...month.map((mjd, k) =>
      angleBetween(seenFrom(earthHeliocentric(mjd), published.orbit, mjd).direction, published.seen[k]) * 206_265));
    expect(worst).toBeLessThan(1);
  });
});
