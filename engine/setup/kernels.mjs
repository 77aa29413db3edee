// Whether the compiled pixel kernels are there and newer than what they are made from.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The script that compiles them. A checkout may lack it: one that holds nothing but the set-up. */
export function kernelScript(repository) {
  return join(repository, 'engine', 'kernels', 'build.mjs');
}

/**
 * By time alone, which takes a millisecond: a checkout of other sources is always newer than what was compiled. The
 * script itself compares contents, and marks a file that is current as new.
 */
export function areKernelsCurrent(repository) {
  const folder = join(repository, 'engine', 'kernels'), script = kernelScript(repository);
  if (!existsSync(script)) return true;
  const compiled = statSync(join(folder, 'kernels.wasm'), { throwIfNoEntry: false });
  if (compiled === undefined) return false;
  const sources = readdirSync(join(folder, 'assembly')).map((name) => join(folder, 'assembly', name));
  // The folder itself too: its time tells of a source that was removed.
  return [script, join(repository, 'package.json'), join(folder, 'assembly'), ...sources]
    .every((path) => statSync(path).mtimeMs <= compiled.mtimeMs);
}
