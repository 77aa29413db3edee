/**
 * Seeded frames of one crowded field as a telescope without a WCS takes them: Gaussian seeing, shifts, exposures,
 * Poisson noise.
 */
import { writeFits, type FitsCard } from '../../../engine/image/fits.ts';
import { pairNormal, pairRandom, type PairSource } from '../../support/pairScene.ts';

/** What a frame differs in. */
export type FrameLook = Readonly<{
  /** By how much its stars lie off the sky's own pixels. */
  dx: number; dy: number; rotationDeg?: number;
  fwhmPx: number;
  /** Light that it gathers, relative: exposure time × transparency. */
  depth: number;
  skyAdu: number; seed: number;
}>;

export const GAIN = 2, READ_NOISE = 5;

/** Stars with few bright ones and many faint, anywhere, also beyond the frame's border. */
export function fieldStars(side: number, count: number, seed: number): PairSource[] {
  const random = pairRandom(seed), stars: PairSource[] = [];
  for (let i = 0; i < count; i++) {
    stars.push(
      { x: (random() * 1.4 - 0.2) * side, y: (random() * 1.4 - 0.2) * side, flux: 3000 * (1 - random()) ** -0.9 }
    );
  }
  return stars.map((star) => ({ ...star, flux: Math.min(star.flux, 400_000) }));
}

/** Where a place of the sky's pixels falls on a frame. */
export function placeOn(look: FrameLook, side: number, x: number, y: number): { x: number; y: number } {
  const angle = ((look.rotationDeg ?? 0) * Math.PI) / 180, c = (side - 1) / 2;
  return {
    x: c + Math.cos(angle) * (x - c) - Math.sin(angle) * (y - c) + look.dx,
    y: c + Math.sin(angle) * (x - c) + Math.cos(angle) * (y - c) + look.dy,
  };
}

/** Pixels in ADU: sky and stars with Poisson and read noise, [side × side]. */
export function renderFrame(look: FrameLook, side: number, stars: readonly PairSource[]): Float32Array {
  const light =
    new Float64Array(side * side).fill(look.skyAdu), sigma = look.fwhmPx / 2.3548, reach = Math.ceil(6 * sigma);
  for (const star of stars) {
    const { x, y } = placeOn(look, side, star.x, star.y), peak = (look.depth * star.flux) / (
      2 * Math.PI * sigma * sigma
    );
    for (let v = Math.max(0, Math.round(y) - reach); v <= Math.min(side - 1, Math.round(y) + reach); v++) {
      for (let u = Math.max(0, Math.round(x) - reach); u <= Math.min(side - 1, Math.round(x) + reach); u++) {
        light[v * side + u] += peak * Math.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma * sigma));
      }
    }
  }
  const random = pairRandom(look.seed);
  return Float32Array.from(light, (adu) => adu + pairNormal(random) * Math.sqrt(adu / GAIN + (READ_NOISE / GAIN) ** 2));
}

/** A frame's file with a header as small observatories write it. */
export function writeFrame(
  path: string, look: FrameLook, side: number, stars: readonly PairSource[], startMjd: number, exposureSeconds: number,
): void {
  const cards: FitsCard[] = [
    ['EXPTIME', exposureSeconds], ['MJD-OBS', startMjd], ['GAIN', GAIN], ['RDNOISE', READ_NOISE], ['SATURATE', 60000],
    ['RA', '18:15:29'], ['DEC', '-25:17:06'], ['FILTER', 'I'],
  ];
  writeFits(path, [{ cards, data: renderFrame(look, side, stars), width: side, height: side }]);
}
