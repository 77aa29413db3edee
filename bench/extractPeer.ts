/**
 * Does `vesper detect` find what source-extractor finds on real frames? Number, places and fluxes at one threshold, image
 * by image, and the CPU time of both. Skips, with exit 0, without the program or the images.
 *
 *     node bench/extractPeer.ts [--threshold 5] [--only NAME] [--json] [IMAGE.fits[.gz] ...]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { readAnyImage } from '../engine/cli/detectImage.ts';
import { indexOf } from '../engine/image/starDetection.ts';
import { extractDefaults } from '../engine/stages/extract/config.ts';
import { extractSources } from '../engine/stages/extract/extract.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: {
  threshold: { type: 'string', default: '5' }, only: { type: 'string' }, json: { type: 'boolean', default: false },
} });
const DATA = join(import.meta.dirname, '..', '..', 'shared', 'data');
const threshold = Number(values.threshold);

type Row = Readonly<{ x: number; y: number; flux: number; fluxIso: number }>;
type Comparison = Readonly<{
  image: string; ours: number; theirs: number; paired: number; offsetPx: number; fluxRatio: number;
  isophotalRatio: number;  oursMs: number; theirsMs: number;
}>;

const chosen = positionals.length > 0 ? positionals : knownImages();
const images = chosen.filter((path) => path.includes(values.only ?? ''));
if (spawnSync('source-extractor', ['--version']).error !== undefined || images.length === 0) {
  process.stderr.write('skipped: source-extractor or images to compare are missing\n');
} else {
  const folder = mkdtempSync(join(tmpdir(), 'vesper-peer-'));
  try {
    report(images.map((path) => compare(path, folder)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function knownImages(): string[] {
  const sep = join(DATA, 'sep-image', 'image.fits'), saao = join(DATA, 'saao-mb13475');
  const frames = existsSync(saao) ? readdirSync(saao).filter((name) => name.endsWith('.fits.gz')).sort() : [];
  return [...(existsSync(sep) ? [sep] : []), ...frames.map((name) => join(saao, name))];
}

function compare(path: string, folder: string): Comparison {
  const image = join(folder, 'image.fits'), bytes = readFileSync(path);
  writeFileSync(image, path.endsWith('.gz') ? gunzipSync(bytes) : bytes);
  const { rows: theirs, ms: theirsMs } = extracted(image, folder);
  const read = readAnyImage(image), begun = process.cpuUsage();
  const { sources } = extractSources(read, read, { ...extractDefaults, thresholdSigma: threshold }, {
    light: read.work.scratch[0], labels: read.work.labels,
  });
  const { user, system } = process.cpuUsage(begun), index = indexOf(theirs);
  const pairs = sources.flatMap((source) => {
    const near = index.within(source.x, source.y, 1.5).map((j) => ({
      source, other: theirs[j], distance: Math.hypot(theirs[j].x - source.x, theirs[j].y - source.y),
    })).sort((a, b) => a.distance - b.distance);
    return near.slice(0, 1);
  });
  return {
    image: basename(path), ours: sources.length, theirs: theirs.length, paired: pairs.length,
    offsetPx: median(pairs.map(({ distance }) => distance)),
    fluxRatio: median(pairs.map(({ source, other }) => source.flux / other.flux)),
    isophotalRatio: median(pairs.map(({ source, other }) => source.isophotalFlux / other.fluxIso)),
    oursMs: (user + system) / 1000, theirsMs,
  };
}

/** source-extractor's catalogue with its own defaults and the threshold, pixels made 0-based. */
function extracted(image: string, folder: string): { rows: Row[]; ms: number } {
  writeFileSync(join(folder, 'p'), ['X_IMAGE', 'Y_IMAGE', 'FLUX_AUTO', 'FLUX_ISO'].join('\n'));
  writeFileSync(join(folder, 'c'), 'CONV NORM\n1 2 1\n2 4 2\n1 2 1\n');
  const options: Readonly<Record<string, string>> = {
    PARAMETERS_NAME: 'p', FILTER_NAME: 'c', FILTER: 'Y', DETECT_THRESH: String(threshold),
    ANALYSIS_THRESH: String(threshold), DETECT_MINAREA: '5', CATALOG_NAME: 'cat', CATALOG_TYPE: 'ASCII',
    VERBOSE_TYPE: 'QUIET',
  };
  const words = Object.entries(options).flatMap(([name, value]) => [`-${name}`, value]);
  const begun = process.resourceUsage(), wall = performance.now();
  execFileSync('source-extractor', [image, '-c', '/dev/null', ...words], { cwd: folder, stdio: 'ignore' });
  // The times of children are not told by Node; a single-threaded program's wall clock is its upper limit.
  const ms = performance.now() - wall - (process.resourceUsage().userCPUTime - begun.userCPUTime) / 1000;
  const lines = readFileSync(join(folder, 'cat'), 'utf8').trimEnd().split('\n').filter((line) => line !== '');
  return { ms, rows: lines.map((line) => {
    const [x, y, flux, fluxIso] = line.trim().split(/\s+/).map(Number);
    return { x: x - 1, y: y - 1, flux, fluxIso };
  }) };
}

function report(rows: readonly Comparison[]): void {
  if (values.json) { process.stdout.write(`${JSON.stringify({ threshold, rows })}\n`); return; }
  for (const row of rows) {
    process.stdout.write(`${row.image.padEnd(24)} ours ${row.ours}  theirs ${row.theirs}`
      + ` (${((row.ours / row.theirs - 1) * 100).toFixed(1)} %)  paired ${row.paired}  offset ${row.offsetPx.toFixed(3)} px`
      + `  flux ${row.fluxRatio.toFixed(4)}  isophotal ${row.isophotalRatio.toFixed(4)}`
      + `  ${row.oursMs.toFixed(0)} ms CPU against ${row.theirsMs.toFixed(0)} ms\n`);
  }
  const off = rows.map((row) => Math.abs(row.ours / row.theirs - 1));
  process.stdout.write(`${rows.length} images; number: median ${(100 * median(off)).toFixed(1)} %, worst `
    + `${(100 * Math.max(...off)).toFixed(1)} %, beyond 5 %: ${off.filter((value) => value > 0.05).length}; flux beyond 2 %: `
    + `${rows.filter((row) => Math.abs(row.fluxRatio - 1) > 0.02).length}; offset beyond 0.1 px: `
    + `${rows.filter((row) => row.offsetPx > 0.1).length}\n`);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}
