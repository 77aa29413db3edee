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
const APPROACH_STEP_FRACTION = 0.25, APPROACH_SPEED_AU_DAY = 0.02, STEP_DAYS_MIN = 1 / 64;

/** Where the planets are between two epochs: shared by all orbits of one epoch. */
export type PlanetTable = Readonly<{
  fromMjdTt: number; toMjdTt: number;
  /** Days of one step, signed. */
  stepDays: number;
  /** [(steps + 1) × PLANET_COUNT × 6] states at the steps' ends. */
  states: Float64Array; steps: number;
}>;

export function planetTable(fromMjdTt: number, toMjdTt: number): PlanetTable {
  const steps = Math.max(1, Math.ceil(Math.abs(toMjdTt - fromMjdTt) / STEP_DAYS));
  const stepDays = (toMjdTt - fromMjdTt) / steps, width = 6 * PLANET_COUNT;
  const states = new Float64Array((steps + 1) * width);
  for (let k = 0; k <= steps; k++) planetStates(fromMjdTt + k * stepDays, states, k * width);
  return { fromMjdTt, toMjdTt, stepDays, states, steps };
}

const places = new Float64Array(3 * PLANET_COUNT);
const kick = new Float64Array(3);

/**
 * Moves a state from the table's first epoch to its last.
 *
 * @param state [≥ at + 6] au, au/d, axes of the ICRS; replaced by the state at `toMjdTt`.
 * @throws Error when the body falls into the Sun or its orbit is no orbit.
 */
export function perturb(table: PlanetTable, state: Float64Array, at: number): void {
  const { stepDays, steps } = table, sign = Math.sign(stepDays);
  if (stepDays === 0) return;
  placesAt(table, 0, 0);
  let nearest = accelerate(state, at);
  for (let k = 0; k < steps; k++) {
    for (let done = 0; done < Math.abs(stepDays);) {
      const left = Math.abs(stepDays) - done;
      const limit = (APPROACH_STEP_FRACTION / APPROACH_SPEED_AU_DAY) * nearest;
      const isLast = limit >= left, days = isLast ? left : Math.min(left, Math.max(STEP_DAYS_MIN, limit));
      addKick(state, at, (sign * days) / 2);
      advance(state, at, sign * days, state, at);
      done = isLast ? Math.abs(stepDays) : done + days;
      placesAt(table, k, done / Math.abs(stepDays));
      nearest = accelerate(state, at);
      addKick(state, at, (sign * days) / 2);
    }
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
 * The planets at a fraction of step k, into `places`: cubic Hermite between its ends, which misses Mercury by at most
 * h⁴ n⁴ a / 384 = 7e-6 au, and Earth by 6e-8 au.
 */
function placesAt({ states, stepDays, steps }: PlanetTable, k: number, fraction: number): void {
  const width = 6 * PLANET_COUNT, first = k * width, second = Math.min(k + 1, steps) * width;
  const s = fraction, s2 = s * s, s3 = s2 * s;
  const h00 = 2 * s3 - 3 * s2 + 1, h01 = 1 - h00, h10 = (s3 - 2 * s2 + s) * stepDays, h11 = (s3 - s2) * stepDays;
  for (let j = 0; j < PLANET_COUNT; j++) {
    const a = first + 6 * j, b = second + 6 * j;
    for (let c = 0; c < 3; c++) {
      places[3 * j + c] = h00 * states[a + c] + h10 * states[a + 3 + c] + h01 * states[b + c] + h11 * states[b + 3 + c];
    }
  }
}
