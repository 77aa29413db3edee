import { expect, test } from 'vitest';
import { efficiencyChart } from '../../engine/cli/efficiencyChart.ts';
import { fakeOf, summarizeEfficiency, type Fake } from '../../engine/cli/efficiencyTable.ts';

/** Ten a bin of half a magnitude; `found` and `reliable` of them in turn. */
function bin(mag: number, found: number, reliable: number, band = 'r'): Fake[] {
  return Array.from({ length: 10 }, (_, i) => ({
    visit: 1, detector: 0, band, x: 10 * i, y: 5, mag, fluxNJy: 1000, snr: 20, isHosted: false, isMasked: false,
    found: i < found ? { psfFlux: 1000 + 10 * (i - 4.5), psfFluxErr: 20, reliability: i < reliable ? 0.9 : 0.1 } : null,
  }));
}

test('shares are of what was not masked, and limits lie straight between the middles of bins', () => {
  const fakes = [...bin(22.2, 10, 10), ...bin(22.7, 8, 7), ...bin(23.2, 3, 2), ...bin(23.2, 0, 0).map((fake) => ({ ...fake, isMasked: true }))];
  const { injected, masked, bands: [{ bins, mag50, mag90 }], photometry } = summarizeEfficiency(fakes);
  expect({ injected, masked }).toEqual({ injected: 40, masked: 10 });
  expect(bins).toEqual([
    { magMin: 22, magMax: 22.5, injected: 10, found: 10, reliable: 10 },
    { magMin: 22.5, magMax: 23, injected: 10, found: 8, reliable: 7 },
    { magMin: 23, magMax: 23.5, injected: 10, found: 3, reliable: 2 },
  ]);
  expect(mag50).toBeCloseTo(22.75 + 0.5 * (0.7 - 0.5) / (0.7 - 0.2), 12);
  expect(mag90).toBeCloseTo(22.25 + 0.5 * (1 - 0.9) / (1 - 0.7), 12);
  expect(photometry.count).toBe(21);
});

test('shares by SNR and by kind: fading ones count by the size of their flux', () => {
  const fading = bin(22.2, 10, 4).map((fake) => ({ ...fake, fluxNJy: -fake.fluxNJy, isHosted: true }));
  const faint = bin(24.2, 2, 1).map((fake) => ({ ...fake, snr: 5.2 }));
  const { bySnr, kinds } = summarizeEfficiency([...bin(22.2, 10, 10), ...fading, ...faint]);
  expect(bySnr.filter(({ injected }) => injected > 0)).toEqual([
    { snrMin: 5, snrMax: 5.5, injected: 10, found: 2, reliable: 1 },
    { snrMin: 20, snrMax: 40, injected: 20, found: 20, reliable: 14 },
  ]);
  expect(kinds).toMatchObject({
    positiveBlank: { injected: 10, reliable: 10 }, negativeHosted: { injected: 10, reliable: 4 },
    negativeBlank: { injected: 0 }, positiveHosted: { injected: 0 },
  });
  expect(fakeOf({ ...fading[0] }, { visit: 2, detector: 3, band: 'g' }).mag).toBeCloseTo(31.4 - 7.5, 2);
});

test('limits that the bins do not reach are absent, and so are figures of nothing', () => {
  const [{ mag50, mag90 }] = summarizeEfficiency([...bin(22.2, 6, 6), ...bin(22.7, 6, 6)]).bands;
  expect([mag50, mag90]).toEqual([null, null]);
  expect(summarizeEfficiency([]).photometry).toEqual({ count: 0, ratioMedian: null, pullScatter: null });
});

test('the chart is SVG with a line for each band and its limit', () => {
  const svg = efficiencyChart('Night', summarizeEfficiency([...bin(22.2, 10, 10), ...bin(22.7, 0, 0), ...bin(22.2, 9, 9, 'i')]));
  expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  expect(svg.match(/<polyline/g)).toHaveLength(2);
  expect(svg).toContain('r, half to 22.50');
  expect(svg).not.toContain('NaN');
});
