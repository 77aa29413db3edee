/** Light within ellipses about sources. */
import { holdsWork, kernelsOf, layOutWork, pointerTo, type Kernels } from './kernels.ts';
import { sumEllipseTwin } from './twins/ellipse.ts';

export type EllipseTask = Readonly<{
  width: number; height: number;
  /** [height × width]; NaN counts as bad. Read only. */
  image: Float32Array;
  /** Same shape; null where `pixelVariance` serves all pixels. */
  variance: Float32Array | null; pixelVariance: number;
  /** Pixels with one of `badBits` are bad. */
  mask: Uint16Array; badBits: number;
  /** Bit p & 31 of word p >> 5 tells whether a source holds pixel p; where it is set, `labels` tells which. */
  marks: Uint32Array; labels: Int32Array;
}>;

/** Centre, and the ellipse of r standard deviations: cxx dx² + cyy dy² + cxy dx dy = r²; xx, yy: its covariance. */
export type Ellipse = Readonly<{
  x: number; y: number; xx: number; yy: number; cxx: number; cyy: number; cxy: number;
}>;

export type EllipseSums = Readonly<{
  flux: number;
  /** Σ r × pixel. */
  moment: number;
  variance: number;
  /** Pixels of the ellipse within the image, and those for which another speaks or none. */
  inside: number; replaced: number;
}>;

/**
 * Sums over the pixels whose centres lie in the ellipse of `radius`. One that another source holds, or a bad one, is
 * replaced by the one opposite, and counts nothing when that is one too.
 */
export type EllipseSummer = (label: number, ellipse: Ellipse, radius: number) => EllipseSums;

export function createEllipseSummer(task: EllipseTask): EllipseSummer {
  const { image, mask, marks, labels, variance } = task;
  const kernels = kernelsOf(image, mask, marks, labels, ...(variance === null ? [] : [variance]));
  return kernels === null ? (label, ellipse, radius) => sumEllipseTwin(task, label, ellipse, radius)
    : createCompiled(kernels, task);
}

function createCompiled(kernels: Kernels, task: EllipseTask): EllipseSummer {
  const { width, height, badBits, pixelVariance } = task;
  const [image, mask, marks, labels] = [task.image, task.mask, task.marks, task.labels]
    .map((plane) => pointerTo(kernels, plane));
  const variance = task.variance === null ? 0 : pointerTo(kernels, task.variance);
  let work: { result: number } | null = null, out: Float64Array = new Float64Array(0);
  return (label, { x, y, xx, yy, cxx, cyy, cxy }, radius) => {
    if (work === null || !holdsWork(kernels, work)) {
      work = layOutWork(kernels, { result: 40 });
      if (work === null) throw new Error('the work area has no room for five numbers');
      out = new Float64Array(kernels.memory.buffer, work.result, 5);
    }
    kernels.compiled.sumEllipse(
      image, variance, mask, marks, labels, width, height, label, badBits, pixelVariance, x, y, cxx, cyy, cxy,
      radius * Math.sqrt(xx), radius * Math.sqrt(yy), radius, work.result,
    );
    return { flux: out[0], moment: out[1], variance: out[2], inside: out[3], replaced: out[4] };
  };
}
