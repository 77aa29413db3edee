/** Which detections are real: those at a place where the sky truly changed, by the right sign. */
import type { MeasuredDiaSource } from '../../stages/measure/measure.ts';

/** A change in the sky at its place on the image; a mover's light lies along `length` px in the direction `angle`. */
export type TrueChange = Readonly<{ x: number; y: number; flux: number; length: number; angle: number }>;

export type Label = 'real' | 'bogus' | 'unclear';

/**
 * Real within half a full width of a change of its sign (of a mover: of its line), bogus beyond two full widths of all;
 * what lies between may be either, and nothing is learned from it.
 */
export function labelRows(
  rows: readonly MeasuredDiaSource[], changes: readonly TrueChange[], fwhmPx: number,
): Label[] {
  return rows.map((row) => {
    let near = Infinity, own = Infinity;
    for (const change of changes) {
      const distance = distanceTo(change, row.x, row.y) - (change.length > 0 ? fwhmPx / 2 : 0);
      near = Math.min(near, distance);
      if ((change.flux < 0) === (row.isNegative === true)) own = Math.min(own, distance);
    }
    return own <= Math.max(1.5, fwhmPx / 2) ? 'real' : near > Math.max(8, 2 * fwhmPx) ? 'bogus' : 'unclear';
  });
}

function distanceTo({ x, y, length, angle }: TrueChange, px: number, py: number): number {
  const along = (px - x) * Math.cos(angle) + (py - y) * Math.sin(angle);
  const nearest = Math.max(-length / 2, Math.min(length / 2, along));
  return Math.hypot(px - x - nearest * Math.cos(angle), py - y - nearest * Math.sin(angle));
}
