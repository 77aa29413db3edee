/**
 * Does the reliability model know real changes that it never saw? ZTF's alert packets (real sky, another camera,
 * another subtraction) rated by the shipped model from their three stamps of 63 px, beside ZTF's own scores: `rb` (a
 * forest) and `drb` (a network). Skips, with exit 0, without packets.
 *
 *     node bench/ztfStamps.ts [--keep] [--json] [PACKET.avro ...]
 *
 * So that a model that calls everything real does not pass, the same flux in a single pixel is rated too, in place of
 * each source. A stamp says less than an image: its noise is its own pixels' scatter, with Poisson's where there is
 * light, its PSF a Moffat of the packet's seeing (`fwhm`), it has no mask, and its template is scaled but not matched.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { firstImageHdu, imageSize, parseFits, readImageInto } from '../engine/image/fits.ts';
import { maskBits } from '../engine/image/maskPlanes.ts';
import { allocateMaskedImage, type MaskedImage } from '../engine/image/maskedImage.ts';
import { median } from '../engine/image/median.ts';
import { PIXEL_NOISE_ALONE, fluxNoisePlanes } from '../engine/image/fluxNoise.ts';
import type { PsfModel } from '../engine/image/psf.ts';
import { measureDefaults } from '../engine/stages/measure/config.ts';
import { createFitWorkspace, fitPsfs } from '../engine/stages/measure/psfFit.ts';
import { reliabilityConfig } from '../engine/stages/reliability/config.ts';
import { RELIABILITY_MODEL, rateSources } from '../engine/stages/reliability/reliability.ts';
import { readContainer } from '../schemas/containerFile.ts';
import { benchResult, keepResult, reportResult, spreadOf } from './harness.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: {
  keep: { type: 'boolean', default: false }, json: { type: 'boolean', default: false },
} });
const DATA = join(import.meta.dirname, '..', '..', 'shared', 'data', 'ztf-packets');

/** The fields of a ZTF packet (schema 3.3) that are read here. */
type Packet = Readonly<{
  objectId: string;
  candidate: Readonly<{
    rb: number | null; drb: number | null; fwhm: number | null; isdiffpos: string; magpsf: number;
  }>;
  cutoutScience: Stamp; cutoutTemplate: Stamp; cutoutDifference: Stamp;
}>;
type Stamp = Readonly<{ stampData: Uint8Array }>;
type Rated = Readonly<{
  objectId: string; magpsf: number; snr: number; reliability: number; rb: number | null; drb: number | null;
  /** Of a single bright pixel of the same flux in the source's place. */
  sparkReliability: number;
}>;

/** Seeing where a packet does not tell it, ZTF pixels of 1 arcsec. */
const TYPICAL_FWHM_PX = 2.5;
/** Electrons a unit of ZTF's images (Bellm et al. 2019, PASP 131, 018002: 6.2). */
const GAIN = 6.2;

/** Half side of what a spark replaces, and from how far along both axes the other pixels come. */
const SPARK_HALF = 8, SPARK_OFFSET = 20;

const known = existsSync(DATA) ? readdirSync(DATA).filter((name) => name.endsWith('.avro')).sort() : [];
const paths = positionals.length > 0 ? positionals : known.map((name) => join(DATA, name));
if (paths.length === 0) process.stderr.write('skipped: there are no packets of ZTF\n');
else report(paths.flatMap(ratedPackets));

function ratedPackets(path: string): Rated[] {
  const { type, data } = readContainer(readFileSync(path));
  return data.map((datum) => rated(type.fromBuffer(datum) as Packet, basename(path))); // ZTF's schema has these fields.
}

/** @throws Error when no flux can be measured in the middle. */
function rated({ objectId, candidate, ...stamps }: Packet, file: string): Rated {
  const [science, template, difference] = [stamps.cutoutScience, stamps.cutoutTemplate, stamps.cutoutDifference]
    .map(({ stampData }) => planesOf(stampData, file));
  for (const planes of [science, template]) takeOffSky(planes.image);
  matchScale(template, science.image, difference.image);
  fillVariance(template, template.image);
  for (const planes of [science, difference]) fillVariance(planes, science.image);
  const psf = moffat(candidate.fwhm ?? TYPICAL_FWHM_PX, difference.width);
  const isNegative = candidate.isdiffpos === 'f' || candidate.isdiffpos === '0';
  const found = rate({ science, template, difference }, psf, isNegative);
  if (found === null) throw new Error(`${file}: no flux can be measured in the middle of the difference`);
  for (const { image } of [science, difference]) replaceBySpark(image, science.width, found.flux);
  const spark = rate({ science, template, difference }, psf, isNegative);
  return {
    objectId, magpsf: candidate.magpsf, snr: found.snr, reliability: found.reliability,
    sparkReliability: spark?.reliability ?? 0, rb: candidate.rb, drb: candidate.drb,
  };
}

/** The source in the middle of the stamps; null where no flux can be measured there. */
function rate(
  { science, template, difference }: Readonly<Record<'science' | 'template' | 'difference', MaskedImage>>,
  psf: PsfModel, isNegative: boolean,
): { flux: number; snr: number; reliability: number } | null {
  const middle = (difference.width - 1) / 2, [fit] = fitPsfs(
    difference, fluxNoisePlanes(science, template, PIXEL_NOISE_ALONE), [{ x: middle, y: middle }],
    createFitWorkspace(psf, measureDefaults), measureDefaults,
  );
  if (fit === null) return null;
  const { x, y, flux, fluxErr } = fit, snr = Math.abs(flux) / fluxErr, [{ reliability }] = rateSources({
    difference, differencePsf: psf, visitImage: science, visitPsf: psf, matchedTemplate: template, noiseScale: 1,
  }, [{ x, y, psfFlux: flux, psfFluxErr: fluxErr, snr, isNegative, centroid_flag: fit.isCentroidFailed }]);
  return reliability === null ? null : { flux, snr, reliability };
}

