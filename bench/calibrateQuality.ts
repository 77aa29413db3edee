/**
 * How well is a detector calibrated, by the truth of what was rendered? The PSF's size, ellipticity and wings over the
 * detector, astrometry and photometry on stars that were withheld from the fits.
 *
 *     node bench/calibrateQuality.ts [--camera LSSTCam] [--detectors 94,23] [--pointings 9.45,-44.02;266,-29]
 *       [--effects realistic] [--seed 1] [--json]
 */
import { parseArgs } from 'node:util';
import { loadCamera, pixelScaleArcsec } from '../schemas/camera.ts';
import { evaluatePsf } from '../engine/image/psf.ts';
import { indexOf } from '../engine/image/starDetection.ts';
import { nominalWcs, pixelToSky, separationArcsec, skyToPixel } from '../engine/image/wcs.ts';
import { calibrate, type Calibrated } from '../engine/stages/calibrate/calibrate.ts';
import { calibrateConfig } from '../engine/stages/calibrate/config.ts';
import { isrConfig } from '../engine/stages/isr/config.ts';
import { removeInstrumentSignature } from '../engine/stages/isr/isr.ts';
import { parseDetectorList } from '../simulator/detectorList.ts';
import { opticsConfig } from '../simulator/config.ts';
import { fieldPlace, psfAt, psfPeak, type PsfShape } from '../simulator/optics.ts';
import { arenaOf, renderScene, type DetectorScene } from './detectorScene.ts';

const { values } = parseArgs({ options: {
  camera: { type: 'string', default: 'LSSTCam' }, detectors: { type: 'string', default: '94' },
  pointings: { type: 'string', default: '9.45,-44.02' }, effects: { type: 'string', default: 'realistic' },
  seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false },
} });

/** Places along a side at which the PSF is judged; radius of the wings, pixels; signal to noise of stars that judge. */
const GRID = 7, WING_PX = 15, SNR_MIN = 50;

type Quality = Readonly<Record<string, number | string>>;

function judge(scene: DetectorScene): Quality {
  const { camera, detector, exposureSeconds } = scene.question;
  const { views, rawAmps } = arenaOf(scene), { bias, flat } = views;
  const { commanded } = scene.plan;
  const { image } = removeInstrumentSignature(rawAmps, detector, { bias, flat }, isrConfig, views.visit, {
    indices: views.labels,
  });
  const nominal = nominalWcs(camera, detector, commanded.raDeg, commanded.decDeg, commanded.cameraAngleDeg);
  // Every third reference is withheld.
  const kept = scene.references.filter((_, i) => i % 3 !== 0);
  const withheld = scene.references.filter((_, i) => i % 3 === 0);
  const result = calibrate(image, nominal, kept, exposureSeconds, calibrateConfig, {
    smooth: views.scratch[0], work: views.scratch[1],
  });
  const { figures } = result;
  return {
    detector: detector.name, raDeg: commanded.raDeg, decDeg: commanded.decDeg, stars: figures['starCount'],
    psfStars: figures['psfStarCount'], seeingPx: figures['seeingPx'], ...psfQuality(scene, result),
    ...starQuality(scene, result, withheld),
  };
}

function psfQuality(scene: DetectorScene, { psf }: Calibrated): Quality {
  const { camera, detector } = scene.question, place = fieldPlace(camera, detector), scale = pixelScaleArcsec(camera);
  const model = new Float32Array(psf.size ** 2), half = (psf.size - 1) / 2;
  let sizes = 0, sizeWorst = 0, sizeMean = 0, ellipticities = 0, wing = 0, wingWorst = 0;
  for (let j = 0; j < GRID; j++) {
    for (let i = 0; i < GRID; i++) {
      const x = ((i + 0.5) / GRID) * detector.width, y = ((j + 0.5) / GRID) * detector.height;
      const shape = psfAt(scene.rendered.conditions, scale, ...place(x, y)), truth = moffatStamp(shape, psf.size);
      evaluatePsf(psf, x, y, model);
      const a = shapeOf(model, psf.size), b = shapeOf(truth, psf.size), size = a.size / b.size - 1;
      sizes += size * size; sizeMean += size; sizeWorst = Math.max(sizeWorst, Math.abs(size));
      ellipticities += (a.e1 - b.e1) ** 2 + (a.e2 - b.e2) ** 2;
      const radius = Math.min(WING_PX, half);
      const excess = (ringMean(model, psf.size, radius) - ringMean(truth, psf.size, radius))
        / truth[(truth.length - 1) / 2];
      wing += excess; wingWorst = Math.max(wingWorst, Math.abs(excess));
    }
  }
  const n = GRID * GRID;
  return {
    stampPx: psf.size, order: psf.order, sizeResidualMean: sizeMean / n, sizeResidualRms: Math.sqrt(sizes / n),
    sizeResidualWorst: sizeWorst, ellipticityRms: Math.sqrt(ellipticities / (2 * n)), wingMean: wing / n, wingWorst,
  };
}

