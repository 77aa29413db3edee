/** A reader of a command's output that leaves gets no stack trace. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, '..', '..', 'engine', 'main.ts');

function shell(command: string): string {
  return execFileSync('bash', ['-c', `set -o pipefail; ${command}`], { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
}

test('a reader that leaves early ends the command without a stack trace', () => {
  const stderr = shell(`{ "${process.execPath}" "${MAIN}" camera LSSTCam --json 2>&1 >&3 | cat; } 3>&1 | head -c 10 >/dev/null; true`);
  expect(stderr).toBe('');
}, 60_000);
