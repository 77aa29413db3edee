/** A reader of FITS for tests, by the standard's text alone: neither the simulator's writer nor the engine's reader. */
import { readFileSync } from 'node:fs';

export type ReadHdu = Readonly<{
  cards: ReadonlyMap<string, string | number | boolean>; width: number; height: number; pixels: Float64Array;
}>;

export function readFitsFile(path: string): ReadHdu[] {
  return readFitsBytes(readFileSync(path));
}

export function readFitsBytes(bytes: Buffer): ReadHdu[] {
  if (bytes.length % 2880 !== 0) throw new Error(`${bytes.length} bytes are not whole blocks`);
  const hdus: ReadHdu[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const cards = new Map<string, string | number | boolean>();
    let card = '';
    while (!card.startsWith('END ')) {
      card = bytes.toString('latin1', offset, offset + 80);
      offset += 80;
      if (card.slice(8, 10) === '= ') cards.set(card.slice(0, 8).trim(), valueOf(card.slice(10)));
    }
    offset = Math.ceil(offset / 2880) * 2880;
    const number = (name: string): number => Number(cards.get(name) ?? 0);
    const width = number('NAXIS1'), height = number('NAXIS2');
    const pixels = new Float64Array(number('NAXIS') === 2 ? width * height : 0);
    const isFloat = number('BITPIX') === -32;
    for (let i = 0; i < pixels.length; i++) {
      pixels[i] = isFloat ? bytes.readFloatBE(offset + 4 * i)
        : bytes.readInt16BE(offset + 2 * i) * Number(cards.get('BSCALE') ?? 1) + number('BZERO');
    }
    offset = Math.ceil((offset + pixels.length * (isFloat ? 4 : 2)) / 2880) * 2880;
    hdus.push({ cards, width, height, pixels });
  }
  return hdus;
}

function valueOf(text: string): string | number | boolean {
  const quoted = /^'((?:[^']|'')*)'/.exec(text);
  if (quoted) return quoted[1].replaceAll("''", "'").trimEnd();
  const word = text.split('/')[0].trim();
  return word === 'T' ? true : word === 'F' ? false : Number(word);
}

/** Box of a FITS section: 0-based, half-open; whether it runs backwards. */
export function sectionOf(
  text: string,
): { x0: number; x1: number; y0: number; y1: number; flipX: boolean; flipY: boolean } {
  const match = /^\[(\d+):(\d+),(\d+):(\d+)\]$/.exec(text);
  if (!match) throw new Error(`${text} is not a section`);
  const [a, b, c, d] = match.slice(1).map(Number);
  return {
    x0: Math.min(a, b) - 1, x1: Math.max(a, b), y0: Math.min(c, d) - 1, y1: Math.max(c, d), flipX: a > b, flipY: c > d,
  };
}

/** A raw file put together from its headers alone, overscan's mean subtracted row by row, electrons. */
export function assembleRaw(hdus: readonly ReadHdu[], width: number, height: number): Float64Array {
  const image = new Float64Array(width * height);
  for (const hdu of hdus.slice(1)) {
    const data = sectionOf(String(hdu.cards.get('DATASEC'))), bias = sectionOf(String(hdu.cards.get('BIASSEC')));
    const place = sectionOf(String(hdu.cards.get('DETSEC'))), gain = Number(hdu.cards.get('GAIN'));
    for (let y = data.y0; y < data.y1; y++) {
      let level = 0;
      for (let x = bias.x0; x < bias.x1; x++) level += hdu.pixels[y * hdu.width + x] / (bias.x1 - bias.x0);
      const row = place.flipY ? place.y1 - 1 - (y - data.y0) : place.y0 + (y - data.y0);
      for (let x = data.x0; x < data.x1; x++) {
        const column = place.flipX ? place.x1 - 1 - (x - data.x0) : place.x0 + (x - data.x0);
        image[row * width + column] = (hdu.pixels[y * hdu.width + x] - level) * gain;
      }
    }
  }
  return image;
}
