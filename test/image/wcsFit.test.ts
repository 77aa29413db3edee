import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeFits, readFits } from '../../engine/image/fits.ts';
import { nominalWcs, pixelToSky, separationArcsec, skyToPixel, wcsFromHeader, wcsToCards } from '../../engine/image/wcs.ts';
import { tanSipOf } from '../../engine/image/wcsFit.ts';
import { loadCamera } from '../../schemas/camera.ts';
import { detectorMap, skyOfVector } from '../../simulator/projection.ts';

const camera = loadCamera('LSSTCam');
const places = fc.record({
  detector: fc.integer({ min: 0, max: camera.detectors.length - 1 }), raDeg: fc.double({ min: 0, max: 360, noNaN: true }),
  decDeg: fc.double({ min: -89.9, max: 89.9, noNaN: true }), cameraAngleDeg: fc.double({ min: 0, max: 360, noNaN: true }),
});

test('the nominal WCS of any detector, turned and distorted ones too, is the simulator\'s to 1e-6 px', () => {
  fc.assert(fc.property(places, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }),
    ({ detector: index, raDeg, decDeg, cameraAngleDeg }, fx, fy) => {
      const detector = camera.detectors[index], x = fx * detector.width, y = fy * detector.height;
      const wcs = nominalWcs(camera, detector, raDeg, decDeg, cameraAngleDeg);
      const truth = skyOfVector(detectorMap(camera, detector, { raDeg, decDeg, cameraAngleDeg }).toSky(x, y));
      const at = pixelToSky(wcs, x, y), back = skyToPixel(wcs, truth.raDeg, truth.decDeg);
      expect(separationArcsec(at.raDeg, at.decDeg, truth.raDeg, truth.decDeg)).toBeLessThan(1e-6);
      expect(Math.hypot(back.x - x, back.y - y)).toBeLessThan(1e-5);
    }), { numRuns: 200 });
});

test('a TAN-SIP follows a distorted detector to 0.05 mas about its own middle, with an order no higher than it needs', () => {
  fc.assert(fc.property(places, ({ detector: index, raDeg, decDeg, cameraAngleDeg }) => {
    const detector = camera.detectors[index], { width, height } = detector;
    const nominal = nominalWcs(camera, detector, raDeg, decDeg, cameraAngleDeg);
    const wcs = tanSipOf((x, y) => pixelToSky(nominal, x, y), width, height, nominal.crval);
    expect(wcs.crpix).toEqual([(width - 1) / 2, (height - 1) / 2]);
    // k₁ p² and k₂ p⁴ of 30 mrad bend a detector of 4 mrad by 40 mas in second order; the plane about another point
    // bends it too, in fourth order still by 0.1 mas at the corners of the largest field.
    expect(wcs.sip?.order ?? 1).toBeLessThanOrEqual(4);
    for (const [fx, fy] of [[0, 0], [1, 0.3], [0.37, 0.61], [0.5, 1]]) {
      const a = pixelToSky(wcs, fx * width, fy * height), b = pixelToSky(nominal, fx * width, fy * height);
      // The grid's places are held to 0.05 mas, those between to little more.
      expect(separationArcsec(a.raDeg, a.decDeg, b.raDeg, b.decDeg)).toBeLessThan(1e-4);
    }
  }), { numRuns: 30 });
});

test('an undistorted map needs no SIP', () => {
  const plain = loadCamera('minicam'), detector = plain.detectors[0], nominal = nominalWcs(plain, detector, 12, -44, 30);
  const wcs = tanSipOf((x, y) => pixelToSky(nominal, x, y), detector.width, detector.height, nominal.crval);
  expect(wcs.sip).toBeNull();
});

const PYTHON = '/usr/bin/python3', hasAstropy = spawnSync(PYTHON, ['-c', 'import astropy']).status === 0;

test.skipIf(!hasAstropy)('astropy reads the TAN-SIP of a product to 1 mas of what we read (skipped without it)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vesper-wcs-')), path = join(folder, 'wcs.fits');
  try {
    const detector = camera.detectors[3], { width, height } = detector;
    const nominal = nominalWcs(camera, detector, 150.1, -2.2, 33);
    const wcs = tanSipOf((x, y) => {
      const at = pixelToSky(nominal, x, y);
      return { raDeg: at.raDeg, decDeg: at.decDeg + 1e-4 * ((x / width) ** 3 + (x * y * y) / (width * height * height)) };
    }, width, height, nominal.crval);
    expect(wcs.sip).not.toBeNull();
    const data = new Float32Array(4);
    writeFits(path, [{ data: null }, { name: 'IMAGE', data, width: 2, height: 2, cards: wcsToCards(wcs) }]);
    const read = wcsFromHeader(readFits(path).hdus[1].header);
    expect(read?.sip).toEqual(wcs.sip);
    const points = [[0, 0], [width - 1, 5], [1234.5, 3210.25], [17, height - 1]];
    const script = 'import sys, json\nfrom astropy.io import fits\nfrom astropy.wcs import WCS\n'
      + 'w = WCS(fits.getheader(sys.argv[1], 1))\n'
      + 'print(json.dumps([[float(v) for v in w.all_pix2world(x, y, 0)] for x, y in json.loads(sys.argv[2])]))';
    const answer = JSON.parse(execFileSync(
      PYTHON, ['-W', 'ignore', '-c', script, path, JSON.stringify(points)], { encoding: 'utf8' },
    )) as number[][]; // As the script prints it.
    points.forEach(([x, y], i) => {
      const own = pixelToSky(wcs, x, y);
      expect(separationArcsec(own.raDeg, own.decDeg, answer[i][0], answer[i][1])).toBeLessThan(1e-3);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
