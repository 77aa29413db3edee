/**
 * Two exposures of one patch of sky with all that spoils their difference, and the truth about it: what a classifier of
 * detections learns from. Settings reach well beyond those of a good night. Pure: the same settings give the same
 * pixels.
 */
import { drawGalaxy, drawStar } from './drawing.ts';
import { moffat, psfPeak, type PsfShape } from './optics.ts';
import { normal, poisson, randomStream, uniform, uniformBetween, type RandomStream } from './random.ts';

/** Lengths in pixels, light in electrons, densities per square of 1024 pixels. */
export type PairSettings = Readonly<{
  seed: number; side: number;
  scienceFwhm: number; templateFwhm: number; ellipticity: number;
  sky: number; readNoise: number; fullWell: number;
  /** Visits in the template, whose noise is that many times smaller in variance. */
  templateVisits: number; transparency: number;
  rotationDeg: number;
  stars: number; galaxies: number; transients: number; variables: number; movers: number;
  /** Range of the transients' signal-to-noise ratio. */
  snrMin: number; snrMax: number;
  /** Smooth astrometric error, rms, and what a star's colour and motion add to it along y. */
  astrometricError: number; starShift: number;
  cosmicRays: number; templateCosmicRays: number; hotPixels: number; hotColumns: number; ghosts: number;
}>;

/** What truly differs: at its place on the science image, with its sign. A mover has a length and a direction. */
export type PairChange = Readonly<{
  x: number; y: number; flux: number; snr: number; length: number; angle: number;
}>;

export type PairPlane = Readonly<{
  /** [side × side] row-major, electrons of the science image or of one visit of the template; sky included. */
  image: Float32Array;
  /** Not 0 at pixels that reached the full well, grown by two. */
  saturated: Uint8Array;
}>;

export type RenderedPair = Readonly<{
  science: PairPlane; template: PairPlane;
  /** From science to template pixels: x' = c (x − m) − s (y − m) + m + dx, y' = s (x − m) + c (y − m) + m + dy. */
  turn: Readonly<{ cos: number; sin: number; middle: number; dx: number; dy: number }>;
  changes: readonly PairChange[];
}>;

/** Magnitude of one electron in the science image; the faintest and brightest star, and the slopes of the counts. */
const ZERO_POINT = 31.8, STAR_BRIGHT = 14.5, STAR_FAINT = 25, STAR_SLOPE = 0.22;
const GALAXY_BRIGHT = 18, GALAXY_FAINT = 25.5, GALAXY_SLOPE = 0.33;
/** Half of the transients lie in the lowest quarter of the range of log SNR: there they are hard to tell. */
const FAINTWARDS = 2;
/** Light is drawn down to this, electrons: a hundredth of the noise of a dark sky. */
const FLOOR = 0.2;

type Optics = Readonly<{ at: (x: number, y: number) => PsfShape }>;

