/**
 * How many visit images a second do two workers make, against one? Raw files in the page cache to calibrated images, in
 * threads of a pool as a night has them, each with its own arena. Wall time says it on free cores alone; the CPU time of
 * a detector, which two workers lengthen only through what they share (caches, memory), says it on any machine.
 *
 *     vesper simulate exposure --camera LSSTCam --detectors 94 --references --out night/
 *     node bench/visitImages.ts --raw FILE [--raw FILE …] --calibrations DIR --references CSV [--tasks 8] [--json] [--keep]
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Piscina } from 'piscina';
import { benchResult, reportResult, spreadOf, type Spread } from './harness.ts';
import type { VisitImageTask, VisitImageTime } from './visitImageWorker.ts';

const { values } = parseArgs({ options: {
  raw: { type: 'string', multiple: true }, calibrations: { type: 'string' }, references: { type: 'string' },
  tasks: { type: 'string', default: '8' }, json: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
} });
const { raw: raws = [], calibrations, references } = values;
if (raws.length === 0 || calibrations === undefined || references === undefined) {
  throw new Error('--raw FILE, --calibrations DIR and --references CSV are required');
}
/** Runs of each worker until its compilers have nothing left to improve. */
const WARM_UPS = 3;
const zeroPoints = new Set<number>(), figures: Record<string, Spread> = {};

/** Images a second, and CPU milliseconds of each. */
async function measure(threads: number): Promise<{ rate: number; cpuMs: number[] }> {
  const pool = new Piscina<VisitImageTask, VisitImageTime>({
    filename: new URL('./visitImageWorker.ts', import.meta.url).href, minThreads: threads, maxThreads: threads,
    concurrentTasksPerWorker: 1,
  });
  const runAll = (count: number): Promise<VisitImageTime[]> => Promise.all(Array.from({ length: count }, (_, k) =>
    pool.run({
      raw: resolve(raws[k % raws.length]), calibrations: resolve(calibrations ?? ''), references: resolve(references ?? ''),
    })));
  try {
    await runAll(WARM_UPS * threads);
    const count = Number(values.tasks) * threads, begunMs = performance.now(), times = await runAll(count);
    const seconds = (performance.now() - begunMs) / 1000;
    for (const { zeroPoint } of times) zeroPoints.add(zeroPoint);
    return { rate: count / seconds, cpuMs: times.map(({ cpuMs }) => cpuMs) };
  } finally {
    await pool.close({ force: true });
  }
}

const one = await measure(1), two = await measure(2);
figures['1 worker: CPU of an image, ms'] = spreadOf(one.cpuMs);
figures['2 workers: CPU of an image, ms'] = spreadOf(two.cpuMs);
figures['1 worker: images a second'] = spreadOf([one.rate]);
figures['2 workers: images a second'] = spreadOf([two.rate]);
figures['throughput of two over one, wall'] = spreadOf([two.rate / one.rate]);
figures['the same by CPU time'] = spreadOf([2 * spreadOf(one.cpuMs).median / spreadOf(two.cpuMs).median]);
reportResult(benchResult({
  bench: 'visitImages', question: 'raw files to visit images, two workers against one',
  size: { files: raws.length, tasks: Number(values.tasks) }, figures,
  checksum: [...zeroPoints].sort((a, b) => a - b).map((value) => value.toPrecision(12)).join(' '),
}), { json: values.json, keep: values.keep });
