import type { Regions, Run, RunRegion } from '../label.ts';

/** Labels pixels by union-find: 0 outside, else 1 + number of the region. */
export function labelRegions(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number, labels: Int32Array,
): Regions {
  const parents: number[] = [0];
  for (let y = 0, j = 0; y < height; y++) {
    for (let x = 0; x < width; x++, j++) {
      if (!(sign * score[j] >= threshold)) { labels[j] = 0; continue; }
      let label = x > 0 ? labels[j - 1] : 0;
      if (y > 0) {
        if (x > 0) label = joined(parents, label, labels[j - width - 1]);
        label = joined(parents, label, labels[j - width]);
        if (x + 1 < width) label = joined(parents, label, labels[j - width + 1]);
      }
      if (label === 0) { label = parents.length; parents.push(label); }
      labels[j] = label;
    }
  }
  return numbered(labels, width, parents);
}

/** The region of both labels; either may be 0. */
function joined(parents: number[], a: number, b: number): number {
  if (b === 0) return a;
  if (a === 0 || a === b) return b;
  const rootA = rootOf(parents, a), rootB = rootOf(parents, b), root = Math.min(rootA, rootB);
  parents[rootA] = root;
  parents[rootB] = root;
  return root;
}

function rootOf(parents: number[], label: number): number {
  let root = label;
  while (parents[root] !== root) root = parents[root];
  while (parents[label] !== root) { const next = parents[label]; parents[label] = root; label = next; }
  return root;
}

/** Replaces provisional labels by final ones, and measures boxes and areas. */
function numbered(labels: Int32Array, width: number, parents: number[]): Regions {
  const numbers = new Int32Array(parents.length), boxes: number[] = [];
  let count = 0;
  for (let j = 0; j < labels.length; j++) {
    if (labels[j] === 0) continue;
    const root = rootOf(parents, labels[j]), x = j % width, y = (j - x) / width;
    if (numbers[root] === 0) {
      numbers[root] = ++count;
      boxes.push(x, y, x + 1, y + 1, 0);
    }
    const number = numbers[root], at = 5 * (number - 1);
    if (x < boxes[at]) boxes[at] = x;
    if (x >= boxes[at + 2]) boxes[at + 2] = x + 1;
    boxes[at + 3] = y + 1; // Rows come in order.
    boxes[at + 4]++;
    labels[j] = number;
  }
  return { count, boxes: Int32Array.from(boxes) };
}

/** Twin of `listRunRegions`. */
export function listRunsTwin(
  score: Float32Array, width: number, height: number, sign: 1 | -1, threshold: number,
): RunRegion[] {
  const labels = new Int32Array(score.length);
  const { count, boxes } = labelRegions(score, width, height, sign, threshold, labels);
  const regions = Array.from({ length: count }, (_, n) => {
    const [x0, y0, x1, y1, pixelCount] = boxes.subarray(5 * n, 5 * n + 5), runs: Run[] = [];
    return { box: { x0, y0, x1, y1 }, pixelCount, runs };
  });
  for (let j = 0; j < labels.length; j++) {
    const label = labels[j], x0 = j % width, y = (j - x0) / width;
    if (label === 0) continue;
    let x1 = x0 + 1;
    while (x1 < width && labels[y * width + x1] !== 0) x1++;
    regions[label - 1].runs.push({ y, x0, x1 });
    j += x1 - x0 - 1;
  }
  return regions;
}
