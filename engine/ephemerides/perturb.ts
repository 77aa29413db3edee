/**
 * Orbits under the planets: states at one epoch to osculating states at another.
 *
 * A symplectic splitting (Wisdom & Holman 1991, AJ 102, 1528) of massless bodies about the Sun: the conic is
 * followed exactly, the planets kick at the ends of each step, the Sun's own fall towards them included. Left out are
 * relativity (perihelion's advance: 3.8″ a century at 1 au, so 0.01″ a season), asteroids as perturbers, the Moon apart
 * from Earth, non-gravitational forces.
 */
import { advance } from './kepler.ts';
import { PLANET_COUNT, PLANET_GM, planetStates } from './planets.ts';

/**
 * Days between two kicks. The error grows as its square: over 200 days it leaves a body of the main belt within 0.006″,
 * one on the orbit of Eros within 0.002″ and a comet with q = 0.5 au within 0.3″ of an integration in quarters of days.
 */
const STEP_DAYS = 4;
/** Steps shrink near a planet: to this part of the time that a body of 35 km/s (0.02 au/d) needs to come to it. */
const APPROACH_STEP_FRACTION = 0.125, APPROACH_SPEED_AU_DAY = 0.02, STEP_DAYS_MIN = 1 / 64;

/** The planets' places at nodes every `STEP_DAYS`, made when they are first needed: 2 ms each. For all orbits. */
export class PlanetGrid {
  readonly #nodes = new Map<number, Float64Array>();

  /** [PLANET_COUNT × 6] states at `STEP_DAYS` × index, MJD (TT). Read only. */
  node(index: number): Float64Array {
    let states = this.#nodes.get(index);
    if (!states) {
      states = new Float64Array(6 * PLANET_COUNT);
      planetStates(STEP_DAYS * index, states, 0);
      this.#nodes.set(index, states);
    }
    return states;
  }
}

const places = new Float64Array(3 * PLANET_COUNT);
const kick = new Float64Array(3);

/**
 * Moves a state from one epoch to another, in steps that end at the grid's nodes.
 *
 * @param state [≥ at + 6] au, au/d, axes of the ICRS; replaced by the state at `toMjdTt`.
 * @throws Error when the body falls into the Sun or its orbit is no orbit.
 */
export function perturb(
  grid: PlanetGrid, state: Float64Array, at: number, fromMjdTt: number, toMjdTt: number,
): void {
  const sign = Math.sign(toMjdTt - fromMjdTt);
  if (!Number.isFinite(fromMjdTt)) throw new Error(`an epoch is ${fromMjdTt}`);
  let time = fromMjdTt;
  if (sign !== 0) placesAt(grid, time);
  let nearest = sign === 0 ? 0 : accelerate(state, at);
  while (time !== toMjdTt) {
    const node = STEP_DAYS * (sign > 0 ? Math.floor(time / STEP_DAYS) + 1 : Math.ceil(time / STEP_DAYS) - 1);
    const end = sign > 0 ? Math.min(node, toMjdTt) : Math.max(node, toMjdTt);
    const limit = Math.max(STEP_DAYS_MIN, (APPROACH_STEP_FRACTION / APPROACH_SPEED_AU_DAY) * nearest);
    const next = Math.abs(end - time) <= limit ? end : time + sign * limit, days = next - time;
    addKick(state, at, days / 2);
    advance(state, at, days, state, at);
    placesAt(grid, next);
    nearest = accelerate(state, at);
    addKick(state, at, days / 2);
    time = next;
  }
}

function addKick(state: Float64Array, at: number, days: number): void {
  state[at + 3] += days * kick[0];
  state[at + 4] += days * kick[1];
  state[at + 5] += days * kick[2];
}

/**
 * The planets' pull on the body less that on the Sun, into `kick`.
 *
 * @returns Distance of the nearest planet, au.
 */
function accelerate(state: Float64Array, at: number): number {
  const x = state[at], y = state[at + 1], z = state[at + 2];
  let ax = 0, ay = 0, az = 0, nearest2 = Infinity;
  for (let j = 0; j < PLANET_COUNT; j++) {
    const px = places[3 * j], py = places[3 * j + 1], pz = places[3 * j + 2];
    const dx = px - x, dy = py - y, dz = pz - z;
    const d2 = dx * dx + dy * dy + dz * dz, p2 = px * px + py * py + pz * pz;
    const direct = PLANET_GM[j] / (d2 * Math.sqrt(d2)), indirect = PLANET_GM[j] / (p2 * Math.sqrt(p2));
    ax += direct * dx - indirect * px;
    ay += direct * dy - indirect * py;
    az += direct * dz - indirect * pz;
    if (d2 < nearest2) nearest2 = d2;
  }
  kick[0] = ax;
  kick[1] = ay;
  kick[2] = az;
  return Math.sqrt(nearest2);
}

/**
 * The planets at a time, into `places`: cubic Hermite between two nodes, which misses Mercury by at most
 * h⁴ n⁴ a / 384 = 7e-6 au, and Earth by 6e-8 au.
 */
function placesAt(grid: PlanetGrid, mjdTt: number): void {
  const index = Math.floor(mjdTt / STEP_DAYS), s = mjdTt / STEP_DAYS - index;
  const first = grid.node(index), second = s === 0 ? first : grid.node(index + 1);
  const s2 = s * s, s3 = s2 * s, h00 = 2 * s3 - 3 * s2 + 1, h01 = 1 - h00;
  const h10 = (s3 - 2 * s2 + s) * STEP_DAYS, h11 = (s3 - s2) * STEP_DAYS;
  for (let j = 0; j < PLANET_COUNT; j++) {
    for (let c = 0; c < 3; c++) {
      const k = 6 * j + c;
      places[3 * j + c] = h00 * first[k] + h10 * first[k + 3] + h01 * second[k] + h11 * second[k + 3];
    }
  }
}
