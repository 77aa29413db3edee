/** What really changed in the sky of one exposure, and how well an ideal observer could have seen it. */
import type { DetectorId, Visit } from '../schemas/ids.ts';
import { opticsConfig, truthConfig } from './config.ts';
import { psfPeak, type PsfShape } from './optics.ts';
import type { ChangedSource } from './scene.ts';

export type TruthRow = ChangedSource & Readonly<{
  visit: Visit; detector: DetectorId; fluxNJy: number; snr: number; masked: boolean;
}>;

/** Half a side of the stamp over which a source's signal is summed, pixels: 99.9 % of a 1″ star's. */
const HALF_STAMP = 15;

/**
 * Signal-to-noise ratio of a change for the best linear estimate, its place and both PSFs known.
 *
 * SNR² = Σ (F p)² / (V_s + V_t): the matched filter on the difference in the limit of noise that is white across the
 * PSF, to which the proper subtraction of Zackay, Ofek & Gal-Yam (2016, eq. 14) tends when the template is deep. V_s
 * is the science pixel's variance: everything that shines there, the source included, plus read noise. V_t is the
 * template's, of n visits like this one without the change. With n = 16, neglecting that matching the PSFs smooths
 * V_t costs at most 3 % of the SNR, on the low side.
 *
 * @param expected [height × width] row-major, expected electrons caught, sky included. Read only.
 * @param response The same pixels' response to light. Read only.
 * @param fluxElectrons Change, electrons before the response; may be negative.
 */
export function optimalSnr(
  expected: Float32Array, response: Float32Array, width: number, height: number, x: number, y: number,
  fluxElectrons: number, shape: PsfShape, readNoiseElectrons: number, templateVisits: number,
): number {
  const peak = psfPeak(shape), alpha2 = shape.alphaPx * shape.alphaPx;
  const readVariance = readNoiseElectrons * readNoiseElectrons;
  const middleX = Math.round(x), middleY = Math.round(y);
  const x0 = Math.max(0, middleX - HALF_STAMP), x1 = Math.min(width - 1, middleX + HALF_STAMP);
  const y0 = Math.max(0, middleY - HALF_STAMP), y1 = Math.min(height - 1, middleY + HALF_STAMP);
  let sum = 0;
  for (let row = y0; row <= y1; row++) {
    for (let column = x0; column <= x1; column++) {
      const dx = column - x, dy = row - y, i = row * width + column;
      const s = 1 + (shape.a * dx * dx + 2 * shape.b * dx * dy + shape.c * dy * dy) / alpha2;
      const signal = fluxElectrons * peak * s ** -opticsConfig.moffatBeta * response[i];
      const science = expected[i] + readVariance;
      const template = Math.max(readVariance, science - signal) / templateVisits;
      sum += (signal * signal) / (science + template);
    }
  }
  return Math.sqrt(sum);
}

/**
 * Whether a place can be asked for: not at an edge, and with no saturated, bled or defective pixel near.
 *
 * @param saturated [height × width], not 0 where charge has reached the full well. Read only.
 */
export function isMaskedPlace(
  saturated: Uint8Array, badColumns: readonly number[], width: number, height: number, x: number, y: number,
): boolean {
  const { edgePx, saturatedPx, defectPx } = truthConfig;
  if (x < edgePx || y < edgePx || x > width - 1 - edgePx || y > height - 1 - edgePx) return true;
  if (badColumns.some((column) => Math.abs(column - x) <= defectPx)) return true;
  const middleX = Math.round(x), middleY = Math.round(y);
  for (let dy = -saturatedPx; dy <= saturatedPx; dy++) {
    for (let dx = -saturatedPx; dx <= saturatedPx; dx++) {
      if (dx * dx + dy * dy > saturatedPx * saturatedPx) continue;
      // Edges were refused above, so this lies on the detector.
      if (saturated[(middleY + dy) * width + middleX + dx]) return true;
    }
  }
  return false;
}

const HEADER = 'visit,detector,sourceId,kind,ra,dec,x,y,fluxNJy,snr,masked,scienceFluxNJy,templateFluxNJy';

/** CSV of a visit, as `schemas/products.ts` says; rows by detector, then by source. */
export function encodeTruth(rows: readonly TruthRow[]): string {
  const lines = rows.map((row) => [
    row.visit, row.detector, row.id, row.kind, row.raDeg.toFixed(8), row.decDeg.toFixed(8),
    row.x.toFixed(3), row.y.toFixed(3), row.fluxNJy.toFixed(3), row.snr.toFixed(3), row.masked ? 1 : 0,
    row.scienceFluxNJy.toFixed(3), row.templateFluxNJy.toFixed(3),
  ].join(','));
  return `${[HEADER, ...lines].join('\n')}\n`;
}
