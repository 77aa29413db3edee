/** Digests of what decides a result beside the pixels: code, configuration, runtime. They go into every commit. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHash } from 'node:crypto';

const REPOSITORY = join(import.meta.dirname, '..', '..');
/** What can change a row or a packet: pixels to packets, the contract, and the libraries. */
const DECIDING = [
  'schemas', 'engine/image', 'engine/kernels', 'engine/stages', 'engine/ephemerides', 'engine/workers',
  'engine/batch/series', 'engine/stream/associateDetector.ts', 'engine/stream/associator.ts',
  'engine/stream/packCommit.ts', 'engine/stream/heldObject.ts', 'engine/stream/knownBodies.ts',
  'engine/stream/skyGrid.ts', 'engine/stream/skyState.ts',
  'engine/pipeline.ts', 'engine/config.ts', 'engine/preload.ts', 'package-lock.json',
];

/** Also named by itself, as it changes more often than the rest and for other reasons. */
const RELIABILITY_MODEL = 'engine/stages/reliability/model.json';

export type RunDigests = Readonly<{ code: string; node: string; model: string }>;

/** SHA-256 over names and contents of the deciding files (configuration is code here), and the runtime's version. */
export function runDigests(): RunDigests {
  const hash = createHash('sha256');
  for (const start of DECIDING) {
    for (const path of filesBelow(start)) {
      hash.update(`${path}\n`).update(createHash('sha256').update(readFileSync(join(REPOSITORY, path))).digest());
    }
  }
  const model = createHash('sha256').update(readFileSync(join(REPOSITORY, RELIABILITY_MODEL))).digest('hex');
  return { code: hash.digest('hex'), node: process.versions.node, model };
}

function filesBelow(path: string): string[] {
  let entries;
  try {
    entries = readdirSync(join(REPOSITORY, path), { withFileTypes: true, recursive: true });
  } catch { return [path]; } // A file.
  return entries.filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(REPOSITORY.length + 1)).sort();
}
