import type { Amp } from '../../../schemas/camera.ts';
import { listMasked } from '../../kernels/list.ts';
import { maskBits } from '../../image/maskPlanes.ts';
import type { MaskedImage } from '../../image/maskedImage.ts';
import type { IsrConfig } from './config.ts';
import type { AmpElectronics } from '../../image/electronics.ts';

/** Pixels with one of the bits, in order. @param indices Work as large as the mask; the result is a view on it. */
export function pixelsWith(mask: Uint16Array, bits: number, indices: Int32Array): Int32Array {
  return indices.subarray(0, listMasked(mask, bits, indices));
}

/**
 * Grows marked regions by `reach` pixels in rows, columns and diagonals.
 *
 * @param mask   [height × width], changed in place.
 * @param pixels Those that have the bit.
 */
export function growMask(
  mask: Uint16Array, width: number, height: number, bit: number, reach: number, pixels: Int32Array,
): void {
  if (reach <= 0) return;
  for (const i of pixels) {
    const x = i % width, y = (i - x) / width;
    markBox(mask, width, height, x - reach, x + reach, y - reach, y + reach, bit);
  }
}

/** Marks the outermost `edgePx` pixels (EDGE). */
export function markEdges(mask: Uint16Array, width: number, height: number, edgePx: number): void {
  const bit = maskBits('EDGE');
  markBox(mask, width, height, 0, width - 1, 0, edgePx - 1, bit);
  markBox(mask, width, height, 0, width - 1, height - edgePx, height - 1, bit);
  markBox(mask, width, height, 0, edgePx - 1, 0, height - 1, bit);
  markBox(mask, width, height, width - edgePx, width - 1, 0, height - 1, bit);
}

/** Marks a box, ends included, as far as it lies on the image. */
function markBox(
  mask: Uint16Array, width: number, height: number, x0: number, x1: number, y0: number, y1: number, bit: number,
): void {
  for (let y = Math.max(0, y0); y <= Math.min(height - 1, y1); y++) {
    for (let x = Math.max(0, x0); x <= Math.min(width - 1, x1); x++) mask[y * width + x] |= bit;
  }
}

/**
 * Marks what bleeds spoil besides themselves (SUSPECT): the pixels beside and beyond runs of saturated ones in a
 * column, and where bleeds reach an amp's register, its first rows.
 *
 * @param saturated Pixels with SAT, in order. Read only.
 * @param growth    Pixels by which what is marked grows besides.
 * @returns Columns that bleed.
 */
export function markBleeds(
  { mask, width, height }: MaskedImage, amps: readonly Amp[], saturated: Int32Array, config: IsrConfig, growth: number,
): number {
  const { bleedRunPx, edgeBleedColumns, edgeBleedRows } = config, bit = maskBits('SUSPECT');
  const margin = config.bleedMarginPx + growth;
  // Where in each column the run that is being followed began, and its last row.
  const first = new Int32Array(width).fill(-1), last = new Int32Array(width).fill(-2), isBled = new Uint8Array(width);
  const atRegister = new Map<Amp, number>();
  const close = (x: number): void => {
    if (last[x] - first[x] + 1 < bleedRunPx || first[x] < 0) return;
    isBled[x] = 1;
    markBox(mask, width, height, x - margin, x + margin, first[x] - margin, last[x] + margin, bit);
  };
  for (const i of saturated) {
    const x = i % width, y = (i - x) / width;
    if (last[x] !== y - 1) { close(x); first[x] = y; }
    last[x] = y;
    const amp = amps.find(({ detectorBox: box, flipY }) =>
      x >= box.x0 && x < box.x1 && y === (flipY ? box.y1 - 1 : box.y0));
    if (amp) atRegister.set(amp, (atRegister.get(amp) ?? 0) + 1);
  }
  for (let x = 0; x < width; x++) close(x);
  for (const [{ detectorBox: box, flipY }, columns] of atRegister) {
    if (columns < edgeBleedColumns) continue;
    const y0 = flipY ? box.y1 - edgeBleedRows : box.y0;
    markBox(
      mask, width, height, box.x0 - growth, box.x1 - 1 + growth, y0 - growth, y0 + edgeBleedRows - 1 + growth, bit,
    );
  }
  return isBled.reduce((sum, value) => sum + value, 0);
}

/**
 * Marks pixels that get much crosstalk of a saturated one (CROSSTALK): what was taken off is at best the least of it.
 *
 * @param saturated As of `markBleeds`.
 * @returns Number of pixels.
 */
export function markCrosstalk(
  { mask, width }: MaskedImage, amps: readonly Amp[], coefficients: readonly AmpElectronics[], saturated: Int32Array,
  leastElectrons: number,
): number {
  const bit = maskBits('CROSSTALK');
  // Per amp, those that get more than the least from its full signal.
  const victims = amps.map((amp, source) => amps.filter((victim, k) =>
    (coefficients[k].crosstalk?.[source] ?? 0) * amp.saturationAdu * victim.gainElectronsPerAdu > leastElectrons));
  let count = 0;
  for (const i of saturated) {
    const x = i % width, y = (i - x) / width;
    const source = amps.findIndex(({ detectorBox: b }) => x >= b.x0 && x < b.x1 && y >= b.y0 && y < b.y1);
    if (source < 0 || victims[source].length === 0) continue;
    const { detectorBox: box, flipX, flipY } = amps[source];
    const column = flipX ? box.x1 - 1 - x : x - box.x0, row = flipY ? box.y1 - 1 - y : y - box.y0;
    for (const { detectorBox: to, flipX: backX, flipY: backY } of victims[source]) {
      const j = (backY ? to.y1 - 1 - row : to.y0 + row) * width + (backX ? to.x1 - 1 - column : to.x0 + column);
      if ((mask[j] & bit) === 0) { mask[j] |= bit; count++; }
    }
  }
  return count;
}
