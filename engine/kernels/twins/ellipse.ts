import type { Ellipse, EllipseSums, EllipseTask } from '../ellipse.ts';

/** Twin of the compiled ellipse: pixels of even columns and of odd ones are added up by themselves. */
export function sumEllipseTwin(task: EllipseTask, label: number, ellipse: Ellipse, radius: number): EllipseSums {
  const { width, height, image, variance, pixelVariance } = task, { x, y, cxx, cyy, cxy } = ellipse;
  const radius2 = radius * radius, reachX = radius * Math.sqrt(ellipse.xx), reachY = radius * Math.sqrt(ellipse.yy);
  const i0 = Math.max(0, Math.ceil(x - reachX)), i1 = Math.min(width - 1, Math.floor(x + reachX));
  const j0 = Math.max(0, Math.ceil(y - reachY)), j1 = Math.min(height - 1, Math.floor(y + reachY));
  const flux = [0, 0], moment = [0, 0], sum = [0, 0];
  let inside = 0, replaced = 0;
  for (let j = j0; j <= j1; j++) {
    const dy = j - y;
    for (let i = i0; i <= i1; i++) {
      const dx = i - x, r2 = cxx * dx * dx + cyy * dy * dy + cxy * dx * dy;
      if (r2 > radius2) continue;
      inside++;
      let pixel = j * width + i;
      if (!isFree(task, pixel, label)) {
        replaced++;
        const u = Math.floor(2 * x - i + 0.5), v = Math.floor(2 * y - j + 0.5);
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
        pixel = v * width + u;
        if (!isFree(task, pixel, label)) continue;
      }
      flux[i & 1] += image[pixel];
      moment[i & 1] += Math.sqrt(Math.max(0, r2)) * image[pixel];
      sum[i & 1] += variance === null ? pixelVariance : variance[pixel];
    }
  }
  return {
    flux: flux[0] + flux[1], moment: moment[0] + moment[1], variance: sum[0] + sum[1], inside, replaced,
  };
}

function isFree({ image, mask, marks, labels, badBits }: EllipseTask, pixel: number, label: number): boolean {
  const isHeld = (marks[pixel >> 5] >>> (pixel & 31) & 1) === 1;
  return (!isHeld || labels[pixel] === label) && (mask[pixel] & badBits) === 0
    && image[pixel] === image[pixel];
}