export function renderPair(settings: PairSettings): RenderedPair {
  const { side, seed, transparency } = settings, area = (side / 1024) ** 2;
  const random = randomStream(seed, 'pair sky');
  const turn = turnOf(settings, random), toTemplate = (x: number, y: number) => templatePlace(turn, x, y);
  const scienceOptics = opticsOf(settings, settings.scienceFwhm, 'science optics');
  const templateOptics = opticsOf(settings, settings.templateFwhm, 'template optics');
  const science = new Float32Array(side * side), template = new Float32Array(side * side);
  const warp = smoothError(settings);
  const draw = (plane: Float32Array, optics: Optics, x: number, y: number, flux: number): void =>
    drawStar(plane, side, side, x, y, flux, optics.at(x, y), FLOOR);
  const changes: PairChange[] = [], margin = 40;
  for (let i = 0, count = Math.round(settings.stars * area * 1.2); i < count; i++) {
    const x = uniformBetween(random, -margin, side + margin), y = uniformBetween(random, -margin, side + margin);
    const flux = 10 ** (0.4 * (ZERO_POINT - magnitude(random, STAR_BRIGHT, STAR_FAINT, STAR_SLOPE)));
    const isVariable = uniform(random) * settings.stars < settings.variables && flux < 5e5;
    const factor = isVariable ? 10 ** (0.4 * uniformBetween(random, -1, 1)) : 1;
    const at = warp(x, y), shift = settings.starShift * uniformBetween(random, -1, 1);
    draw(science, scienceOptics, at.x, at.y + shift, flux * factor * transparency);
    const there = toTemplate(x, y);
    draw(template, templateOptics, there.x, there.y, flux);
    if (!isVariable) continue;
    const change = flux * (factor - 1) * transparency, error = fluxError(settings, flux / 20);
    changes.push({ x: at.x, y: at.y + shift, flux: change, snr: Math.abs(change) / error, length: 0, angle: 0 });
  }
  const hosts: { x: number; y: number; radius: number }[] = [];
  for (let i = 0, count = Math.round(settings.galaxies * area); i < count; i++) {
    const x = uniformBetween(random, 0, side), y = uniformBetween(random, 0, side);
    const mag = magnitude(random, GALAXY_BRIGHT, GALAXY_FAINT, GALAXY_SLOPE), flux = 10 ** (0.4 * (ZERO_POINT - mag));
    const radiusPx = Math.min(25, Math.max(0.8, 1.7 * 10 ** (0.35 - 0.06 * (mag - 22) + 0.18 * normal(random))));
    const axisRatio = uniformBetween(random, 0.35, 1), angle = uniformBetween(random, 0, Math.PI);
    const at = warp(x, y), there = toTemplate(x, y), turned = angle + Math.atan2(turn.sin, turn.cos);
    drawGalaxy(
      science, side, side, at.x, at.y, flux * transparency, { radiusPx, axisRatio, angle },
      scienceOptics.at(at.x, at.y), FLOOR,
    );
    drawGalaxy(
      template, side, side, there.x, there.y, flux, { radiusPx, axisRatio, angle: turned },
      templateOptics.at(there.x, there.y), FLOOR,
    );
    if (mag < 23.5) hosts.push({ x, y, radius: radiusPx });
  }
  for (let i = 0, count = Math.round(settings.transients * area); i < count; i++) {
    const host = uniform(random) < 0.5 && hosts.length > 0 ? hosts[Math.floor(uniform(random) * hosts.length)] : null;
    const reach = host === null ? 0 : -host.radius * Math.log(1 - uniform(random));
    const angle = 2 * Math.PI * uniform(random);
    const x = host === null ? uniformBetween(random, 25, side - 25) : host.x + reach * Math.cos(angle);
    const y = host === null ? uniformBetween(random, 25, side - 25) : host.y + reach * Math.sin(angle);
    const snr = settings.snrMin * (settings.snrMax / settings.snrMin) ** (uniform(random) ** FAINTWARDS);
    const flux = snr * fluxError(settings, lightAt(science, side, x, y)), at = warp(x, y);
    if (uniform(random) < 0.5) {
      draw(science, scienceOptics, at.x, at.y, flux);
      changes.push({ x: at.x, y: at.y, flux, snr, length: 0, angle: 0 });
    } else {
      const there = toTemplate(x, y);
      draw(template, templateOptics, there.x, there.y, flux / transparency);
      changes.push({ x, y, flux: -flux, snr, length: 0, angle: 0 });
    }
  }
  for (let i = 0; i < settings.movers; i++) changes.push(drawMover(settings, science, scienceOptics, random));
  return {
    science: expose(settings, science, 'science'), template: expose(settings, template, 'template'), turn, changes,
  };
}

function turnOf({ side, rotationDeg }: PairSettings, random: RandomStream): RenderedPair['turn'] {
  const angle = (rotationDeg * Math.PI) / 180;
  return {
    cos: Math.cos(angle), sin: Math.sin(angle), middle: (side - 1) / 2,
    dx: uniformBetween(random, -6, 6), dy: uniformBetween(random, -6, 6),
  };
}

function templatePlace({ cos, sin, middle, dx, dy }: RenderedPair['turn'], x: number, y: number) {
  const u = x - middle, v = y - middle;
  return { x: cos * u - sin * v + middle + dx, y: sin * u + cos * v + middle + dy };
}

/** Widths that grow by some per cent towards an edge, and ellipticities that change across the image. */
function opticsOf({ seed, side, ellipticity }: PairSettings, fwhm: number, purpose: string): Optics {
  const random = randomStream(seed, purpose), draw = () => uniformBetween(random, -1, 1);
  const [growX, growY, e1, e2, e1x, e2y] = [draw(), draw(), draw(), draw(), draw(), draw()];
  return {
    at: (x, y) => {
      const u = (2 * x) / side - 1, v = (2 * y) / side - 1;
      return moffat(
        fwhm * (1 + 0.02 * (growX * u + growY * v)),
        ellipticity * (e1 + 0.5 * e1x * u), ellipticity * (e2 + 0.5 * e2y * v),
      );
    },
  };
}

