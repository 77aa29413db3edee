import type { ExtendedTask, Frame } from '../extended.ts';
import type { PsfPatches } from '../patches.ts';

function isUsable({ image, variance, mask, ignoredBits }: ExtendedTask, j: number): boolean {
  return (mask[j] & ignoredBits) === 0 && image[j] - image[j] === 0 && variance[j] > 0;
}

/** Minus the five-point slope: what a step of the middle changes. */
function slope(plane: Float64Array, k: number, step: number): number {
  return (8 * (plane[k - step] - plane[k + step]) + plane[k + 2 * step] - plane[k - 2 * step]) / 12;
}

/** Calls back for each pixel of the frame that a patch at (x, y) covers: index in the frame, and in the patch. */
function overPatch(
  frame: Frame, { half, side }: PsfPatches, x: number, y: number, add: (k: number, i: number, u: number, v: number) => void,
): void {
  const left = Math.round(x) - half - frame.x0, low = Math.round(y) - half - frame.y0;
  for (let v = Math.max(0, -low); v < side && low + v < frame.height; v++) {
    for (let u = Math.max(0, -left); u < side && left + u < frame.width; u++) {
      add((low + v) * frame.width + left + u, v * side + u, u, v);
    }
  }
}

/** Twin of `trailEquations`. */
export function trailEquationsTwin(
  task: ExtendedTask, frame: Frame, patches: PsfPatches, [flux, x, y, length, angle]: Float64Array, steps: number,
  sums: Float64Array,
): void {
  const { width, height } = frame, [model, along, ends] = [0, 1, 2].map(() => new Float64Array(width * height));
  const cos = Math.cos(angle), sin = Math.sin(angle), share = 1 / steps;
  for (let n = 0; n < steps; n++) {
    const t = ((n + 0.5) / steps - 0.5) * length, px = x + t * cos, py = y + t * sin, patch = patches.at(px, py);
    overPatch(frame, patches, px, py, (k, i) => { model[k] += share * patch[i]; along[k] += t * share * patch[i]; });
  }
  // A longer trail of the same flux has more at its ends and less along it.
  for (const end of [-0.5, 0.5]) {
    const px = x + end * length * cos, py = y + end * length * sin, patch = patches.at(px, py);
    overPatch(frame, patches, px, py, (k, i) => { ends[k] += 0.5 * patch[i]; });
  }
  const values = new Float64Array(6);
  sums.fill(0);
  for (let v = 0, k = 0; v < height; v++) {
    for (let u = 0; u < width; u++, k++) {
      const j = (frame.y0 + v) * task.width + frame.x0 + u;
      if (!isUsable(task, j)) continue;
      const w = 1 / task.variance[j], m = model[k], residual = task.image[j] - flux * m;
      const isInner = u > 1 && v > 1 && u < width - 2 && v < height - 2;
      values[0] = m;
      values[1] = isInner ? flux * slope(model, k, 1) : 0;
      values[2] = isInner ? flux * slope(model, k, width) : 0;
      values[3] = (flux * (ends[k] - m)) / length;
      // A turn moves each point along the trail across it, by its distance from the middle.
      values[4] = isInner ? flux * (cos * slope(along, k, width) - sin * slope(along, k, 1)) : 0;
      values[5] = residual;
      for (let a = 0, next = 0; a < 5; a++) {
        const weighed = values[a] * w;
        for (let b = a; b < 6; b++, next++) sums[next] += weighed * values[b];
      }
      sums[20] += residual * residual * w;
      sums[21]++;
    }
  }
}

/** Twin of `dipoleEquations`. */
export function dipoleEquationsTwin(
  task: ExtendedTask, frame: Frame, patches: PsfPatches, p: Float64Array, sums: Float64Array,
): void {
  const { width, height } = frame, { side } = patches, terms = new Float64Array(6 * width * height);
  for (const first of [0, 3]) {
    const flux = p[first], patch = patches.at(p[first + 1], p[first + 2]);
    overPatch(frame, patches, p[first + 1], p[first + 2], (k, i, u, v) => {
      const isInner = u > 1 && v > 1 && u < side - 2 && v < side - 2, at = 6 * k + first;
      terms[at] = patch[i];
      terms[at + 1] = isInner ? flux * slope(patch, i, 1) : 0;
      terms[at + 2] = isInner ? flux * slope(patch, i, side) : 0;
    });
  }
  sums.fill(0);
  for (let v = 0, k = 0; v < height; v++) {
    for (let u = 0; u < width; u++, k += 6) {
      const j = (frame.y0 + v) * task.width + frame.x0 + u;
      if (!isUsable(task, j)) continue;
      const w = 1 / task.variance[j], residual = task.image[j] - p[0] * terms[k] - p[3] * terms[k + 3];
      sums[42] += residual * residual * w;
      sums[43]++;
      for (let a = 0; a < 6; a++) {
        const weighed = terms[k + a] * w;
        for (let b = a; b < 6; b++) sums[6 * a + b] += weighed * terms[k + b];
        sums[36 + a] += weighed * residual;
      }
    }
  }
}
