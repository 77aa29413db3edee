import type { VarianceTask } from '../variance.ts';

const { fround } = Math;

/** Straight pieces of a row of the sky: piece c is left + slope × (x − centre) from start c to start c + 1. */
export type MeshRow = Readonly<{
  starts: Int32Array; left: Float32Array; slopes: Float32Array; centres: Float32Array;
}>;

/** Twin of `fillVariance`, in single precision. */
export function fillVarianceTwin(task: VarianceTask, out: Float32Array): void {
  const { image, flat, width, height, sky } = task, cells = Math.max(sky.columns - 1, 1);
  const [bright, source] = squares(task);
  const floats = () => new Float32Array(cells), row = () => new Float32Array(width);
  const mesh: MeshRow = { starts: new Int32Array(cells + 1), left: floats(), slopes: floats(), centres: floats() };
  const skies = [row(), row(), row()], sums = [row(), row(), row()], read = row();
  for (let y = -1; y < height; y++) {
    if (y + 1 < height) {
      meshRowOf(task, y + 1, mesh);
      fillMesh(mesh, skies[(y + 1) % 3]);
      fillExcess(image, (y + 1) * width, skies[(y + 1) % 3], sums[(y + 1) % 3]);
    }
    if (y < 0) continue;
    readRowOf(task, y, read);
    const level0 = skies[y % 3], below = sums[Math.max(y - 1, 0) % 3], above = sums[Math.min(y + 1, height - 1) % 3];
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const value = image[i], level = level0[x] > 0 ? level0[x] : 0, inverse = flat === null ? 1 : fround(1 / flat[i]);
      const here = sums[y % 3][x], sigma2 = fround(level + read[x]), excess = fround(value - level0[x]);
      const smooth = fround(fround(fround(below[x] + fround(here + here)) + above[x]) * 0.0625);
      let expected = level;
      if (excess > 0 && fround(excess * excess) > fround(bright * sigma2)) expected = value;
      else if (smooth > 0 && fround(smooth * smooth) > fround(source * sigma2)) expected = fround(level + smooth);
      out[i] = Number.isNaN(value) ? NaN : fround(expected + fround(read[x] * inverse)) * inverse;
    }
  }
}

function fillMesh({ starts, left, slopes, centres }: MeshRow, out: Float32Array): void {
  for (let c = 0; c < left.length; c++) {
    const first = fround(starts[c] - centres[c]), places = [0, 1, 2, 3].map((k) => fround(first + k));
    let x = starts[c];
    const value = (place: number): number => left[c] + fround(slopes[c] * place);
    for (; x + 4 <= starts[c + 1]; x += 4) {
      for (let k = 0; k < 4; k++) {
        out[x + k] = value(places[k]);
        places[k] = fround(places[k] + 4);
      }
    }
    for (let place = places[0]; x < starts[c + 1]; x++, place = fround(place + 1)) out[x] = value(place);
  }
}

/** Light above the sky, summed 1-2-1. */
function fillExcess(image: Float32Array, start: number, sky: Float32Array, out: Float32Array): void {
  const last = out.length - 1;
  const excess = (x: number): number => {
    const value = fround(image[start + x] - sky[x]);
    return Number.isNaN(value) ? 0 : value;
  };
  for (let x = 0; x <= last; x++) {
    const here = excess(x), before = excess(x > 0 ? x - 1 : 0), after = excess(x < last ? x + 1 : last);
    out[x] = fround(before + fround(here + here)) + after;
  }
}

/** Limits of squares, float32. */
export function squares({ brightSigma, smoothSigma }: VarianceTask): readonly [number, number] {
  return [Math.fround(brightSigma * brightSigma), Math.fround(smoothSigma * smoothSigma)];
}

/** The mesh's values along a row, bilinear between centres, straight on beyond the outermost. */
export function meshRowOf({ sky, width }: VarianceTask, y: number, out: MeshRow): void {
  const { columns, rows, cellWidth, cellHeight, level } = sky, cells = out.left.length;
  const v = rows === 1 ? 0 : (y + 0.5) / cellHeight - 0.5;
  const row = Math.min(Math.max(Math.floor(v), 0), Math.max(rows - 2, 0)), part = rows === 1 ? 0 : v - row;
  const below = row * columns, above = Math.min(row + 1, rows - 1) * columns;
  out.starts[0] = 0;
  for (let c = 0; c < cells; c++) {
    const next = Math.min(c + 1, columns - 1);
    const left = level[below + c] * (1 - part) + level[above + c] * part;
    const right = level[below + next] * (1 - part) + level[above + next] * part;
    const centre = (c + 0.5) * cellWidth - 0.5;
    out.left[c] = left;
    out.slopes[c] = columns === 1 ? 0 : (right - left) / cellWidth;
    out.centres[c] = centre;
    out.starts[c + 1] = c + 1 === cells ? width : Math.min(width, Math.ceil(centre + cellWidth));
  }
}

/** Fills the row when it is the first, or the first of a box. */
export function readRowOf({ readNoise }: VarianceTask, y: number, out: Float32Array): void {
  if (y > 0 && !readNoise.some(({ y0, y1 }) => y === y0 || y === y1)) return;
  for (const box of readNoise) if (y >= box.y0 && y < box.y1) out.fill(box.variance, box.x0, box.x1);
}
