import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFileChecker, type FileChecker } from '../../engine/workers/fileChecker.ts';
import { fileState, requireChecksum, requireChecksumOnce } from '../../engine/workers/inputFiles.ts';

let folder: string, checker: FileChecker;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'vesper-files-')); checker = createFileChecker(); });
afterAll(async () => { await checker.close(); rmSync(folder, { recursive: true }); });

/** Larger than a piece that is read at once, and no multiple of it. */
const BYTES = 9_000_001;

function fileOf(name: string, fill: number) {
  const bytes = Buffer.alloc(BYTES, fill), path = join(folder, name);
  writeFileSync(path, bytes);
  return { path, checksum: createHash('sha256').update(bytes).digest('hex') };
}

test('a file that was checked ahead is known by its state, and is not read again', async () => {
  const file = fileOf('template', 7);
  await checker.check([file]);
  const known = checker.known(file);
  expect(known.checkedState).toBe(fileState(file.path));
  // Whoever believes the state does not compare the digest: another one passes.
  expect(() => { requireChecksumOnce({ ...known, checksum: 'f'.repeat(64) }); }).not.toThrow();
});

test('a file that changed since is read again and refused', async () => {
  const file = fileOf('changed', 1);
  await checker.check([file]);
  const known = checker.known(file);
  writeFileSync(file.path, Buffer.alloc(BYTES + 1, 1));
  expect(() => { requireChecksumOnce(known); }).toThrow(/changed: has SHA-256 [0-9a-f]{12}…, announced was /);
});

test('a file that is missing, or not the one named, stays unknown and stops no other', async () => {
  const missing = { path: join(folder, 'nothing'), checksum: 'a'.repeat(64) };
  const other = { ...fileOf('other', 2), checksum: 'b'.repeat(64) }, sound = fileOf('sound', 3);
  await checker.check([missing, other, sound]);
  expect([missing, other, sound].map((file) => checker.known(file).checkedState))
    .toEqual([null, null, fileState(sound.path)]);
  expect(() => { requireChecksumOnce(checker.known(other)); }).toThrow(/other: has SHA-256/);
  expect(() => { requireChecksum(missing); }).toThrow(/nothing: cannot be read/);
});
