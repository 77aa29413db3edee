/**
 * What does `vesper difference` cost, step by step, and how clean is it? Each field is a folder with sci.fits and
 * tmpl.fits, and where they exist their _mask and _var files. The command runs as a user runs it, its start included.
 *
 * Beside it, in the same run: one convolution of the science image with a kernel of 31 px, the largest single loop of
 * the command. A machine that is slow or shared slows both, so the ratio is what can be compared.
 *
 * With a scorer, each difference is judged against the field's truth, and the figures that miss their target are named.
 *
 *     node bench/difference.ts FIELD… [--runs 3] [--scorer score.py] [--python python3] [--json] [--keep]
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstImageHdu, imageSize, readFits, readImageInto } from '../engine/image/fits.ts';
import { createPlaneMemory } from '../engine/image/planeMemory.ts';
import { convolveConstant } from '../engine/kernels/convolve.ts';
import { benchResult, measureCpuMs, reportResult, spreadOf } from './harness.ts';

const { values, positionals: fields } = parseArgs({ allowPositionals: true, options: {
  runs: { type: 'string', default: '3' }, scorer: { type: 'string' }, python: { type: 'string', default: 'python3' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
if (fields.length === 0) throw new Error('a FIELD is required: see the head of this file');
const KERNEL_SIZE = 31, main = join(import.meta.dirname, '..', 'engine', 'main.ts');
// As the launcher has it.
const moduleCache = join(import.meta.dirname, '..', 'node_modules', '.cache', 'vesper');
const out = mkdtempSync(join(tmpdir(), 'vesper-bench-')), digest = createHash('sha256');
const samples: Record<string, number[]> = {};
const add = (name: string, value: number): void => { (samples[name] ??= []).push(value); };
try {
  for (const field of fields) benchField(field);
} finally {
  rmSync(out, { recursive: true });
}
reportResult(benchResult({
  bench: 'difference', question: 'CPU of `vesper difference` by step beside one convolution, and its quality',
  size: { fields: fields.length },
  figures: Object.fromEntries(Object.entries(samples).map(([name, all]) => [name, spreadOf(all)])),
  checksum: digest.digest('hex').slice(0, 16),
}), { json: values.json, keep: values.keep });

function benchField(field: string): void {
  const file = (name: string): string => join(field, name), convolutionMs = convolutionCost(file('sci.fits'));
  add('one convolution, ms', convolutionMs);
  const beside = ([['science', 'sci'], ['template', 'tmpl']] as const).flatMap(([side, stem]) => (
    [['mask', 'mask'], ['variance', 'var']] as const).flatMap(([plane, suffix]) => {
    const path = file(`${stem}_${suffix}.fits`);
    return existsSync(path) ? [`--${side}-${plane}`, path] : [];
  }));
  let lowest = Infinity;
  for (let run = 0; run < Number(values.runs); run++) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [
      main, 'difference', file('sci.fits'), file('tmpl.fits'), ...beside, '--out-dir', out, '--json',
    ], { encoding: 'utf8', env: { NODE_COMPILE_CACHE: moduleCache, ...process.env } });
    if (status !== 0) throw new Error(`${field}: ${stderr.trim()}`);
    const { cpuMs } = JSON.parse(stdout) as { cpuMs: Record<string, number> }; // As the command prints it.
    for (const [step, ms] of Object.entries(cpuMs)) add(`${step}, ms`, ms);
    lowest = Math.min(lowest, cpuMs['total']);
  }
  add('command over convolution', lowest / convolutionMs);
  for (const name of ['difference.fits', 'diaSources.csv']) digest.update(readFileSync(join(out, name)));
  if (values.scorer !== undefined) judge(field, values.scorer);
}

/** Lowest CPU time of a convolution of the image, ms. */
function convolutionCost(path: string): number {
  const hdu = firstImageHdu(readFits(path)), { width, height } = imageSize(hdu);
  const memory = createPlaneMemory(8 * width * height);
  const plane = memory.float32(width * height), convolved = memory.float32(width * height);
  readImageInto(hdu, plane);
  const kernel = new Float32Array(KERNEL_SIZE ** 2).fill(1 / KERNEL_SIZE ** 2);
  const { cpuMs } = measureCpuMs(3, 1, () => convolveConstant(plane, width, height, KERNEL_SIZE, kernel, convolved));
  return Math.min(...cpuMs);
}

type Judged = Readonly<{ found: number; oracle: number; false: number }>;
type Score = Readonly<{
  judge: Judged; own: Judged; masked_fraction: number; noise_inflated_fraction: number;
  background: Readonly<{ chi2: number; level_e: number; box256_rms_e: number; neighbour_correlation: number }>;
}>;

/** Figures of the scorer, and those of a sky without astrometric errors that miss the target, on stderr. */
function judge(field: string, scorer: string): void {
  const { status, stdout, stderr } = spawnSync(values.python, [
    scorer, field, join(out, 'difference.fits'), '--catalog', join(out, 'diaSources.csv'),
  ], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${field}: ${stderr.trim().split('\n').at(-1)}`);
  const { judge: judged, own, background, ...rest } = JSON.parse(stdout) as Score; // As the scorer prints it.
  const checks: readonly (readonly [name: string, value: number, isMet: (value: number) => boolean])[] = [
    ['found over oracle', judged.found - judged.oracle, (v) => v >= -4], ['false', judged.false, (v) => v <= 15],
    ['own found over oracle', own.found - own.oracle, (v) => v >= -8], ['own false', own.false, (v) => v <= 15],
    ['background chi2', background.chi2, (v) => Math.abs(v - 1) <= 0.004],
    ['level, e-', background.level_e, (v) => Math.abs(v) < 0.1],
    ['boxes of 256 px, e-', background.box256_rms_e, (v) => v <= 0.2],
    ['neighbour correlation', background.neighbour_correlation, (v) => Math.abs(v) <= 0.01],
    ['masked fraction', rest.masked_fraction, (v) => v <= 0.005],
    ['inflated fraction', rest.noise_inflated_fraction, (v) => v <= 0.002],
  ];
  for (const [name, value, isMet] of checks) {
    add(name, value);
    if (!isMet(value)) process.stderr.write(`${field}: ${name} is ${value}\n`);
  }
}
