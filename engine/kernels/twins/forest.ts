import type { PackedForest } from '../forest.ts';

/** Twin of `sumLeaves`, of one row. */
export function sumLeavesTwin({ numbers, words, trees }: PackedForest, features: Float64Array): number {
  let sum = 0;
  for (let t = 0; t < trees.length; t += 2) {
    let at = trees[t], word = at >> 2;
    for (let step = 0; step < trees[t + 1]; step++, word = at >> 2) {
      at = features[words[word + 4]] < numbers[at >> 3] ? words[word + 5] : words[word + 6];
    }
    sum += numbers[(at >> 3) + 1];
  }
  return sum;
}
