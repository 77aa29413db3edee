/** How clean a frame's difference is, where nothing should have changed. */
import { maskBits } from '../../image/maskPlanes.ts';
import type { DifferenceImage } from '../../image/maskedImage.ts';
import { robustSigma } from '../../image/median.ts';
import type { MeasuredDiaSource } from '../../stages/measure/measure.ts';
import { seriesConfig } from './config.ts';

export type FrameQuality = Readonly<{
  /** Robust scatter of difference over √variance: 1 where the noise is what its variance says. */
  scatter: number;
  /** Strong detections away from the edges, of either sign. */
  strong: readonly Readonly<{ raDeg: number; decDeg: number; snr: number }>[];
}>;

const BLANK = maskBits('BAD', 'SAT', 'NO_DATA', 'SAT_TEMPLATE', 'CR', 'EDGE');

export function qualityOf(
  { image, variance, mask, width, height }: DifferenceImage, rows: readonly MeasuredDiaSource[],
): FrameQuality {
  const { edgePx, strongSigma, sampleMax } = seriesConfig.quality, values: number[] = [];
  const step = Math.max(1, Math.floor((width * height) / sampleMax)) | 1;
  for (let j = 0; j < image.length; j += step) {
    const x = j % width, y = (j - x) / width;
    if (!isInside(x, y, width, height, edgePx) || (mask[j] & BLANK) !== 0 || !(variance[j] > 0)) continue;
    values.push(image[j] / Math.sqrt(variance[j]));
  }
  return {
    scatter: values.length === 0 ? NaN : robustSigma(values),
    strong: rows.flatMap(({ ra, dec, snr, x, y }) => (
      snr !== null && Math.abs(snr) >= strongSigma && isInside(x, y, width, height, edgePx)
        ? [{ raDeg: ra, decDeg: dec, snr }] : []
    )),
  };
}

function isInside(x: number, y: number, width: number, height: number, edgePx: number): boolean {
  return x >= edgePx && y >= edgePx && x < width - edgePx && y < height - edgePx;
}
