import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arenaViews, createArena, planArena } from '../../engine/image/arena.ts';
import { cutoutOf } from '../../engine/image/cutout.ts';
import { FitsError, numberCard, parseFits, readImageInto, requireHdu, stringCard, writeFits,
  type FitsCard } from '../../engine/image/fits.ts';
import { allocateMaskedImage, asProduct } from '../../engine/image/maskedImage.ts';
import { maskBits } from '../../engine/image/maskPlanes.ts';
import type { PsfModel } from '../../engine/image/psf.ts';
import { rawPixelCount, readRawExposure } from '../../engine/image/rawExposure.ts';
import { encodeTable, type TableColumn } from '../../engine/image/fitsTable.ts';
import { openReferences, parseReferences, readReferences, ReferenceError } from '../../engine/image/references.ts';
import { readTemplate, readTemplateSize } from '../../engine/image/template.ts';
import { pixelToSky, separationArcsec, wcsFromHeader, wcsToCards, type Wcs } from '../../engine/image/wcs.ts';
import { twoAmpDetector } from '../support/skyRaw.ts';

let folder = '';
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-products-')); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const wcs: Wcs = { crval: [150, -40], crpix: [50, 60], cd: [-5.5e-5, 1e-6, 1e-6, 5.5e-5], sip: null };

function messageOf(work: () => unknown): string {
  try { work(); } catch (error) { if (error instanceof FitsError
    || error instanceof ReferenceError) return error.message; throw error; }
  return 'read';
}

describe('arena', () => {
  const size = fc.integer({ min: 1, max: 200 });
  test('planes never overlap, are aligned to 64 bytes, and fit the memory', () => {
    fc.assert(fc.property(size, size, size, size, size, (w, h, tw, th, raw) => {
      const plan = planArena(w, h, tw, th, raw), memory = createArena(plan), views = arenaViews(memory, plan);
      const { offset, length } = plan.planes.kernelWork;
      const arrays = [
        new Uint8Array(memory.buffer, offset, length),
        views.raw, views.bias, views.flat, views.dark, views.fringe, ...views.scratch,
        views.labels, views.unusable,
        ...[views.visit, views.template, views.warpedTemplate, views.convolved]
          .flatMap((p) => [p.image, p.variance, p.mask]),
      ].sort((a, b) => a.byteOffset - b.byteOffset);
      expect(arrays).toHaveLength(Object.keys(plan.planes).length);
      let end = 0;
      for (const array of arrays) {
        expect(array.byteOffset % 64).toBe(0);
        expect(array.byteOffset).toBeGreaterThanOrEqual(end);
        end = array.byteOffset + array.byteLength;
      }
      expect(end).toBeLessThanOrEqual(plan.bytes);
      expect(views.template.image).toHaveLength(tw * th);
    }), { numRuns: 30 });
  });

  test('a 4k × 4k detector fits in 4 GB; sizes that cannot be are refused', () => {
    expect(planArena(4096, 4096, 4300, 4300, 16 * 576 * 2048).bytes).toBeLessThan(1.5e9);
    expect(() => planArena(20000, 20000, 20000, 20000, 1)).toThrow('4 GB');
    expect(() => planArena(0, 10, 10, 10, 10)).toThrow('size 0');
    const plan = planArena(10, 10, 10, 10, 10);
    expect(() => arenaViews(createArena(plan), planArena(4000, 400, 10, 10, 10))).toThrow('smaller');
  });

  test('another thread sees the same bytes', async () => {
    const plan = planArena(8, 8, 8, 8, 8), memory = createArena(plan);
    const worker = new Worker(
      'const { workerData: w } = require("node:worker_threads");'
      + ' new Float32Array(w.memory.buffer, w.offset, 1)[0] = 42.5;',
      { eval: true, workerData: { memory, offset: plan.planes.fringe.offset } },
    );
    await once(worker, 'exit');
    expect(arenaViews(memory, plan).fringe[0]).toBe(42.5);
  });
});