/** Smooth displacement that no header knows: two waves a coordinate. */
function smoothError(
  { seed, side, astrometricError }: PairSettings,
): (x: number, y: number) => { x: number; y: number } {
  const random = randomStream(seed, 'astrometric error'), waves = [0, 1].map(() => [0, 1].map(() => ({
    u: uniformBetween(random, -1.5, 1.5), v: uniformBetween(random, -1.5, 1.5), phase: 2 * Math.PI * uniform(random),
  })));
  const at = (axis: number, x: number, y: number): number => waves[axis].reduce(
    (sum, { u, v, phase }) => sum + astrometricError * Math.sin((2 * Math.PI * (u * x + v * y)) / side + phase), 0,
  );
  return (x, y) => (astrometricError === 0 ? { x, y } : { x: x + at(0, x, y), y: y + at(1, x, y) });
}

/** From counts that rise as 10^(slope m). */
function magnitude(random: RandomStream, bright: number, faint: number, slope: number): number {
  const low = 10 ** (slope * bright), high = 10 ** (slope * faint);
  return Math.log10(low + uniform(random) * (high - low)) / slope;
}

function lightAt(plane: Float32Array, side: number, x: number, y: number): number {
  const column = Math.min(side - 1, Math.max(0, Math.round(x))), row = Math.min(side - 1, Math.max(0, Math.round(y)));
  return plane[row * side + column];
}

/**
 * Error of a point source's flux on the difference: the wider PSF and the noise of both images.
 *
 * @param light Of other sources at the place, electrons a pixel.
 */
function fluxError(settings: PairSettings, light: number): number {
  const { sky, readNoise, templateVisits, scienceFwhm, templateFwhm } = settings;
  const variance = (light + sky + readNoise * readNoise) * (1 + 1 / templateVisits);
  // Σ p² of a Moffat of exponent 3.5 is its peak × (β − 1) / (2β − 1).
  const shape = moffat(Math.max(scienceFwhm, templateFwhm), 0, 0);
  return Math.sqrt(variance / (psfPeak(shape) * (2.5 / 6)));
}

function drawMover(settings: PairSettings, plane: Float32Array, optics: Optics, random: RandomStream): PairChange {
  const { side } = settings, x = uniformBetween(random, 60, side - 60), y = uniformBetween(random, 60, side - 60);
  const length = uniformBetween(random, 4, 40), angle = 2 * Math.PI * uniform(random), steps = Math.ceil(4 * length);
  const widened = Math.sqrt(1 + length / settings.scienceFwhm), snr = uniformBetween(random, 10, 80);
  const flux = snr * widened * fluxError(settings, lightAt(plane, side, x, y));
  for (let i = 0; i < steps; i++) {
    const t = ((i + 0.5) / steps - 0.5) * length, px = x + t * Math.cos(angle), py = y + t * Math.sin(angle);
    drawStar(plane, side, side, px, py, flux / steps, optics.at(px, py), FLOOR / 50);
  }
  return { x, y, flux, snr, length, angle };
}

/** Adds sky, bleeding, noise and what the detector and passing particles leave. */
function expose(settings: PairSettings, light: Float32Array, name: 'science' | 'template'): PairPlane {
  const { seed, side, sky, readNoise, fullWell } = settings, random = randomStream(seed, `${name} noise`);
  const visits = name === 'science' ? 1 : settings.templateVisits;
  const tiltX = uniformBetween(random, -0.04, 0.04), tiltY = uniformBetween(random, -0.04, 0.04);
  for (let y = 0, j = 0; y < side; y++) {
    for (let x = 0; x < side; x++, j++) light[j] += sky * (1 + tiltX * (x / side - 0.5) + tiltY * (y / side - 0.5));
  }
  if (name === 'science') addGhosts(settings, light);
  const saturated = bleedColumns(light, side, fullWell), readSigma = readNoise / Math.sqrt(visits);
  for (let j = 0; j < light.length; j++) {
    light[j] = poisson(random, light[j] * visits) / visits + readSigma * normal(random);
  }
  const rays = name === 'science' ? settings.cosmicRays : settings.templateCosmicRays;
  addCosmicRays(settings, light, rays, visits, random);
  if (name === 'science') addHotPixels(settings, light, random);
  for (let j = 0; j < light.length; j++) if (saturated[j] !== 0) light[j] = fullWell;
  return { image: light, saturated: grown(saturated, side, 2) };
}

