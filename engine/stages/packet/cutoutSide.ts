import { packetConfig } from './config.ts';
import type { PacketConfig } from './config.ts';

/**
 * Side of the square cutouts of a source, pixels: that of its footprint's bounding box, kept between the limits.
 *
 * @param bboxSize `bboxSize` of the diaSource, pixels. @throws when it is not a count of pixels.
 */
export function selectCutoutSide(bboxSize: number, config: PacketConfig = packetConfig): number {
  if (!Number.isInteger(bboxSize) || bboxSize < 0) throw new Error(`bboxSize ${bboxSize} is not a count of pixels`);
  return Math.min(Math.max(bboxSize, config.cutoutSideMin), config.cutoutSideMax);
}
