/**
 * FITS header cards (FITS Standard 4.0, §4): parsing, formatting and look-up. The 2880-byte blocks are `fits.ts`'s
 * affair.
 */

export type FitsValue = string | number | bigint | boolean | null;
/**
 * Keyword (upper case), value, comment. Commentary cards (COMMENT, HISTORY, blank) carry their text as a string value.
 */
export type FitsCard = readonly [keyword: string, value: FitsValue, comment?: string];
export type FitsHeader = readonly FitsCard[];

export const CARD_BYTES = 80;
const COMMENTARY = new Set(['COMMENT', 'HISTORY', '']);

/** Why a FITS file cannot be used; `message` is one line that names the file and the reason. */
export class FitsError extends Error {
  readonly code: FitsErrorCode;
  readonly path: string;

  constructor(code: FitsErrorCode, path: string, reason: string, cause?: unknown) {
    super(`${path}: ${reason}`, { cause });
    this.name = 'FitsError';
    this.code = code;
    this.path = path;
  }
}

export type FitsErrorCode =
  | 'FITS_MISSING' | 'FITS_UNREADABLE' | 'FITS_NOT_FITS' | 'FITS_TRUNCATED' | 'FITS_GZIP' | 'FITS_HEADER'
  | 'FITS_COMPRESSION' | 'FITS_TILE' | 'FITS_BITPIX' | 'FITS_SIZE' | 'FITS_NO_EXTENSION' | 'FITS_VALUES';

/** The first value of a keyword, or undefined when the header does not have it. */
export function cardValue(header: FitsHeader, keyword: string): FitsValue | undefined {
  return header.find((card) => card[0] === keyword)?.[1];
}

/** A number's value; null when the keyword is absent or is not a finite number. */
export function numberCard(header: FitsHeader, keyword: string): number | null {
  const value = cardValue(header, keyword);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** A string's value, trailing blanks removed; null when the keyword is absent or is not a string. */
export function stringCard(header: FitsHeader, keyword: string): string | null {
  const value = cardValue(header, keyword);
  return typeof value === 'string' ? value : null;
}

/** @throws FitsError (FITS_HEADER) that names the keyword when it is absent or not a number. */
export function requireNumber(header: FitsHeader, keyword: string, path: string): number {
  const value = numberCard(header, keyword);
  if (value === null) throw new FitsError('FITS_HEADER', path, `header has no number ${keyword}`);
  return value;
}

/** @throws FitsError (FITS_HEADER) that names the keyword when it is absent or not a string. */
export function requireString(header: FitsHeader, keyword: string, path: string): string {
  const value = stringCard(header, keyword);
  if (value === null) throw new FitsError('FITS_HEADER', path, `header has no string ${keyword}`);
  return value;
}

/** One 80-character card. An unreadable value becomes null: a stray card must not cost the file. */
export function parseCard(text: string): FitsCard {
  if (text.startsWith('HIERARCH ') && text.includes('=')) {
    const equals = text.indexOf('=');
    return parsedCard(text.slice(9, equals).trim(), text.slice(equals + 1));
  }
  const keyword = text.slice(0, 8).trimEnd();
  if (COMMENTARY.has(keyword) || text[8] !== '=') return [keyword, text.slice(8).trimEnd()];
  return parsedCard(keyword, text.slice(9));
}

function parsedCard(keyword: string, field: string): FitsCard {
  const body = field.trimStart();
  if (body.startsWith("'")) return quotedCard(keyword, body);
  const slash = body.indexOf('/');
  const token = (slash < 0 ? body : body.slice(0, slash)).trim();
  const comment = slash < 0 ? '' : body.slice(slash + 1).trim();
  return withComment(keyword, scalar(token), comment);
}

function quotedCard(keyword: string, body: string): FitsCard {
  let value = '', i = 1;
  for (; i < body.length; i++) {
    if (body[i] !== "'") value += body[i];
    else if (body[i + 1] === "'") { value += "'"; i++; }
    else break;
  }
  const slash = body.indexOf('/', i);
  return withComment(keyword, value.trimEnd(), slash < 0 ? '' : body.slice(slash + 1).trim());
}

function withComment(keyword: string, value: FitsValue, comment: string): FitsCard {
  return comment === '' ? [keyword, value] : [keyword, value, comment];
}

function scalar(token: string): FitsValue {
  if (token === 'T') return true;
  if (token === 'F') return false;
  if (/^[+-]?\d+$/.test(token)) {
    const value = Number(token);
    return Number.isSafeInteger(value) ? value : BigInt(token);
  }
  // Fortran writes double-precision exponents with D.
  if (/^[+-]?(\d+\.?\d*|\.\d+)([EeDd][+-]?\d+)?$/.test(token)) return Number(token.replace(/[Dd]/, 'E'));
  return null;
}

/**
 * One card as 80 characters.
 *
 * @throws Error for what FITS cannot hold: a bad keyword, NaN, or a string longer than a card.
 */
export function formatCard([keyword, value, comment]: FitsCard): string {
  if (!/^[A-Z0-9_-]{0,60}$/.test(keyword)) throw new Error(`"${keyword}" is not a FITS keyword`);
  if (COMMENTARY.has(keyword)) {
    const text = asciiOnly(String(value ?? ''));
    if (text.length > CARD_BYTES - 8) throw new Error(`${keyword} card is longer than 72 characters`);
    return (keyword.padEnd(8) + text).padEnd(CARD_BYTES);
  }
  // Longer names go by the HIERARCH convention, as Rubin's mask planes do.
  const name = keyword.length > 8 ? `HIERARCH ${keyword} ` : keyword.padEnd(8);
  const start = `${name}= ${formatValue(keyword, value)}`;
  if (start.length > CARD_BYTES) throw new Error(`value of ${keyword} does not fit a FITS card`);
  const full = comment === undefined ? start : `${start} / ${asciiOnly(comment)}`;
  return full.slice(0, CARD_BYTES).padEnd(CARD_BYTES);
}

function formatValue(keyword: string, value: FitsValue): string {
  if (value === null) return ''.padEnd(20);
  if (typeof value === 'string') return `'${asciiOnly(value).replaceAll("'", "''").padEnd(8)}'`.padEnd(20);
  if (typeof value === 'boolean') return (value ? 'T' : 'F').padStart(20);
  if (typeof value === 'bigint') return value.toString().padStart(20);
  if (!Number.isFinite(value)) throw new Error(`${keyword} is ${value}, which FITS cannot hold`);
  return shortestNumber(value).padStart(20);
}

/** Fewest characters that read back as the same double; an integer beyond 2⁵³ keeps an exponent, or it would read as a bigint. */
function shortestNumber(value: number): string {
  const plain = String(value === 0 ? 0 : value).replace('e', 'E');
  const exponential = value.toExponential().replace('e+', 'E').replace('e', 'E');
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return exponential;
  return plain.length <= 20 || plain.length <= exponential.length ? plain : exponential;
}

function asciiOnly(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) throw new Error(`"${text}" holds characters that FITS headers cannot`);
  return text;
}