describe('cutout', () => {
  const psf: PsfModel = { size: 5, width: 100, height: 90, order: 0, coefficients: new Float32Array(25).fill(0.5) };
  const planes = allocateMaskedImage(100, 90);
  planes.image.forEach((_, i) => { planes.image[i] = i; planes.variance[i] = i + 0.5; planes.mask[i] = i % 7 === 0
    ? maskBits('DETECTED') : 0; });

  test('a cutout holds the image\'s own pixels, and outside of it NaN with NO_DATA', () => {
    fc.assert(fc.property(fc.double({ min: -20, max: 120, noNaN: true }),
      fc.double({ min: -20, max: 110, noNaN: true }), fc.integer({ min: 1, max: 40 }), (x, y, side) => {
      const file = parseFits(cutoutOf(planes, psf, { x, y, side, wcs }), 'cutout');
      const x0 = numberCard(file.hdus[0].header, 'CUTMINX') ?? NaN,
        y0 = numberCard(file.hdus[0].header, 'CUTMINY') ?? NaN;
      const image = new Float32Array(side * side), variance = new Float32Array(side * side),
        mask = new Uint16Array(side * side);
      readImageInto(file.hdus[0], image);
      readImageInto(requireHdu(file, 'UNCERT'), variance);
      readImageInto(requireHdu(file, 'MASK'), mask);
      for (let k = 0; k < image.length; k++) {
        const px = x0 + (k % side), py = y0 + Math.floor(k / side), i = py * 100 + px;
        const isInside = px >= 0 && py >= 0 && px < 100 && py < 90;
        if (isInside && (image[k] !== i || variance[k] !== i + 0.5 || mask[k] !== planes.mask[i])) return false;
        if (!isInside && (!Number.isNaN(image[k]) || mask[k] !== maskBits('NO_DATA'))) return false;
      }
      return Math.abs(x0 + (side - 1) / 2 - x) <= 1 && Math.abs(y0 + (side - 1) / 2 - y) <= 1;
    }), { numRuns: 60 });
  });

  test('its WCS, bits and PSF can be read back, and equal input gives equal bytes', () => {
    const box = { x: 40.3, y: 50.6, side: 30, wcs }, bytes = cutoutOf(planes, psf, box),
      file = parseFits(bytes, 'cutout');
    const header = file.hdus[0].header, local = wcsFromHeader(header);
    const x0 = numberCard(header, 'CUTMINX') ?? NaN, y0 = numberCard(header, 'CUTMINY') ?? NaN;
    if (!local) throw new Error('no WCS');
    const a = pixelToSky(local, 10, 20), b = pixelToSky(wcs, x0 + 10, y0 + 20);
    expect(separationArcsec(a.raDeg, a.decDeg, b.raDeg, b.decDeg)).toBeLessThan(1e-4);
    expect(stringCard(header, 'BUNIT')).toBe('nJy');
    expect(numberCard(header, 'ROTPA')).toBeCloseTo(Math.atan2(1e-6, 5.5e-5) * 180 / Math.PI, 6);
    expect(numberCard(requireHdu(file, 'MASK').header, 'MP_DETECTED_NEGATIVE')).toBe(6);
    const stamp = new Float32Array(25);
    readImageInto(requireHdu(file, 'PSFIMAGE'), stamp);
    expect(stamp.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    expect(Buffer.from(cutoutOf(planes, psf, box)).equals(Buffer.from(bytes))).toBe(true);
    expect(() => cutoutOf(planes, psf, { ...box, side: 0 })).toThrow('side of 0');
  });
});

describe('readRawExposure', () => {
  const detector = twoAmpDetector(20, 16);
  const keywords: readonly FitsCard[] = [
    ['INSTRUME', 'minicam'], ['DAYOBS', 20261120], ['SEQNUM', 5], ['OBSID', 'o'], ['GROUPID', 'g'],
      ['EXPOSURE', 2026112000005], ['SNAP', 0],
    ['DETECTOR', 3], ['DETNAME', 'T03'], ['FILTER', 'r_mini'], ['BAND', 'r'], ['EXPTIME', 30], ['TIMESYS', 'TAI'],
    ['MJD-BEG', 61000.1], ['MJD-MID', 61000.2], ['RA', 10.5], ['DEC', -44], ['ROTPA', 12],
  ];
  const pixels = (k: number) => Uint16Array.from({ length: 45 * 16 }, (_, i) => 1000 * (k + 1) + i);
  const amp = (name: string, k: number) => ({ name, data: pixels(k), width: 45, height: 16 });
  const write = (name: string, hdus: Parameters<typeof writeFits>[1]) =>
    { const path = join(folder, name); writeFits(path, hdus); return path; };
  const good = () => write('good.fits', [{ data: null, cards: keywords }, amp('B', 1), amp('A', 0)]);

  test('keywords and amps are read, amps in the camera\'s order whatever the file\'s', () => {
    const plane = new Uint16Array(rawPixelCount(detector)), raw = readRawExposure(good(), detector, plane);
    expect(raw).toMatchObject({ instrument: 'minicam', exposure: 2026112000005, band: 'r', exposureSeconds: 30,
      midpointMjdTai: 61000.2, boresightRaDeg: 10.5, boresightDecDeg: -44, cameraAngleDeg: 12 });
    expect(raw.amps.map((a) => a.name)).toEqual(['A', 'B']);
    expect(raw.amps[1].pixels[7]).toBe(2007);
    expect(plane[45 * 16 + 7]).toBe(2007);
  });

  test('each way in which a raw can be bad is named with the file', () => {
    const without = (keyword: string) => keywords.filter((card) => card[0] !== keyword);
    const both = [amp('A', 0), amp('B', 1)];
    const floats = (value: number) => ({ name: 'B',
      data: Float32Array.from(pixels(1), (v, i) => (i === 3 ? value : v)), width: 45, height: 16 });
    const bad = (name: string, hdus: Parameters<typeof writeFits>[1]) =>
      messageOf(() => readRawExposure(write(name, hdus), detector));
    expect(bad('a.fits', [{ data: null, cards: keywords }, amp('A', 0)])).toMatch(/a\.fits: has no image extension B$/);
    expect(bad('b.fits', [{ data: null, cards: keywords }, amp('A', 0),
      { name: 'B', data: new Uint16Array(30), width: 5, height: 6 }])).toMatch(/B is 5 × 6 pixels, expected 45 × 16/);
    expect(bad('c.fits', [{ data: null, cards: without('RA') }, ...both])).toMatch(/header has no number RA/);
    expect(bad('d.fits', [{ data: null, cards: [...without('DETECTOR'), ['DETECTOR', 4]] },
      ...both])).toMatch(/is of detector 4, expected 3/);
    expect(bad('e.fits', [{ data: null, cards: [...without('BAND'), ['BAND', 'q']] }, ...both])).toMatch(/BAND is "q"/);
    expect(bad('f.fits', [{ data: null, cards: [...without('TIMESYS'), ['TIMESYS', 'UTC']] },
      ...both])).toMatch(/TIMESYS/);
    expect(bad('g.fits', [{ data: null, cards: keywords }, amp('A', 0),
      floats(NaN)])).toMatch(/amp B has 1 pixels that are NaN/);
    expect(bad('h.fits', [{ data: null, cards: keywords }, amp('A', 0), floats(70000)])).toMatch(/no 16-bit count/);
    expect(bad('i.fits', [{ data: null, cards: keywords }, amp('A', 0), floats(12)])).toBe('read');
    expect(messageOf(() => readRawExposure(join(folder, 'none.fits'), detector))).toMatch(/no such file/);
  });
});

describe('readTemplate', () => {
  const planes = { data: Float32Array.of(1, NaN, 3, 4, 5, 6), width: 3, height: 2 };
  const cards: readonly FitsCard[] = [['BAND', 'i'], ['NVISITS', 16], ['SEEING', 0.7], ...wcsToCards(wcs)];
  const file = (name: string, hdus: Parameters<typeof writeFits>[1]) =>
    { const path = join(folder, name); writeFits(path, [{ data: null }, ...hdus]); return path; };
  const mask = { name: 'MASK', data: Uint16Array.of(0, 0, 1, 8, 9, 0), width: 3, height: 2,
    cards: [['MP_SAT', 0], ['MP_CR', 3]] as FitsCard[] };

  test('planes, WCS and depth are read, and mask bits are translated by their names', () => {
    const path = file('t.fits', [{ name: 'IMAGE', ...planes, cards }, { name: 'VARIANCE', ...planes }, mask]);
    const { template, wcs: found, band, visitCount, seeingArcsec } = readTemplate(path);
    expect(Array.from(template.mask)).toEqual([0, maskBits('NO_DATA'), maskBits('SAT'), maskBits('CR'),
      maskBits('SAT', 'CR'), 0]);
    expect(template).toEqual(asProduct('template', template));
    expect({ band, visitCount, seeingArcsec, found }).toEqual({ band: 'i', visitCount: 16, seeingArcsec: 0.7,
      found: wcs });
    expect(readTemplateSize(path)).toEqual({ width: 3, height: 2 });
  });

  test('a template without WCS, with a plane missing or of another size is refused', () => {
    expect(messageOf(() => readTemplate(file('u.fits', [{ name: 'IMAGE', ...planes, cards: cards.slice(0, 3) },
      { name: 'VARIANCE', ...planes }, mask])))).toMatch(/no TAN world coordinates/);
    expect(messageOf(() => readTemplate(file('v.fits',
      [{ name: 'IMAGE', ...planes, cards }, mask])))).toMatch(/no image extension VARIANCE/);
    expect(messageOf(() => readTemplate(file('w.fits', [{ name: 'IMAGE', ...planes, cards }, { name: 'VARIANCE',
      data: new Float32Array(4), width: 2, height: 2 }, mask])))).toMatch(/2 × 2 pixels, expected 3 × 2/);
  });
});

describe('references', () => {
  const header = 'refId,ra,dec,raErrMas,decErrMas,rMag,rMagErr';
  test('rows are read for one band, empty magnitudes as null', () => {
    const rows = parseReferences(`${header}\n9007199254740993,10.5,-44,5,6,19.5,0.01\n2,11,-44,5,5,,\n`, 'r',
      'refs.csv');
    expect(rows[0]).toEqual({ refId: '9007199254740993', raDeg: 10.5, decDeg: -44, raErrMas: 5, decErrMas: 6,
      mag: 19.5, magErr: 0.01, colourMag: null });
    expect(rows[1].mag).toBeNull();
    const coloured = parseReferences(`${header},gMag,iMag\n1,10.5,-44,5,6,19.5,0.01,20.25,19\n`, 'r', 'refs.csv');
    expect(coloured[0].colourMag).toBe(1.25);
  });

  test('numbers that stand for nothing are no magnitudes, and no sky has a declination beyond its poles', () => {
    const rows = ['99', '-999', '9999'].map((word) => `1,10,-44,5,5,${word},0.01,20,${word}`);
    for (const star of parseReferences([`${header},gMag,iMag`, ...rows].join('\n'), 'r', 'refs.csv')) {
      expect(star).toMatchObject({ mag: null, colourMag: null });
    }
    expect(messageOf(() => parseReferences(`${header}\n1,-44,210,5,5,19,0.01`, 'r', 'refs.csv')))
      .toBe('refs.csv: row 2 has a declination of 210 degrees');
  });

  test('stars about a place are those of the whole catalogue that lie there, whatever lines and their ends look like', () => {
    fc.assert(fc.property(
      fc.array(fc.record({ ra: fc.integer({ min: 0, max: 359 }), dec: fc.integer({ min: -90, max: 90 }),
        mag: fc.option(fc.integer({ min: 15, max: 25 })) }), { maxLength: 20 }),
      fc.constantFrom('\n', '\r\n'), fc.constantFrom('', '   ', '# a comment', '          '), fc.boolean(),
      (rows, end, between, isEnded) => {
        const lines = rows.map(({ ra, dec, mag }, k) => `${k},${ra},${dec},5,6,${mag ?? ''},0.01`);
        const path = join(folder, 'near.csv');
        writeFileSync(path, [header, ...lines].join(`${end}${between}${end}`) + (isEnded ? end : ''));
        const isNorth = (_raDeg: number, decDeg: number) => decDeg > 0;
        expect(readReferences(path, 'r').map(({ refId, raDeg, decDeg, mag }) => [refId, raDeg, decDeg, mag]))
          .toEqual(rows.map(({ ra, dec, mag }, k) => [String(k), ra, dec, mag]));
        expect(openReferences(path, 'r').stars(isNorth))
          .toEqual(readReferences(path, 'r').filter(({ raDeg, decDeg }) => isNorth(raDeg, decDeg)));
      },
    ), { numRuns: 60 });
  });

  test('a FITS table gives the same rows as CSV, 64-bit ids whole', () => {
    const path = join(folder, 'refs.fits');
    const column = (name: string, values: number[]): TableColumn => ({ name, kind: 'D', values });
    writeFileSync(path, Buffer.concat([writeFits(null, [{ data: null }]), encodeTable('REFERENCES', [
      { name: 'refId', kind: 'J', values: [7, 8] }, column('ra', [10.25, 11]), column('dec', [-44, 3]),
      column('raErrMas', [5, 4]), column('decErrMas', [6, 4]), column('rMag', [19.5, NaN]), column('rMagErr', [0.01, NaN]),
      column('gMag', [20.25, 21]), column('iMag', [19, NaN]),
    ])]));
    const csv = `${header},gMag,iMag\n7,10.25,-44,5,6,19.5,0.01,20.25,19\n8,11,3,4,4,,,21,\n`;
    expect(readReferences(path, 'r')).toEqual(parseReferences(csv, 'r', 'refs.csv'));
    expect(messageOf(() => readReferences(path, 'z'))).toBe(`${path}: has no column zMag`);
    const image = join(folder, 'no-table.fits');
    writeFits(image, [{ data: new Float32Array(4), width: 2, height: 2 }]);
    expect(messageOf(() => readReferences(image, 'r'))).toBe(`${image}: has no binary table`);
  });

  test('a missing file, column or position is named in one line', () => {
    expect(messageOf(() => readReferences(join(folder, 'none.csv'), 'r'))).toMatch(/none\.csv: cannot be read/);
    expect(messageOf(() => parseReferences(header, 'g', 'refs.csv'))).toBe('refs.csv: has no column gMag');
    expect(messageOf(() => parseReferences(`${header}\n1,x,-44,5,5,19,0.01`, 'r',
      'refs.csv'))).toBe('refs.csv: row 2 has no position');
    const path = join(folder, 'refs.csv');
    writeFileSync(path, `${header}\n1,10,-44,5,5,19,0.01\n`);
    expect(readReferences(path, 'r')).toHaveLength(1);
  });
});
