/** The boolean fields of a diaSource as one number, so that SQL can select on them without the payload. */
import type { DiaSource } from '../schemas/diaRows.ts';

/**
 * Bit i of the column `flags` is field i of this list: 1 when true, 0 when false or null. The order is that of alert
 * schema 11.0 and must never change, because stored rows depend on it; later schemas append.
 */
export const DIA_SOURCE_FLAGS = [
  'centroid_flag', 'apFlux_flag', 'apFlux_flag_apertureTruncated', 'isNegative', 'psfFlux_flag', 'psfFlux_flag_edge',
  'psfFlux_flag_noGoodPixels', 'trail_flag_edge', 'forced_PsfFlux_flag', 'forced_PsfFlux_flag_edge',
  'forced_PsfFlux_flag_noGoodPixels', 'shape_flag', 'shape_flag_no_pixels', 'shape_flag_not_contained',
  'shape_flag_parent_source', 'isDipole', 'dipoleFitAttempted', 'pixelFlags', 'pixelFlags_bad', 'pixelFlags_cr',
  'pixelFlags_crCenter', 'pixelFlags_edge', 'pixelFlags_nodata', 'pixelFlags_nodataCenter', 'pixelFlags_interpolated',
  'pixelFlags_interpolatedCenter', 'pixelFlags_offimage', 'pixelFlags_saturated', 'pixelFlags_saturatedCenter',
  'pixelFlags_suspect', 'pixelFlags_suspectCenter', 'pixelFlags_streak', 'pixelFlags_streakCenter',
  'pixelFlags_injected', 'pixelFlags_injectedCenter', 'pixelFlags_injected_template',
  'pixelFlags_injected_templateCenter', 'glint_trail',
] as const satisfies readonly (keyof DiaSource)[];

/** A sum of powers of two below 2^53, hence exact as a number. */
export function flagsOf(source: DiaSource): number {
  let flags = 0;
  for (let bit = 0, value = 1; bit < DIA_SOURCE_FLAGS.length; bit++, value *= 2) {
    if (source[DIA_SOURCE_FLAGS[bit]] === true) flags += value;
  }
  return flags;
}
