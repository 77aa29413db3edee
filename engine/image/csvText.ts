/** Cells of a large CSV text, found where they are asked for: a million lines need no million objects. */

/** A table whose first line, of those that are no comment and not empty, names the columns; rows are counted from 0. */
export type CsvTable = Readonly<{
  rowCount: number;
  /** Reads a column's cells, undefined where a line has fewer; null when there is no such column. */
  column(name: string): ((row: number) => string | undefined) | null;
}>;

/** A CSV without quotes. */
export function csvTable(text: string): CsvTable {
  const places = linesOf(text), names = text.slice(places[0] ?? 0, places[1] ?? 0).split(',').map((name) => name.trim());
  return {
    rowCount: Math.max(0, places.length / 2 - 1),
    column(name) {
      const at = names.indexOf(name);
      return at < 0 ? null : (row) => cellOf(text, places[2 * row + 2], places[2 * row + 3], at);
    },
  };
}

/** Where the lines of a text begin, and where they end, by turns; without empty ones and comments. */
function linesOf(text: string): number[] {
  const places: number[] = [];
  for (let start = 0, next; start < text.length; start = next + 1) {
    next = text.indexOf('\n', start);
    if (next < 0) next = text.length;
    const end = text.charCodeAt(next - 1) === CARRIAGE_RETURN && next > start ? next - 1 : next;
    if (text.charCodeAt(start) !== HASH && !isBlank(text, start, end)) places.push(start, end);
  }
  return places;
}

const HASH = 35, CARRIAGE_RETURN = 13, SPACE = 32;

function isBlank(text: string, start: number, end: number): boolean {
  while (start < end && text.charCodeAt(start) <= SPACE) start++;
  return start === end;
}

/** A cell of a line of CSV; undefined when the line has fewer. */
function cellOf(text: string, start: number, end: number, column: number): string | undefined {
  let from = start;
  for (let k = 0; k < column; k++) {
    const comma = text.indexOf(',', from);
    if (comma < 0 || comma >= end) return undefined;
    from = comma + 1;
  }
  const comma = text.indexOf(',', from);
  return text.slice(from, comma < 0 || comma > end ? end : comma);
}
