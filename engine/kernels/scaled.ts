/** Planes kept in 16 bits: half the memory to read, which is what passes over whole detectors wait for. */

/** value = stored × scale + zero, in single precision; a stored 0 is no number. */
export type ScaledPlane = Readonly<{
  /** Row-major, as the plane. Read only. */
  stored: Uint16Array;
  scale: number; zero: number;
}>;

/** A plane that is only read, as it is or in 16 bits. */
export type ReadPlane = Float32Array | ScaledPlane;

export function isScaled(plane: ReadPlane): plane is ScaledPlane {
  return 'stored' in plane;
}

export function pixelsOf(plane: ReadPlane): Float32Array | Uint16Array {
  return isScaled(plane) ? plane.stored : plane;
}

/** Value of one pixel, float32. */
export function valueAt(plane: ReadPlane, i: number): number {
  if (!isScaled(plane)) return plane[i];
  const { fround } = Math, stored = plane.stored[i];
  return stored === 0 ? NaN : fround(fround(stored * fround(plane.scale)) + fround(plane.zero));
}

/**
 * Bytes of what the kernels know of a plane in 16 bits: its place (0 for none), scale, zero, a row of work, the
 * lowest stored number that is surely wanted, and how many follow that are; 0 where none is sure.
 */
export const SCALED_BYTES = 20;

/**
 * @param least, most Values beyond these are not wanted.
 * @param line Offset of work: a row of float32 and 64 bytes.
 */
export function writeScaled(
  view: DataView, at: number, plane: ReadPlane | null, least: number, most: number, line: number,
): void {
  const scaled = plane !== null && isScaled(plane) ? plane : null;
  const [low, high] = scaled ? wanted(scaled, least, most) : [0, 0];
  view.setUint32(at, scaled?.stored.byteOffset ?? 0, true);
  view.setFloat32(at + 4, scaled?.scale ?? 0, true);
  view.setFloat32(at + 8, scaled?.zero ?? 0, true);
  view.setUint32(at + 12, line, true);
  view.setUint16(at + 16, low, true);
  view.setUint16(at + 18, high - low, true);
}

/** A step or two less than all of them, as their values are rounded; without 0. */
function wanted({ scale, zero }: ScaledPlane, least: number, most: number): readonly [number, number] {
  const bounded = (stored: number): number => Math.max(1, Math.min(65535, stored));
  const low = bounded(Math.ceil((least - zero) / scale) + 2), high = bounded(Math.floor((most - zero) / scale) - 2);
  return [low, Math.max(low, high)];
}

/** Offset of a plane that is kept as it is, in the kernels' memory; 0 for others and none. */
export function pointerToFloats(plane: ReadPlane | null): number {
  return plane === null || isScaled(plane) ? 0 : plane.byteOffset;
}
