import { Matrix, solve } from 'ml-matrix';
import type { Amp, Box } from '../../../schemas/camera.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import { sampleCell } from '../../kernels/sample.ts';

/** Step of the sky's level over a border between two amps: that of `to` less that of `from`, electrons. */
export type AmpStep = Readonly<{ from: number; to: number; step: number; sigma: number }>;

/** Pixels at the border itself are left out: repulsion and edges distort them. */
const GAP_PX = 2;
/** Fewest pixels of a strip that tell its level. */
const PIXELS_MIN = 100;

/**
 * Steps between amps that share a border, as medians of strips on either side.
 *
 * @param planes image and mask, read only; pixels with any bit but those of `allowed` are left out.
 * @param stripPx Width of a strip.
 * @param stride  Every so many rows along a border serve, and all columns: with 2, medians of 6 × 1000 pixels are good
 *                to 0.02 of a pixel's noise.
 */
export function measureAmpSteps(
  planes: MaskedImage, amps: readonly Amp[], stripPx: number, allowed: number, stride = 2,
): AmpStep[] {
  const steps: AmpStep[] = [];
  for (let from = 0; from < amps.length; from++) {
    for (let to = 0; to < amps.length; to++) {
      const a = amps[from].detectorBox, b = amps[to].detectorBox;
      const strips = from === to ? null : stripsOf(a, b, stripPx);
      if (strips === null) continue;
      const low = levelOf(planes, strips[0], allowed, stride), high = levelOf(planes, strips[1], allowed, stride);
      if (low === null || high === null) continue;
      steps.push({ from, to, step: high.level - low.level, sigma: Math.hypot(high.sigma, low.sigma) });
    }
  }
  return steps;
}

/** The strips of two boxes of which the second lies right of or above the first; null when it does not. */
function stripsOf(a: Box, b: Box, width: number): readonly [Box, Box] | null {
  const near = GAP_PX, far = GAP_PX + width;
  const y0 = Math.max(a.y0, b.y0), y1 = Math.min(a.y1, b.y1), x0 = Math.max(a.x0, b.x0), x1 = Math.min(a.x1, b.x1);
  if (a.x1 === b.x0 && y1 > y0) {
    return [{ x0: a.x1 - far, x1: a.x1 - near, y0, y1 }, { x0: b.x0 + near, x1: b.x0 + far, y0, y1 }];
  }
  if (a.y1 === b.y0 && x1 > x0) {
    return [{ x0, x1, y0: a.y1 - far, y1: a.y1 - near }, { x0, x1, y0: b.y0 + near, y1: b.y0 + far }];
  }
  return null;
}

/** Median of the usable pixels and its standard error, their noise being that of the lower half; null for too few. */
function levelOf(
  { image, mask, width }: MaskedImage, box: Box, allowed: number, stride: number,
): { level: number; sigma: number } | null {
  const isTall = box.y1 - box.y0 > box.x1 - box.x0, step = isTall ? stride : 1;
  const rows = Int32Array.from({ length: Math.ceil((box.y1 - box.y0) / step) }, (_, k) => box.y0 + k * step);
  const task = { image, mask, width, ignoredBits: 0xffff & ~allowed };
  const { count, median, lower } = sampleCell(task, rows, box.x0, box.x1);
  if (count < PIXELS_MIN) return null;
  return { level: median, sigma: (1.2533 * (median - lower)) / Math.sqrt(count) };
}

/**
 * Offsets that make the amps agree at their borders as well as they can, by least squares; their mean is 0.
 *
 * @returns Electrons to take off each amp.
 */
export function solveAmpOffsets(ampCount: number, steps: readonly AmpStep[]): Float64Array {
  const normal = Matrix.zeros(ampCount, ampCount), right = Matrix.zeros(ampCount, 1);
  for (const { from, to, step, sigma } of steps) {
    const weight = 1 / (sigma * sigma);
    for (const [k, sign] of [[from, -1], [to, 1]] as const) {
      normal.set(k, k, normal.get(k, k) + weight);
      right.set(k, 0, right.get(k, 0) + sign * weight * step);
    }
    normal.set(from, to, normal.get(from, to) - weight);
    normal.set(to, from, normal.get(to, from) - weight);
  }
  // What borders do not tell, the mean and amps without any, is held at 0 by a weight far below theirs.
  const scale = Math.max(1e-12, ...steps.map(({ sigma }) => 1e-9 / (sigma * sigma)));
  for (let k = 0; k < ampCount; k++) normal.set(k, k, normal.get(k, k) + scale);
  return Float64Array.from(solve(normal, right).to1DArray());
}

/** Takes each amp's offset off, in place. */
export function subtractAmpOffsets({ image, width }: MaskedImage, amps: readonly Amp[], offsets: Float64Array): void {
  amps.forEach(({ detectorBox: { x0, x1, y0, y1 } }, k) => {
    const offset = offsets[k];
    for (let y = y0; y < y1; y++) for (let i = y * width + x0; i < y * width + x1; i++) image[i] -= offset;
  });
}
