import { cpSync, existsSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../../engine/setup/arguments.mjs';
import { bootstrap } from '../../engine/setup/bootstrap.mjs';
import { areKernelsCurrent } from '../../engine/setup/kernels.mjs';
import { installedCheckout, SERVERS_BY_URL } from './checkout.ts';

/** A checkout with the real kernels' sources and the real compiler. */
function checkoutWithKernels(): string {
  const directory = installedCheckout('');
  cpSync(join(REPOSITORY, 'engine', 'kernels'), join(directory, 'engine', 'kernels'), { recursive: true });
  rmSync(join(directory, 'engine', 'kernels', 'kernels.wasm'), { force: true });
  for (const name of ['assemblyscript', 'binaryen', 'long']) {
    symlinkSync(join(REPOSITORY, 'node_modules', name), join(directory, 'node_modules', name));
  }
  return directory;
}

async function saidBy(repository: string): Promise<string[]> {
  const lines: string[] = [];
  await bootstrap({ repository, what: 'packages', env: { ...process.env, ...SERVERS_BY_URL },
    log: (line: string) => lines.push(line) });
  return lines;
}

test('the set-up compiles the kernels, once, and again only when their sources have changed', async () => {
  const directory = checkoutWithKernels(), compiled = join(directory, 'engine', 'kernels', 'kernels.wasm');
  expect(await saidBy(directory)).toEqual(['compiled the pixel kernels']);
  expect(existsSync(compiled)).toBe(true);
  expect(await saidBy(directory)).toEqual([]);
  // Looked at by contents when times do not tell; then by times again.
  utimesSync(compiled, 1, 1);
  expect(areKernelsCurrent(directory)).toBe(false);
  expect(await saidBy(directory)).toEqual([]);
  expect(areKernelsCurrent(directory)).toBe(true);
  writeFileSync(join(directory, 'engine', 'kernels', 'assembly', 'more.ts'), 'export const more: i32 = 1;\n');
  utimesSync(compiled, 1, 1);
  expect(await saidBy(directory)).toEqual(['compiled the pixel kernels']);
}, 60_000);

test('sources that do not compile are one line that says why', async () => {
  const directory = checkoutWithKernels();
  writeFileSync(join(directory, 'engine', 'kernels', 'assembly', 'index.ts'), 'export function f(): i32 { return }\n');
  await expect(saidBy(directory)).rejects.toThrow(/^the pixel kernels are not compiled: .+$/);
}, 60_000);

test('a checkout of the set-up alone has no kernels to compile', () => {
  const directory = installedCheckout('');
  expect(areKernelsCurrent(directory)).toBe(true);
});