/** The counter-example: the middle gets other pixels of the stamp, and the source's flux in one pixel. */
function replaceBySpark(image: Float32Array, width: number, flux: number): void {
  const middle = (width - 1) / 2;
  for (let v = -SPARK_HALF; v <= SPARK_HALF; v++) {
    const row = (middle + v) * width + middle - SPARK_HALF, from = row - SPARK_OFFSET * (width + 1);
    image.copyWithin(row, from, from + 2 * SPARK_HALF + 1);
  }
  image[middle * width + middle] += flux;
}

/** Image and mask of a gzipped FITS stamp; pixels without a value are NO_DATA. */
function planesOf(stampData: Uint8Array, file: string): MaskedImage {
  const hdu = firstImageHdu(parseFits(gunzipSync(stampData), file)), { width, height } = imageSize(hdu);
  const planes = allocateMaskedImage(width, height);
  readImageInto(hdu, planes.image);
  planes.image.forEach((value, j) => { if (!Number.isFinite(value)) planes.mask[j] = maskBits('NO_DATA'); });
  return planes;
}

function finite(image: Float32Array): number[] {
  return Array.from(image).filter((value) => Number.isFinite(value));
}

function takeOffSky(image: Float32Array): void {
  const sky = median(finite(image));
  for (let j = 0; j < image.length; j++) image[j] -= sky;
}

/** Brings a template to the scale on which it was subtracted: science − difference is what was taken off. */
function matchScale({ image: template }: MaskedImage, science: Float32Array, difference: Float32Array): void {
  let products = 0, squares = 0;
  for (let j = 0; j < template.length; j++) {
    const taken = science[j] - difference[j];
    if (!Number.isFinite(taken) || !Number.isFinite(template[j])) continue;
    products += template[j] * taken;
    squares += template[j] * template[j];
  }
  const scale = squares > 0 && products > 0 ? products / squares : 1;
  for (let j = 0; j < template.length; j++) template[j] *= scale;
}

/** The noise of the sky as the stamp's own pixels scatter, and the photons' of `light`. */
function fillVariance({ image, variance }: MaskedImage, light: Float32Array): void {
  const values = finite(image), middle = median(values);
  const sky = (1.4826 * median(values.map((value) => Math.abs(value - middle)))) ** 2;
  for (let j = 0; j < variance.length; j++) variance[j] = sky + Math.max(0, light[j] || 0) / GAIN;
}

/** A Moffat profile of β = 3, the same everywhere; unit sum. */
function moffat(fwhmPx: number, side: number): PsfModel {
  const size = 25, half = (size - 1) / 2, a = fwhmPx / (2 * Math.sqrt(2 ** (1 / 3) - 1));
  const pixels = Float32Array.from({ length: size * size }, (_, j) => {
    const u = (j % size) - half, v = Math.floor(j / size) - half;
    return (1 + (u * u + v * v) / (a * a)) ** -3;
  });
  const sum = pixels.reduce((total, value) => total + value, 0);
  return { size, width: side, height: side, order: 0, coefficients: pixels.map((value) => value / sum) };
}

function report(rows: readonly Rated[]): void {
  const scored = (of: (row: Rated) => number | null) => rows.map(of).filter((value) => value !== null);
  const figures: Record<string, ReturnType<typeof spreadOf>> = {
    reliability: spreadOf(scored((row) => row.reliability)),
    'reliability of a spark': spreadOf(scored((row) => row.sparkReliability)),
  };
  for (const name of ['rb', 'drb'] as const) {
    const values = scored((row) => row[name]);
    if (values.length > 0) figures[name] = spreadOf(values);
  }
  figures['share above the threshold'] = spreadOf([
    rows.filter(({ reliability }) => reliability >= reliabilityConfig.reliableMin).length / rows.length]);
  const result = benchResult({
    bench: 'ztfStamps', question: 'How does the reliability model rate real changes of ZTF, beside ZTF\'s own scores?',
    size: { packets: rows.length, modelVersion: RELIABILITY_MODEL.version }, figures,
    checksum: digestOf(rows),
  });
  const withRows = { ...result, rows };
  if (values.keep) keepResult(withRows);
  if (values.json) { process.stdout.write(`${JSON.stringify(withRows)}\n`); return; }
  for (const { objectId, magpsf, snr, reliability, sparkReliability, rb, drb } of rows) {
    process.stdout.write(`${objectId}  ${magpsf.toFixed(2)} mag  SNR ${snr.toFixed(1)}`
      + `  reliability ${reliability.toFixed(3)}  as a spark ${sparkReliability.toFixed(3)}`
      + `  rb ${rb?.toFixed(3) ?? '-'}  drb ${drb?.toFixed(4) ?? '-'}\n`);
  }
  reportResult(result, { json: false, keep: false });
}

function digestOf(rows: readonly Rated[]): string {
  const scores = rows.map(({ reliability }) => reliability.toFixed(6)).join();
  return createHash('sha256').update(scores).digest('hex').slice(0, 16);
}
