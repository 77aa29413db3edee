/**
 * What do filters cost? 100 filters (those that ship, and others with other limits) over alerts with a year's history,
 * decoded once for all of them; and decoding alone. CPU time of one thread.
 *
 *     node bench/filters.ts [--alerts N] [--filters N] [--runs N] [--json] [--keep]
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { compileFilter, type CompiledFilter } from '../brokers/filters/expression.ts';
import { predefinedFilters } from '../brokers/filters/predefined.ts';
import { alertProjection } from '../brokers/filters/projectedAlert.ts';
import { assemblePacket } from '../schemas/packet.ts';
import { benchResult, measureCpuMs, reportResult, spreadOf } from './harness.ts';
import { HISTORY, partsMaker } from './sampleAlerts.ts';

const { values } = parseArgs({ options: {
  alerts: { type: 'string', default: '10000' }, filters: { type: 'string', default: '100' },
  runs: { type: 'string', default: '5' },
  json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
} });
const alerts = Number(values.alerts), count = Number(values.filters), runs = Number(values.runs);

/** The filters that ship in turn, each round with a limit of its own before it, so that no two are the same. */
function manyFilters(): readonly CompiledFilter[] {
  const shipped = Object.values(predefinedFilters);
  return Array.from({ length: count }, (_, i) => {
    const { expression, name } = shipped[i % shipped.length];
    return compileFilter({
      user: `user${i}`, name, version: 1, expression: `diaSource.snr > ${(i % 17).toFixed(1)} && ${expression}`,
    });
  });
}

// Filters read neither cutouts nor what stands behind them: small ones leave the memory to the test.
const parts = partsMaker(20261120);
const small = Buffer.alloc(64);
const packets = Array.from({ length: alerts }, (_, n) => assemblePacket({
  ...parts(n), cutoutDifference: small, cutoutScience: small, cutoutTemplate: small,
}));
const filters = manyFilters();
const project = alertProjection(filters.flatMap(({ reads }) => [...reads]));
const decoding = measureCpuMs(runs, 2, () => {
  let sum = 0;
  for (const packet of packets) sum += project(packet).diaSource.snr ?? 0;
  return sum;
});
const whole = measureCpuMs(runs, 2, () => {
  const matched = new Array<number>(filters.length).fill(0);
  for (const packet of packets) {
    const alert = project(packet);
    for (let i = 0; i < filters.length; i++) if (filters[i].evaluate(alert).outcome === 'matched') matched[i]++;
  }
  return matched;
});
const perSecond = (cpuMs: readonly number[], amount: number): number[] => cpuMs.map((ms) => amount / (ms / 1000));
reportResult(benchResult({
  bench: 'filters', question: 'CPU seconds to decode alerts and evaluate all filters on each; rates of one core',
  size: { alerts, filters: filters.length, ...HISTORY, cutoutBytes: small.length },
  figures: {
    allCpuSeconds: spreadOf(whole.cpuMs.map((ms) => ms / 1000)),
    evaluationsPerSecond: spreadOf(perSecond(whole.cpuMs, alerts * filters.length)),
    projectedDecodesPerSecond: spreadOf(perSecond(decoding.cpuMs, alerts)),
  },
  checksum: createHash('sha256').update(JSON.stringify([whole.answer, decoding.answer])).digest('hex').slice(0, 16),
}), { json: values.json, keep: values.keep });
