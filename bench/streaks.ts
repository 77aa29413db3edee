/**
 * How faint a satellite's streak is still masked, how much of it, how much sky is lost, and what is masked where there
 * is none? Differences of white noise with point sources of both signs, half of a dense night's; streaks cross them at
 * any angle and place, a third of them begins or ends inside. A streak's score is that of its middle, as a source's.
 *
 *     node bench/streaks.ts [--side 1024] [--fields 20] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { maskBits } from '../engine/image/maskPlanes.ts';
import { allocateMaskedImage, asProduct, type MaskedImage } from '../engine/image/maskedImage.ts';
import type { PsfModel } from '../engine/image/psf.ts';
import { detectDefaults } from '../engine/stages/detect/config.ts';
import { detectSources } from '../engine/stages/detect/detect.ts';
import { normal, randomStream, uniform, uniformBetween, type RandomStream } from '../simulator/random.ts';
import { benchResult, reportResult, spreadOf } from './harness.ts';

const { values } = parseArgs({ options: {
  side: { type: 'string', default: '1024' }, fields: { type: 'string', default: '20' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const side = Number(values.side), fields = Number(values.fields), NOISE = 10, SIGMA = 1.9;
/** Scores of a streak's middle, and its widths (standard deviation before the seeing, pixels). */
const SCORES = [1, 1.5, 2, 3, 6, 20], WIDTHS = [0.5, 5];
const STREAK = maskBits('STREAK'), psf = gaussianPsf(side);
const score = new Float32Array(side * side);
const samples: Record<string, number[]> = {}, digest = createHash('sha256');
const add = (name: string, value: number): void => { (samples[name] ??= []).push(value); };

for (let n = 0; n < fields; n++) {
  const bare = detect(fieldOf(n, null).planes);
  add('no streak: share of pixels masked', bare.masked);
  add('no streak: detections', bare.detections);
  for (const score of SCORES) {
    for (const width of WIDTHS) {
      const { planes, line } = fieldOf(n, { score, width }), found = detect(planes);
      if (line === null) continue;
      const name = `score ${score}, width ${width} px`;
      add(`${name}: share of its length masked`, coveredShare(planes, line));
      add(`${name}: share of pixels masked`, found.masked);
      add(`${name}: detections beyond those without it`, found.detections - bare.detections);
    }
  }
}
reportResult(benchResult({
  bench: 'streaks', question: 'how much of a streak is masked, against its brightness', size: { side, fields },
  figures: Object.fromEntries(Object.entries(samples).map(([name, all]) => [name, { ...spreadOf(all), mean: mean(all) }])),
  checksum: digest.digest('hex').slice(0, 16),
}), { json: values.json, keep: values.keep });

type Drawn = Readonly<{ x0: number; y0: number; x1: number; y1: number }>;

function mean(all: readonly number[]): number {
  return all.reduce((sum, value) => sum + value, 0) / all.length;
}

/** Noise, sources, and a streak where asked for. */
function fieldOf(
  index: number, streak: Readonly<{ score: number; width: number }> | null,
): { planes: MaskedImage; line: Drawn | null } {
  const planes = allocateMaskedImage(side, side), random = randomStream(1, 'streak field', index);
  planes.variance.fill(NOISE * NOISE);
  for (let j = 0; j < planes.image.length; j++) planes.image[j] = NOISE * normal(random);
  const area = 4 * Math.PI * SIGMA * SIGMA;
  for (let n = 0; n < 60 * (side / 1024) ** 2; n++) {
    const snr = 5 * 40 ** uniform(random) * (uniform(random) < 0.5 ? -1 : 1);
    const x = uniformBetween(random, 0, side), y = uniformBetween(random, 0, side);
    addGaussian(planes, x, y, SIGMA, snr * NOISE * Math.sqrt(area));
  }
  return { planes, line: streak && drawStreak(planes, randomStream(2, 'streak', index), streak) };
}

