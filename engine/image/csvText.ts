/** Cells of a large CSV text, found where they are asked for: a million lines need no million objects. */

/** Lines by number, and their places in the text: the first character, and the one behind the last. */
export type Lines = Readonly<{
  count: number;
  start(line: number): number;
  end(line: number): number;
  /** Empty where there is no such line. */
  at(line: number): string;
}>;

/** Places of the lines in a text, without empty ones and comments. */
export function linesOf(text: string): Lines {
  const places: number[] = [];
  for (let start = 0, next; start < text.length; start = next + 1) {
    next = text.indexOf('\n', start);
    if (next < 0) next = text.length;
    const end = text.charCodeAt(next - 1) === CARRIAGE_RETURN && next > start ? next - 1 : next;
    if (text.charCodeAt(start) !== HASH && !isBlank(text, start, end)) places.push(start, end);
  }
  return {
    count: places.length / 2, start: (line) => places[2 * line], end: (line) => places[2 * line + 1],
    at: (line) => text.slice(places[2 * line] ?? 0, places[2 * line + 1] ?? 0),
  };
}

const HASH = 35, CARRIAGE_RETURN = 13, SPACE = 32;

function isBlank(text: string, start: number, end: number): boolean {
  while (start < end && text.charCodeAt(start) <= SPACE) start++;
  return start === end;
}

/** A cell of a line of CSV; undefined when the line has fewer. */
export function cellOf(text: string, start: number, end: number, column: number): string | undefined {
  let from = start;
  for (let k = 0; k < column; k++) {
    const comma = text.indexOf(',', from);
    if (comma < 0 || comma >= end) return undefined;
    from = comma + 1;
  }
  const comma = text.indexOf(',', from);
  return text.slice(from, comma < 0 || comma > end ? end : comma);
}