/** Charge above the full well runs along its column, one pixel up and one down in turn. */
function bleedColumns(light: Float32Array, side: number, fullWell: number): Uint8Array {
  const full = new Uint8Array(light.length);
  for (let j = 0; j < light.length; j++) {
    let excess = light[j] - fullWell;
    if (excess <= 0) continue;
    light[j] = fullWell;
    full[j] = 1;
    for (let step = 1; excess > 0 && step < side; step++) {
      for (const k of [j + step * side, j - step * side]) {
        if (k < 0 || k >= light.length || !(excess > 0)) continue;
        const room = Math.max(0, Math.min(fullWell - light[k], excess));
        light[k] += room;
        excess -= room;
        if (light[k] >= fullWell) full[k] = 1;
      }
    }
  }
  return full;
}

function grown(mask: Uint8Array, side: number, by: number): Uint8Array {
  const out = new Uint8Array(mask.length);
  for (let j = 0; j < mask.length; j++) {
    if (mask[j] === 0) continue;
    const x = j % side, y = (j - x) / side;
    for (let v = Math.max(0, y - by); v <= Math.min(side - 1, y + by); v++) {
      out.fill(1, v * side + Math.max(0, x - by), v * side + Math.min(side, x + by + 1));
    }
  }
  return out;
}

function addCosmicRays(
  { side }: PairSettings, plane: Float32Array, count: number, visits: number, random: RandomStream,
): void {
  for (let i = 0; i < count; i++) {
    const x = uniformBetween(random, 5, side - 5), y = uniformBetween(random, 5, side - 5);
    const angle = Math.PI * uniform(random), length = Math.min(30, 1 + Math.floor(-7 * Math.log(1 - uniform(random))));
    const charge = 10 ** uniformBetween(random, 1.9, 3.9) / Math.sqrt(visits), spread = 0.25 * uniform(random);
    for (let n = 0; n < length; n++) {
      const u = Math.floor(x + n * Math.cos(angle)), v = Math.floor(y + n * Math.sin(angle));
      if (u < 1 || v < 1 || u >= side - 1 || v >= side - 1) break;
      plane[v * side + u] += charge * (1 - spread);
      plane[v * side + u + 1] += charge * spread * 0.5;
      plane[(v + 1) * side + u] += charge * spread * 0.5;
    }
  }
}

function addHotPixels({ side, hotPixels, hotColumns }: PairSettings, plane: Float32Array, random: RandomStream): void {
  for (let i = 0; i < hotPixels; i++) {
    plane[Math.floor(uniform(random) * plane.length)] += 10 ** uniformBetween(random, 1.9, 3.7);
  }
  for (let i = 0; i < hotColumns; i++) {
    const x = Math.floor(uniform(random) * side), level = uniformBetween(random, -150, 900);
    const first = uniform(random) < 0.5 ? 0 : Math.floor(uniform(random) * side);
    for (let y = first; y < side; y++) plane[y * side + x] += level;
  }
}

/** Reflections: faint discs and rings with soft rims. */
function addGhosts({ seed, side, ghosts, sky }: PairSettings, plane: Float32Array): void {
  const random = randomStream(seed, 'ghosts');
  for (let i = 0; i < ghosts; i++) {
    const cx = side * uniform(random), cy = side * uniform(random), radius = uniformBetween(random, 8, 90);
    const hole = uniform(random) < 0.5 ? 0.6 * radius : 0, level = uniformBetween(random, 0.03, 0.25) * sky;
    const rim = uniformBetween(random, 1.5, 6);
    for (let y = Math.max(0, Math.floor(cy - radius - 9)); y < Math.min(side, cy + radius + 9); y++) {
      for (let x = Math.max(0, Math.floor(cx - radius - 9)); x < Math.min(side, cx + radius + 9); x++) {
        const r = Math.sqrt((x - cx) ** 2 + (y - cy) ** 2);
        const outside = Math.min(1, Math.max(0, (radius - r) / rim)), inside = hole === 0 ? 1
          : Math.min(1, Math.max(0, (r - hole) / rim));
        plane[y * side + x] += level * outside * inside;
      }
    }
  }
}