function addGaussian({ image, width, height }: MaskedImage, x: number, y: number, sigma: number, flux: number): void {
  const reach = Math.ceil(5 * sigma);
  for (let v = Math.max(0, Math.round(y) - reach); v <= Math.min(height - 1, Math.round(y) + reach); v++) {
    for (let u = Math.max(0, Math.round(x) - reach); u <= Math.min(width - 1, Math.round(x) + reach); u++) {
      const r2 = (u - x) ** 2 + (v - y) ** 2;
      image[v * width + u] += (flux / (2 * Math.PI * sigma * sigma)) * Math.exp(-r2 / (2 * sigma * sigma));
    }
  }
}

/** Of Gaussian section: width and seeing in squares. Null when the part of it on the image is shorter than 300 px. */
function drawStreak(
  planes: MaskedImage, random: RandomStream, { score, width }: Readonly<{ score: number; width: number }>,
): Drawn | null {
  const angle = uniformBetween(random, 0, Math.PI), cos = Math.cos(angle), sin = Math.sin(angle);
  const cx = uniformBetween(random, 0.2, 0.8) * side, cy = uniformBetween(random, 0.2, 0.8) * side;
  const far = 2 * side, begin = uniform(random) < 1 / 3 ? uniformBetween(random, -0.4, 0.2) * side : -far;
  const across = Math.hypot(width, SIGMA), filter = Math.hypot(across, SIGMA);
  // The filter of unit noise has 2 √π σ; along the middle of a ridge of height h it gives h × 2 √π σ × across / filter.
  const height = (score * NOISE * filter) / (2 * Math.sqrt(Math.PI) * SIGMA * across);
  let x0 = NaN, y0 = NaN, x1 = NaN, y1 = NaN;
  for (let v = 0; v < side; v++) {
    for (let u = 0; u < side; u++) {
      const along = (u - cx) * cos + (v - cy) * sin, beside = (v - cy) * cos - (u - cx) * sin;
      if (along < begin || Math.abs(beside) > 5 * across) continue;
      planes.image[v * side + u] += height * Math.exp((-beside * beside) / (2 * across * across));
    }
  }
  for (let t = begin; t < far; t += 0.5) {
    const x = cx + t * cos, y = cy + t * sin;
    if (x < 0 || y < 0 || x > side - 1 || y > side - 1) continue;
    if (Number.isNaN(x0)) { x0 = x; y0 = y; }
    x1 = x;
    y1 = y;
  }
  return Math.hypot(x1 - x0, y1 - y0) >= 300 ? { x0, y0, x1, y1 } : null;
}

function detect(planes: MaskedImage): { detections: number; masked: number } {
  const { detections, streaks } = detectSources(asProduct('differenceImage', planes), psf, score, detectDefaults);
  digest.update(JSON.stringify(streaks));
  let masked = 0;
  for (const bits of planes.mask) if ((bits & STREAK) !== 0) masked++;
  return { detections: detections.length, masked: masked / planes.mask.length };
}

function coveredShare({ mask }: MaskedImage, { x0, y0, x1, y1 }: Drawn): number {
  const steps = Math.ceil(Math.hypot(x1 - x0, y1 - y0));
  let covered = 0;
  for (let n = 0; n < steps; n++) {
    const u = Math.round(x0 + ((x1 - x0) * n) / steps), v = Math.round(y0 + ((y1 - y0) * n) / steps);
    if ((mask[v * side + u] & STREAK) !== 0) covered++;
  }
  return covered / steps;
}

function gaussianPsf(size: number): PsfModel {
  const half = 12, stamp = new Float32Array((2 * half + 1) ** 2);
  let sum = 0;
  for (let v = -half, k = 0; v <= half; v++) {
    for (let u = -half; u <= half; u++, k++) sum += stamp[k] = Math.exp(-(u * u + v * v) / (2 * SIGMA * SIGMA));
  }
  return { size: 2 * half + 1, width: size, height: size, order: 0, coefficients: stamp.map((value) => value / sum) };
}
