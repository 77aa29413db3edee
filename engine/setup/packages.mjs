// Whether node_modules holds exactly what package-lock.json asks for.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Ours, inside node_modules, so that whoever removes or replaces that removes it too. */
const STAMP = '.vesper-setup';

/** True when nothing has to be installed. Compares hashes when we have recorded them, else package by package. */
export function arePackagesCurrent(repository) {
  const modules = join(repository, 'node_modules');
  const installed = readOrNull(join(modules, '.package-lock.json'));
  if (installed === null) return false; // npm writes it last: without it an installation was interrupted.
  const locked = readFileSync(join(repository, 'package-lock.json'));
  const state = stateOf(locked, installed);
  if (readOrNull(join(modules, STAMP))?.toString('utf8') === state) return true;
  if (!areSame(JSON.parse(locked.toString('utf8')), JSON.parse(installed.toString('utf8')), repository)) return false;
  writeStamp(modules, state);
  return true;
}

/** Record that `npm ci` succeeded. */
export function recordPackages(repository) {
  const modules = join(repository, 'node_modules');
  const installed = readFileSync(join(modules, '.package-lock.json'));
  writeStamp(modules, stateOf(readFileSync(join(repository, 'package-lock.json')), installed));
}

/** Both files, because a later `npm install` of something else changes only what is installed. */
function stateOf(locked, installed) {
  return createHash('sha256').update(locked).update('\0').update(installed).digest('hex');
}

function writeStamp(modules, state) {
  try {
    writeFileSync(join(modules, STAMP), state);
  } catch (error) {
    // A checkout that we may only read is as good; it is compared again next time.
    if (error.code !== 'EACCES' && error.code !== 'EROFS') throw error;
  }
}

/** Every locked package is there in its version, or is optional and not for this machine; and nothing else is. */
function areSame(locked, installed, repository) {
  const wanted = Object.entries(locked.packages).filter(([path]) => path !== '');
  const isThere = ([path, entry]) => {
    const found = installed.packages[path];
    if (found === undefined) return entry.optional === true && !isMeantForThisMachine(entry);
    return found.version === entry.version && found.integrity === entry.integrity
      && existsSync(join(repository, path, 'package.json'));
  };
  return wanted.every(isThere) && Object.keys(installed.packages).every((path) => path in locked.packages);
}

/** An optional package that names no machine is only wanted by ones for other machines, else npm had installed it. */
function isMeantForThisMachine({ os, cpu, libc }) {
  if (os === undefined && cpu === undefined) return false;
  // glibc names its version in Node's report; musl has none.
  const ownLibc = process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
  const allows = (names, own) => names === undefined || [names].flat().includes(own);
  return allows(os, process.platform) && allows(cpu, process.arch) && allows(libc, ownLibc);
}

function readOrNull(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  }
}
