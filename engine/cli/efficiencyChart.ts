/** The efficiency of a night as a drawing. */
import type { BandEfficiency, Efficiency } from './efficiencyTable.ts';

const WIDTH = 640, HEIGHT = 400, LEFT = 64, RIGHT = 20, TOP = 40, BOTTOM = 52;
/** Of bands u … y; told apart by those who see no red or green as well (Okabe & Ito 2008). */
const COLOURS: Readonly<Record<string, string>> = {
  u: '#cc79a7', g: '#009e73', r: '#d55e00', i: '#0072b2', z: '#e69f00', y: '#56b4e9',
};

/** SVG: share found reliably against magnitude, a line a band, with the binomial error of each bin. */
export function efficiencyChart(title: string, { bands, injected, masked }: Efficiency): string {
  const bins = bands.flatMap((band) => band.bins);
  const first = Math.min(...bins.map(({ magMin }) => magMin)), last = Math.max(...bins.map(({ magMax }) => magMax));
  const x = (mag: number) => LEFT + ((mag - first) / Math.max(1e-9, last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (share: number) => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => (
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${px(y(share))}" y2="${px(y(share))}" stroke="#ddd"/>`
    + `<text x="${LEFT - 8}" y="${px(y(share) + 4)}" text-anchor="end">${100 * share} %</text>`
  ));
  const ticks: string[] = [];
  for (let mag = Math.ceil(first); mag <= last; mag++) {
    ticks.push(`<text x="${px(x(mag))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${mag}</text>`);
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" `
      + 'font-family="sans-serif" font-size="12">',
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${LEFT}" y="22" font-size="14">${title}: ${injected - masked} synthetic sources</text>`,
    ...grid, ...ticks, ...bands.map((band, n) => drawBand(band, n, x, y)),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">AB magnitude</text>`,
    `<text transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">`
      + 'found, reliability ≥ 0.5</text>',
    '</svg>', '',
  ].join('\n');
}

function drawBand(
  { band, bins, mag50 }: BandEfficiency, index: number, x: (mag: number) => number, y: (share: number) => number,
): string {
  const colour = COLOURS[band] ?? '#333';
  const points = bins.map(({ magMin, magMax, reliable, injected }) => {
    const share = reliable / injected;
    // Wilson's error of a share, which is not 0 at its ends.
    const error = Math.sqrt((share * (1 - share)) / injected + 0.25 / injected ** 2) / (1 + 1 / injected);
    return { at: x((magMin + magMax) / 2), share, low: Math.max(0, share - error), high: Math.min(1, share + error) };
  });
  const line = points.map(({ at, share }) => `${px(at)},${px(y(share))}`).join(' ');
  const half = mag50 === null ? '' : `, half to ${mag50.toFixed(2)}`;
  return [
    `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...points.map(({ at, share, low, high }) => (
      `<line x1="${px(at)}" x2="${px(at)}" y1="${px(y(low))}" y2="${px(y(high))}" stroke="${colour}"/>`
      + `<circle cx="${px(at)}" cy="${px(y(share))}" r="3" fill="${colour}"/>`
    )),
    `<text x="${WIDTH - RIGHT - 6}" y="${TOP + 16 + 18 * index}" text-anchor="end" fill="${colour}">`
      + `${band}${half}</text>`,
  ].join('\n');
}

/** Tenths of a pixel: as fine as a screen shows, and equal on every CPU. */
function px(value: number): string {
  return value.toFixed(1);
}