function moffatStamp(shape: PsfShape, size: number): Float32Array {
  const half = (size - 1) / 2, { alphaPx, a, b, c } = shape;
  return Float32Array.from({ length: size * size }, (_, k) => {
    const dx = (k % size) - half, dy = Math.floor(k / size) - half;
    const s = 1 + (a * dx * dx + 2 * b * dx * dy + c * dy * dy) / alphaPx ** 2;
    return psfPeak(shape) * s ** -opticsConfig.moffatBeta;
  });
}

/** Adaptive moments: a Gaussian weight that takes the shape it finds (Bernstein & Jarvis 2002). */
function shapeOf(stamp: Float32Array, size: number): { size: number; e1: number; e2: number } {
  const half = (size - 1) / 2;
  let xx = 4, yy = 4, xy = 0;
  for (let step = 0; step < 60; step++) {
    const determinant = xx * yy - xy * xy;
    let sum = 0, mxx = 0, myy = 0, mxy = 0;
    for (let k = 0; k < stamp.length; k++) {
      const dx = (k % size) - half, dy = Math.floor(k / size) - half;
      const light = stamp[k] * Math.exp(-0.5 * ((yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / determinant));
      sum += light; mxx += light * dx * dx; myy += light * dy * dy; mxy += light * dx * dy;
    }
    // A Gaussian of the weight's own shape shows half its moments.
    xx = 2 * mxx / sum; yy = 2 * myy / sum; xy = 2 * mxy / sum;
  }
  return { size: (xx * yy - xy * xy) ** 0.25, e1: (xx - yy) / (xx + yy), e2: 2 * xy / (xx + yy) };
}

function ringMean(stamp: Float32Array, size: number, radius: number): number {
  const half = (size - 1) / 2;
  let sum = 0, count = 0;
  for (let k = 0; k < stamp.length; k++) {
    const r = Math.hypot((k % size) - half, Math.floor(k / size) - half);
    if (Math.abs(r - radius) < 0.75) { sum += stamp[k]; count++; }
  }
  return count === 0 ? 0 : sum / count;
}

/** Places against the truth's, fluxes against the truth's, of withheld stars alone. */
function starQuality(scene: DetectorScene, { stars, wcs }: Calibrated, withheld: DetectorScene['references']): Quality {
  const truth = scene.rendered.sources.filter(({ kind }) => kind === 'star'), index = indexOf(truth);
  const measured = indexOf(stars), offsets: number[] = [], magnitudes: number[] = [];
  const wcsErrors: number[] = [];
  for (const reference of withheld) {
    const at = skyToPixel(wcs, reference.raDeg, reference.decDeg);
    const near = measured.within(at.x, at.y, 2), real = index.within(at.x, at.y, 2);
    if (near.length !== 1 || real.length !== 1) continue;
    const star = stars[near[0]], source = truth[real[0]], mapped = pixelToSky(wcs, source.x, source.y);
    wcsErrors.push(separationArcsec(mapped.raDeg, mapped.decDeg, source.raDeg, source.decDeg) * 1000);
    if (star.flux < SNR_MIN * star.fluxErr || !star.isIsolated) continue;
    offsets.push(separationArcsec(star.raDeg, star.decDeg, reference.raDeg, reference.decDeg) * 1000);
    magnitudes.push(-2.5 * Math.log10(star.flux / source.fluxNJy) * 1000);
  }
  const middle = median(magnitudes), spread = 1.4826 * median(magnitudes.map((value) => Math.abs(value - middle)));
  return {
    // Along one axis; the median of a distance in two is 1.177 standard deviations. Places hold the catalogue's 5 mas.
    judges: offsets.length, wcsErrorRmsMas: rmsOf(wcsErrors), placeRmsMas: rmsOf(offsets),
    placeRobustMas: median(offsets) / 1.177, zeroPointMmag: middle,
    zeroPointErrMmag: spread / Math.sqrt(magnitudes.length),
    photometryScatterMmag: spread,
  };
}

/** Along one axis, of distances in two. */
function rmsOf(distances: readonly number[]): number {
  return Math.sqrt(distances.reduce((sum, d) => sum + d * d, 0) / distances.length / 2);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

const camera = loadCamera(values.camera), all: Quality[] = [];
for (const detector of parseDetectorList(camera, values.detectors)) {
  let calibrations: Pick<DetectorScene, 'bias' | 'flat'> | null = null;
  for (const pointing of values.pointings.split(';')) {
    const [raDeg, decDeg] = pointing.split(',').map(Number);
    const scene = renderScene({
      camera, detector, seed: Number(values.seed), band: 'r', raDeg, decDeg, cameraAngleDeg: 0, exposureSeconds: 30,
      effects: values.effects,
    }, calibrations);
    calibrations = scene;
    const quality = judge(scene);
    all.push(quality);
    if (values.json) continue;
    process.stdout.write(`${Object.entries(quality).map(([name, value]) => (
      `${name} ${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`)).join('  ')}\n`);
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(all)}\n`);
