/** Output of commands: for people on stderr and stdout; with `--json` stdout is exactly one JSON document. */

/** 64-bit ids are decimal strings in all JSON. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? item.toString() : item));
}

export function printJson(value: unknown): void {
  process.stdout.write(`${toJson(value)}\n`);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Progress and remarks: never part of a command's result. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A table with right-aligned cells, the first column left-aligned. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i].length)));
  const line = (row: readonly string[]) => row
    .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
    .join('  ').trimEnd();
  return [line(header), ...rows.map(line)].join('\n');
}
