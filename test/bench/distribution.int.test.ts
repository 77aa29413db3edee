/** The benches of packets and consumers run at a small size, so that they do not rot. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchResult } from '../../bench/harness.ts';

const run = (name: string, ...words: readonly string[]): BenchResult => JSON.parse(execFileSync(
  process.execPath, [join(import.meta.dirname, '..', '..', 'bench', `${name}.ts`), ...words, '--json'], { encoding: 'utf8' },
)) as BenchResult; // The bench's own document.

test('bench/packets assembles alerts of 90 kB, and all of them are acknowledged', () => {
  const { size, figures } = run('packets', '--packets', '450', '--assembled', '400', '--runs', '1');
  expect(size['packets']).toBe(450);
  expect(size['bytes']).toBeGreaterThan(80_000);
  expect(figures['assembledPerSecond'].min).toBeGreaterThan(0);
  expect(figures['memoryMegabytesMax'].min).toBeGreaterThan(0);
}, 60_000);

test('bench/consumers has every consumer take every alert, beside slow ones too', () => {
  const { figures } = run('consumers', '--alerts', '40', '--consumers', '2', '--slow', '2', '--turns', '1', '--pace', '20');
  expect(figures['latencyAloneMs'].samples).toBe(120);
  expect(figures['latencyBesideSlowMs'].samples).toBe(120);
}, 60_000);
