/** Other detections around a diaSource. */
import { reliabilityConfig as config } from './config.ts';
import type { FeatureName, Ratable } from './features.ts';

export type Neighbours = Pick<
  Record<FeatureName, number>, 'neighbours' | 'brighterNeighbour' | 'lobeDistance' | 'lobeRatio' | 'twinDistance'
>;

/** @returns What lies around row i. */
export function neighboursOf(rows: readonly Ratable[], fwhmPx: number): (i: number) => Neighbours {
  const order = [...rows.keys()].sort((a, b) => rows[a].y - rows[b].y || rows[a].x - rows[b].x);
  const place = new Int32Array(rows.length);
  order.forEach((row, n) => { place[row] = n; });
  return (i) => around(rows, order, place[i], fwhmPx);
}

/** Other detections within reach; distances in full widths, 99 when there are none. */
function around(
  rows: readonly Ratable[], order: readonly number[], at: number, fwhmPx: number,
): Neighbours {
  const reach = config.neighbourRadiusPx, own = rows[order[at]], ownSnr = own.snr ?? 0;
  let count = 0, brightest = 0, lobe2 = Infinity, lobeSnr = 0, twin2 = Infinity;
  for (const step of [-1, 1]) {
    for (let n = at + step; n >= 0 && n < order.length; n += step) {
      const other = rows[order[n]], dy = other.y - own.y, dx = other.x - own.x;
      if (dy > reach || dy < -reach) break;
      const r2 = dx * dx + dy * dy, snr = other.snr ?? 0;
      if (r2 > reach * reach) continue;
      count++;
      if (snr > brightest) brightest = snr;
      if (other.isNegative === own.isNegative) twin2 = Math.min(twin2, r2);
      else if (r2 < lobe2) { lobe2 = r2; lobeSnr = snr; }
    }
  }
  return {
    neighbours: count, brighterNeighbour: ownSnr > 0 ? brightest / ownSnr : 0,
    lobeDistance: lobe2 < Infinity ? Math.sqrt(lobe2) / fwhmPx : 99, lobeRatio: ownSnr > 0 ? lobeSnr / ownSnr : 0,
    twinDistance: twin2 < Infinity ? Math.sqrt(twin2) / fwhmPx : 99,
  };
}
