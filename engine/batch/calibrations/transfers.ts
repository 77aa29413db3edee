/** Charge transfer inefficiency from what trails into the overscans of flats (extended pixel edge response). */
import type { Amp } from '../../../schemas/camera.ts';
import type { RawAmp } from '../../image/rawExposure.ts';

/** Trailing overscan pixels that hold the deferred charge; those behind tell the level. */
const TRAIL_PX = 2;

export type TransferSample = Readonly<{ serial: number; parallel: number | null }>;

/**
 * Part of a packet left behind at each transfer (Janesick 2001, §5.3): charge in the first overscan pixels, over that
 * in the last imaging ones and the transfers that these took.
 *
 * @param raw A flat, well lit and not saturated, ADU. Read only.
 */
export function measureTransfers({ pixels, width }: RawAmp, amp: Amp): TransferSample {
  const { rawData: data, rawSerialOverscan: serial, rawParallelOverscan: parallel } = amp;
  const sumOf = (x0: number, x1: number, y0: number, y1: number): number => {
    let sum = 0;
    for (let y = y0; y < y1; y++) for (let i = y * width + x0; i < y * width + x1; i++) sum += pixels[i];
    return sum;
  };
  const rows = data.y1 - data.y0, columns = data.x1 - data.x0;
  const level = sumOf(serial.x0 + TRAIL_PX, serial.x1, data.y0, data.y1) / (serial.x1 - serial.x0 - TRAIL_PX) / rows;
  const last = sumOf(data.x1 - 1, data.x1, data.y0, data.y1) / rows - level;
  const trail = sumOf(serial.x0, serial.x0 + TRAIL_PX, data.y0, data.y1) / rows - TRAIL_PX * level;
  const found = { serial: trail / last / data.x1 };
  if (parallel === null || parallel.y1 - parallel.y0 <= 2 * TRAIL_PX) return { ...found, parallel: null };
  const after = parallel.y0 + TRAIL_PX, dark = sumOf(data.x0, data.x1, after, parallel.y1) / (parallel.y1 - after);
  const lastRow = sumOf(data.x0, data.x1, data.y1 - 1, data.y1) - dark;
  const trailing = sumOf(data.x0, data.x1, parallel.y0, after) - TRAIL_PX * dark;
  return { ...found, parallel: columns > 0 && lastRow > 0 ? trailing / lastRow / rows : null };
}
