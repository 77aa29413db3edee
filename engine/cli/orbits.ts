/** `vesper orbits import`: a file of orbits into the products of an instrument, checked line by line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { sha256 } from '../../schemas/commit.ts';
import { asDayObs } from '../../schemas/ids.ts';
import { productPaths, type Product } from '../../schemas/products.ts';
import { writeWhole } from '../../simulator/files.ts';
import { mergeIndex, readIndex } from '../../simulator/productStore.ts';
import { encodeOrbits, parseOrbits, type OrbitFile } from '../ephemerides/orbitFile.ts';
import type { OrbitsImportOptions } from '../setup/arguments.mjs';
import { note, print, printJson } from './output.ts';

/** Bad lines that are told one by one. */
const TOLD_MAX = 10;

/**
 * Puts the orbits of a file into force from a night on. With a bad line nothing is written, unless `skipBad` leaves
 * such lines out.
 */
export async function runOrbitsImport(file: string, options: OrbitsImportOptions): Promise<number> {
  const { format, orbits, bad } = readOrbits(file);
  for (const { line, reason } of bad.slice(0, TOLD_MAX)) note(`${file} line ${line}: ${reason}`);
  if (bad.length > TOLD_MAX) note(`and ${bad.length - TOLD_MAX} more`);
  if (bad.length > 0 && !options.skipBad) {
    throw new Error(`${file}: ${bad.length} of ${bad.length + orbits.length} lines are no orbits, the first is line `
      + `${bad[0].line}; nothing was imported (--skip-bad leaves them out)`);
  }
  if (orbits.length === 0) throw new Error(`${file} holds no orbit that can be followed`);
  const text = encodeOrbits(orbits), checksum = sha256(Buffer.from(text));
  const uri = `products/${options.instrument}/orbits/${checksum.slice(0, 16)}.csv`;
  writeWhole(join(options.dataDir, uri), text);
  const product: Product = {
    kind: 'orbits', band: null, detector: null, uri, checksum, sky: null, fromDayObs: asDayObs(options.from),
  };
  const index = readIndex(options.dataDir, options.instrument), next = mergeIndex(index, [product]);
  if (next !== index) {
    writeWhole(join(options.dataDir, productPaths.index(options.instrument)), `${JSON.stringify(next, null, 1)}\n`);
  }
  const summary = {
    file, format, orbits: orbits.length, skipped: bad.length, instrument: options.instrument,
    fromDayObs: options.from, path: join(options.dataDir, uri), digest: checksum,
  };
  if (options.json) printJson({ ...summary, badLines: bad });
  else print(`${orbits.length} orbits (${format}) in force for ${options.instrument} from night ${options.from}`);
  return 0;
}

/** @throws Error of one line that names the file when it cannot be read or is none of the formats. */
export function readOrbits(file: string): OrbitFile {
  let bytes: Buffer;
  try { bytes = readFileSync(file); } catch (error) {
    const { code } = error as NodeJS.ErrnoException; // fs throws nothing else.
    throw new Error(`cannot read ${file}: ${code === 'ENOENT' ? 'there is no such file' : code}`, { cause: error });
  }
  try {
    return parseOrbits((bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString('utf8'));
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error }); // Parser and zlib throw Errors.
  }
}
