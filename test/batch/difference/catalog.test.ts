import { expect, test } from 'vitest';
import { catalogCsv } from '../../../engine/batch/difference/catalog.ts';
import type { MeasuredDiaSource } from '../../../engine/stages/measure/measure.ts';

/** The fields that the catalogue reads; the others play no part. */
const row = (about: Partial<MeasuredDiaSource>): MeasuredDiaSource => ({
  x: 10.25, y: 0, ra: 150.5, dec: -2, psfFlux: -1234.5678, psfFluxErr: 12.5, snr: 98.7654, isNegative: true,
  reliability: null, isDipole: false, trailLength: null, pixelFlags_edge: false, pixelFlags_cr: false, ...about,
} as MeasuredDiaSource); // Partial on purpose.

test('signs, empty fields, booleans and flags are written as the header promises', () => {
  const [header, first, second] = catalogCsv([
    row({}),
    row({
      isNegative: false, psfFlux: 3, isDipole: true, reliability: 0.75, pixelFlags_edge: true, pixelFlags_cr: true,
    }),
  ], true).split('\n');
  expect(header).toBe('x,y,ra,dec,psfFlux,psfFluxErr,snr,reliability,isDipole,trailLength,flags');
  expect(first).toBe('10.2500,0.0000,150.50000000,-2.00000000,-1234.5678,12.5,-98.765,,0,,');
  expect(second).toBe('10.2500,0.0000,150.50000000,-2.00000000,3,12.5,98.765,0.7500,1,,edge|cr');
});

test('without a WCS there are no positions on the sky', () => {
  expect(catalogCsv([row({})], false).split('\n')[1]).toMatch(/^10\.2500,0\.0000,,,-1234/);
});
