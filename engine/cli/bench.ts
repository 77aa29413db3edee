/** `vesper bench NAME`: runs one of the benches, which are programs of their own that nothing here may import. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { BenchName, BenchOptions } from '../setup/arguments.mjs';

export async function runBench(
  name: BenchName, options: BenchOptions, signal: AbortSignal,
): Promise<number> {
  const script = join(import.meta.dirname, '..', '..', 'bench', `${name}.ts`);
  const own = {
    night: [], simulator: [], packets: [], filters: [], consumers: [], archive: [],
    ephemerides: ['--orbits', String(options.orbits)],
    apdb: ['--objects', String(options.objects), '--sources-per-object', String(options.sourcesPerObject)],
  }[name];
  const words = [script, ...own, ...(options.json ? ['--json'] : [])];
  const child = spawn(process.execPath, words, { stdio: 'inherit' });
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
