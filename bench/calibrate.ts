/**
 * What does a detector's calibration cost, step by step, and the extraction of its sources, beside sep on the same
 * pixels? One 4k detector of LSSTCam, rendered by the simulator, from raw counts in memory; CPU milliseconds of one core.
 *
 *     node bench/calibrate.ts [--camera LSSTCam] [--detector 94] [--runs 5] [--pointing 9.45,-44.02] [--json] [--keep]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadCamera } from '../schemas/camera.ts';
import { measureBackground, subtractBackground } from '../engine/image/background.ts';
import { nominalWcs } from '../engine/image/wcs.ts';
import { calibrate } from '../engine/stages/calibrate/calibrate.ts';
import { calibrateConfig } from '../engine/stages/calibrate/config.ts';
import { extractDefaults } from '../engine/stages/extract/config.ts';
import { extractSources } from '../engine/stages/extract/extract.ts';
import { isrConfig } from '../engine/stages/isr/config.ts';
import { removeInstrumentSignature } from '../engine/stages/isr/isr.ts';
import { parseDetectorList } from '../simulator/detectorList.ts';
import { arenaOf, renderScene } from './detectorScene.ts';
import { benchResult, reportResult, spreadOf, type Spread } from './harness.ts';

const { values } = parseArgs({ options: {
  camera: { type: 'string', default: 'LSSTCam' }, detector: { type: 'string', default: '94' },
  runs: { type: 'string', default: '5' }, pointing: { type: 'string', default: '9.45,-44.02' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const camera = loadCamera(values.camera), [detector] = parseDetectorList(camera, values.detector);
const [raDeg, decDeg] = values.pointing.split(',').map(Number), runs = Number(values.runs);
const scene = renderScene({
  camera, detector, seed: 1, band: 'r', raDeg, decDeg, cameraAngleDeg: 0, exposureSeconds: 30, effects: 'realistic',
});
const { views, rawAmps } = arenaOf(scene), { bias, flat } = views;
const { width, height } = detector, { commanded } = scene.plan;
const nominal = nominalWcs(camera, detector, commanded.raDeg, commanded.decDeg, commanded.cameraAngleDeg);
const samples = new Map<string, number[]>(), digest = createHash('sha256');

function timed<T>(name: string, work: () => T): T {
  const begun = process.cpuUsage(), result = work(), { user, system } = process.cpuUsage(begun);
  samples.set(name, [...(samples.get(name) ?? []), (user + system) / 1000]);
  return result;
}

let postIsr = new Float32Array(0), stars = 0, sources = 0;
for (let run = 0; run <= runs; run++) {
  if (run === 1) samples.clear(); // The first warms up.
  const image = timed('isr', () => removeInstrumentSignature(
    rawAmps, detector, { bias, flat }, isrConfig, views.visit, { indices: views.labels },
  )).image;
  if (run === 0) postIsr = image.image.slice();
  const calibrated = timed('calibrate, whole', () => calibrate(
    image, nominal, scene.references, scene.question.exposureSeconds, calibrateConfig,
    { smooth: views.scratch[0], work: views.scratch[1] }, (step, work) => timed(`calibrate: ${step}`, work),
  ));
  stars = calibrated.figures['starCount'];
  if (run === 0) digest.update(calibrated.visitImage.image).update(JSON.stringify(calibrated.wcs));
  image.image.set(postIsr);
  const sky = timed('background of the extraction, measured', () => (
    measureBackground(image.image, image.mask, width, height, 0, {
      ...extractDefaults.background, rowStep: extractDefaults.rowStep,
    })
  ));
  if (sky !== null) timed('background, subtracted', () => subtractBackground(image.image, sky));
  image.image.set(postIsr);
  const found = timed('extract, whole', () => extractSources(
    { ...image, variance: null }, { gain: 1, saturation: null }, extractDefaults,
    { light: views.scratch[0], labels: views.labels },
  ));
  sources = found.sources.length;
}
const figures: Record<string, Spread> = Object.fromEntries(
  [...samples].map(([name, times]) => [`${name}, ms`, spreadOf(times)]),
);
Object.assign(figures, sepFigures());
reportResult(benchResult({
  bench: 'calibrate', question: 'CPU milliseconds of a detector\'s calibration by steps, beside sep on the same pixels',
  size: { width, height, stars, sources, references: scene.references.length }, figures,
  checksum: digest.digest('hex').slice(0, 16),
}), { json: values.json, keep: values.keep });

/** sep's background and extraction at the same threshold; nothing when it is not installed. */
function sepFigures(): Record<string, Spread> {
  const python = '/usr/bin/python3';
  if (spawnSync(python, ['-c', 'import sep']).status !== 0) {
    process.stderr.write('sep is not installed: no peer\n');
    return {};
  }
  const folder = mkdtempSync(join(tmpdir(), 'vesper-sep-')), path = join(folder, 'image');
  try {
    writeFileSync(path, postIsr);
    const script = `
import sys, json, time, numpy as np, sep
sep.set_extract_pixstack(3000000)
image = np.nan_to_num(np.fromfile(sys.argv[1], 'f4').reshape(${height}, ${width}))
runs = []
for _ in range(${runs + 1}):
    a = time.process_time(); sky = sep.Background(image); b = time.process_time(); clean = image - sky
    c = time.process_time(); found = sep.extract(clean, 5, err=sky.globalrms); d = time.process_time()
    runs.append([1000 * (b - a), 1000 * (c - b), 1000 * (d - c), len(found)])
print(json.dumps(runs[1:]))`;
    const rows = JSON.parse(execFileSync(python, ['-c', script, path], { encoding: 'utf8' })) as number[][]; // As printed.
    const column = (k: number): Spread => spreadOf(rows.map((row) => row[k]));
    return {
      'sep: background, ms': column(0), 'sep: subtraction, ms': column(1), 'sep: extract, ms': column(2),
      'sep: sources': column(3),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
