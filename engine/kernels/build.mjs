/**
 * Compiles the pixel kernels of `assembly/` to `kernels.wasm`: the same bytes on every machine, from the compiler that
 * the lockfile pins. Does nothing when the file is already that of the present sources.
 *
 *     node engine/kernels/build.mjs [--force]
 *
 * Runs on Node 20 and later.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = dirname(fileURLToPath(import.meta.url));
const SOURCES = join(FOLDER, 'assembly');
export const KERNELS_PATH = join(FOLDER, 'kernels.wasm');

/** Name of the custom section at the end of the file that holds the digest of what the file was made from. */
const SECTION = 'sources';

/**
 * Memory is imported and shared, so that all workers see one frame arena; 65536 pages are the 4 GB that the largest may
 * have. No runtime, no assertions and no static data: the kernels own not a byte of that memory. Relaxed SIMD stays
 * off, for its results depend on the CPU.
 */
const OPTIONS = [
  '--optimizeLevel', '3', '--shrinkLevel', '0', '--noAssert', '--runtime', 'stub', '--use', 'abort=',
  '--enable', 'simd', '--enable', 'threads', '--enable', 'bulk-memory',
  '--importMemory', '--noExportMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536',
];

/** Digest of sources, options and compiler: what decides the file's bytes. */
export function sourcesDigest() {
  const hash = createHash('sha256');
  const compiler = join(FOLDER, '..', '..', 'package.json');
  hash.update(`${JSON.parse(readFileSync(compiler, 'utf8')).devDependencies.assemblyscript}\n${OPTIONS.join(' ')}\n`);
  for (const name of sourceNames()) hash.update(`${name}\n${readFileSync(join(SOURCES, name), 'utf8')}\n`);
  return hash.digest();
}

/** Whether `bytes` end in the section that a build from the present sources would have written. */
export function isCurrent(bytes, digest = sourcesDigest()) {
  const tail = digestSection(digest);
  return bytes.length > tail.length && tail.equals(bytes.subarray(bytes.length - tail.length));
}

/**
 * @returns The module's bytes, and whether they had to be compiled.
 * @throws Error with the compiler's messages.
 */
export async function buildKernels({ force = false } = {}) {
  const digest = sourcesDigest();
  if (!force && existsSync(KERNELS_PATH)) {
    const bytes = readFileSync(KERNELS_PATH);
    if (isCurrent(bytes, digest)) {
      markChecked();
      return { bytes, isNew: false };
    }
  }
  const bytes = Buffer.concat([await compile(), digestSection(digest)]);
  // Replaced at once, since another process may be reading it.
  const temporary = `${KERNELS_PATH}.${process.pid}.part`;
  writeFileSync(temporary, bytes);
  renameSync(temporary, KERNELS_PATH);
  return { bytes, isNew: true };
}

/** Newer than its sources, so that the set-up sees without reading them that it is current. */
function markChecked() {
  const now = new Date();
  try {
    utimesSync(KERNELS_PATH, now, now);
  } catch (error) {
    // A checkout that we may only read is as good; it is compared again next time.
    if (error.code !== 'EACCES' && error.code !== 'EPERM' && error.code !== 'EROFS') throw error;
  }
}

async function compile() {
  const { default: asc } = await import('assemblyscript/asc');
  const written = new Map();
  const { error, stderr } = await asc.main(['index.ts', '--outFile', 'kernels.wasm', ...OPTIONS], {
    readFile: (name) => {
      const path = join(SOURCES, name);
      return path.startsWith(SOURCES) && existsSync(path) ? readFileSync(path, 'utf8') : null;
    },
    writeFile: (name, contents) => { written.set(name, contents); },
    listFiles: () => sourceNames(),
  });
  const bytes = written.get('kernels.wasm');
  // Warnings are of numbers that would be converted silently: what the types are there to find.
  const messages = stderr.toString();
  if (error || !bytes || messages !== '') throw new Error(
    `the pixel kernels do not compile\n${messages}`, { cause: error ?? undefined });
  return Buffer.from(bytes);
}

function sourceNames() {
  return readdirSync(SOURCES).filter((name) => name.endsWith('.ts')).sort();
}

/**
 * A WebAssembly custom section: id 0, size, then name with its length, then the content. All lengths fit one byte of
 * LEB128.
 */
function digestSection(digest) {
  return Buffer.concat([Buffer.from([0, 1 + SECTION.length + digest.length, SECTION.length]),
    Buffer.from(SECTION, 'latin1'), digest]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { bytes, isNew } = await buildKernels({ force: process.argv.includes('--force') });
  process.stdout.write(`${isNew ? 'compiled' : 'current'}: ${KERNELS_PATH}, ${bytes.length} bytes\n`);
}
