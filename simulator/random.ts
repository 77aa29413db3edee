/**
 * Seeded random numbers in streams that do not depend on each other.
 *
 * A stream is named by (seed, purpose, ids…): a star of a sky cell, the read noise of one detector and exposure. Its
 * state is a hash of that name, so the order in which things are rendered cannot matter, and the same name gives the
 * same numbers in every process. All state is 32-bit integer arithmetic, which is exact on every CPU.
 */

/** State of one stream, advanced by every function that draws from it. */
export type RandomStream = Uint32Array;

const STATE_WORDS = 4;
const TWO_TO_MINUS_32 = 2 ** -32;
const TWO_TO_MINUS_53 = 2 ** -53;
const TWO_TO_32 = 2 ** 32;

/**
 * Opens the stream of that name.
 *
 * @param seed Any safe integer.
 * @param ids  Safe integers; exposures and cells are larger than 32 bits and both halves count.
 */
export function randomStream(seed: number, purpose: string, ...ids: readonly number[]): RandomStream {
  const state = new Uint32Array(STATE_WORDS);
  let a = 0x9e3779b9, b = 0x243f6a88, c = 0xb7e15162; // Golden ratio, π and e: no word starts at zero.
  const absorb = (word: number): void => {
    a = mix32(a ^ word);
    b = mix32((b + Math.imul(word, 0x85ebca6b) + a) | 0);
    c = mix32(c ^ Math.imul(b, 0xc2b2ae35));
  };
  for (const id of [seed, ...ids]) {
    absorb(id >>> 0);
    absorb(Math.floor(id / TWO_TO_32) >>> 0);
  }
  for (let i = 0; i < purpose.length; i++) absorb(purpose.charCodeAt(i) + 0x10000);
  state[0] = a; state[1] = b; state[2] = c; state[3] = 1;
  for (let i = 0; i < 12; i++) nextUint32(state); // The generator's authors ask for 12 steps before the first use.
  return state;
}

/** Finaliser of MurmurHash3 (Appleby): every bit of the input reaches every bit of the result. */
function mix32(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** One step of sfc32 (Doty-Humphrey, PractRand): chaotic, with a counter that rules out short cycles. */
export function nextUint32(state: RandomStream): number {
  const a = state[0], b = state[1], c = state[2], counter = state[3];
  const result = (a + b + counter) | 0;
  state[3] = counter + 1;
  state[0] = b ^ (b >>> 9);
  state[1] = (c + (c << 3)) | 0;
  state[2] = (((c << 21) | (c >>> 11)) + result) | 0;
  return result >>> 0;
}

/** Uniform in [0, 1), 53 bits. */
export function uniform(state: RandomStream): number {
  const high = nextUint32(state) >>> 5, low = nextUint32(state) >>> 6;
  return (high * 67108864 + low) * TWO_TO_MINUS_53;
}

/** Uniform in [low, high). */
export function uniformBetween(state: RandomStream, low: number, high: number): number {
  return low + (high - low) * uniform(state);
}

/** Layers of the ziggurat (Marsaglia & Tsang 2000). Each has the area V; the lowest holds the tail beyond R. */
const LAYERS = 128, R = 3.442619855899, V = 9.91256303526217e-3;
const edges = new Float64Array(LAYERS + 1), heights = new Float64Array(LAYERS + 1);
{
  const density = (x: number): number => Math.exp(-0.5 * x * x);
  edges[0] = V / density(R);
  edges[1] = R;
  for (let i = 2; i < LAYERS; i++) edges[i] = Math.sqrt(-2 * Math.log(V / edges[i - 1] + density(edges[i - 1])));
  for (let i = 0; i <= LAYERS; i++) heights[i] = density(edges[i]);
}

/**
 * Standard normal. One 32-bit draw in 97 of 100 cases: 7 bits choose the layer, one the sign and 24 the place, so the
 * value is fine to 2e-7 and, unlike in the original of 2000, place and layer share no bits (Doornik 2005).
 */
export function normal(state: RandomStream): number {
  for (;;) {
    const bits = nextUint32(state);
    const layer = bits & 127;
    const sign = bits & 128 ? -1 : 1;
    const x = ((bits >>> 8) + 0.5) * 2 ** -24 * edges[layer];
    if (x < edges[layer + 1]) return sign * x;
    if (layer === 0) return sign * tail(state);
    const y = heights[layer] + (heights[layer + 1] - heights[layer]) * uniform(state);
    if (y < Math.exp(-0.5 * x * x)) return sign * x;
  }
}

function tail(state: RandomStream): number {
  for (;;) {
    const x = -Math.log(1 - uniform(state)) / R;
    const y = -Math.log(1 - uniform(state));
    if (2 * y > x * x) return R + x;
  }
}

/** Below this mean Poisson variates are drawn exactly. */
export const POISSON_EXACT_MEAN_MAX = 30;

/**
 * Poisson variate of that mean; 0 when the mean is not positive.
 *
 * Exact by multiplication of uniforms up to a mean of 30. Above, Giles' expansion of the Poisson quantile about the
 * normal one (ACM TOMS 42, 2016, eq. 1: ⌊λ + √λ w + 1/3 + w²/6 − (w/36 + w³/72)/√λ⌋), which has the mean λ and the
 * variance λ; what it leaves out is of order 1/λ of one count. A plain normal would miss the skewness, 0.18 at λ = 30
 * and 0.03 still at 1000.
 */
export function poisson(state: RandomStream, mean: number): number {
  if (!(mean > 0)) return 0;
  if (mean > POISSON_EXACT_MEAN_MAX) {
    const w = normal(state), root = Math.sqrt(mean), w2 = w * w;
    return Math.max(0, Math.floor(mean + root * w + 1 / 3 + w2 / 6 - (w * (2 + w2)) / (72 * root)));
  }
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = nextUniform32(state); product > limit; product *= nextUniform32(state)) count++;
  return count;
}

/** Uniform in (0, 1), 32 bits. */
function nextUniform32(state: RandomStream): number {
  return (nextUint32(state) + 0.5) * TWO_TO_MINUS_32;
}
