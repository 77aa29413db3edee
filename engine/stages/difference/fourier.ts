/**
 * Complex fast Fourier transform of square tiles, side a power of two. Radix 4, decimation in frequency forward and in
 * time back, so that the spectrum stays in scrambled order and nothing is ever reordered; spectra made here may only be
 * multiplied by one another. Columns are transformed as butterflies of whole rows, which read memory in order.
 */
export type Fourier = Readonly<{
  side: number;
  /** cos and −sin of 2πk/side. */
  cosines: Float64Array; sines: Float64Array;
}>;

/** @throws when `side` is not a power of two ≥ 4. */
export function createFourier(side: number): Fourier {
  if (side < 4 || (side & (side - 1)) !== 0) throw new Error(`side ${side} of a Fourier tile is not a power of two`);
  const cosines = new Float64Array(side), sines = new Float64Array(side);
  for (let k = 0; k < side; k++) {
    cosines[k] = Math.cos((2 * Math.PI * k) / side);
    sines[k] = -Math.sin((2 * Math.PI * k) / side);
  }
  return { side, cosines, sines };
}

/**
 * Transforms a tile in place.
 *
 * @param re, im [side × side]: a tile in, its spectrum out, transposed and in scrambled order.
 */
export function transform(fourier: Fourier, re: Float64Array, im: Float64Array): void {
  transformColumns(fourier, re, im);
  transpose(re, fourier.side);
  transpose(im, fourier.side);
  transformColumns(fourier, re, im);
}

/** Undoes `transform`, up to the factor side². */
export function transformBack(fourier: Fourier, re: Float64Array, im: Float64Array): void {
  transformColumnsBack(fourier, re, im);
  transpose(re, fourier.side);
  transpose(im, fourier.side);
  transformColumnsBack(fourier, re, im);
}

function transformColumns({ side, cosines, sines }: Fourier, re: Float64Array, im: Float64Array): void {
  let span = side;
  for (; span >= 4; span >>= 2) {
    const quarter = span >> 2, step = side / span;
    for (let block = 0; block < side; block += span) {
      for (let j = 0; j < quarter; j++) {
        const k = j * step;
        butterfly(
          re, im, (block + j) * side, quarter * side, side,
          cosines[k], sines[k], cosines[2 * k], sines[2 * k], cosines[3 * k], sines[3 * k],
        );
      }
    }
  }
  if (span === 2) pairs(re, im, side);
}

function transformColumnsBack({ side, cosines, sines }: Fourier, re: Float64Array, im: Float64Array): void {
  let span = 4;
  if (Math.log2(side) % 2 === 1) { pairs(re, im, side); span = 8; }
  for (; span <= side; span <<= 2) {
    const quarter = span >> 2, step = side / span;
    for (let block = 0; block < side; block += span) {
      for (let j = 0; j < quarter; j++) {
        const k = j * step;
        butterflyBack(
          re, im, (block + j) * side, quarter * side, side,
          cosines[k], -sines[k], cosines[2 * k], -sines[2 * k], cosines[3 * k], -sines[3 * k],
        );
      }
    }
  }
}

/** Four rows, `stride` apart from `a`: sums and differences, then the twiddles c + is. */
function butterfly(
  re: Float64Array, im: Float64Array, a: number, stride: number, length: number,
  c1: number, s1: number, c2: number, s2: number, c3: number, s3: number,
): void {
  let p = a, q = a + stride, r = a + 2 * stride, s = a + 3 * stride;
  for (const end = a + length; p < end; p++, q++, r++, s++) {
    const a0 = re[p] + re[r], b0 = im[p] + im[r], a1 = re[p] - re[r], b1 = im[p] - im[r];
    const a2 = re[q] + re[s], b2 = im[q] + im[s], a3 = im[q] - im[s], b3 = re[s] - re[q];
    re[p] = a0 + a2; im[p] = b0 + b2;
    const x1 = a1 + a3, y1 = b1 + b3, x2 = a0 - a2, y2 = b0 - b2, x3 = a1 - a3, y3 = b1 - b3;
    re[q] = x1 * c1 - y1 * s1; im[q] = x1 * s1 + y1 * c1;
    re[r] = x2 * c2 - y2 * s2; im[r] = x2 * s2 + y2 * c2;
    re[s] = x3 * c3 - y3 * s3; im[s] = x3 * s3 + y3 * c3;
  }
}

/** The inverse of `butterfly` up to a factor 4; takes the conjugate twiddles. */
function butterflyBack(
  re: Float64Array, im: Float64Array, a: number, stride: number, length: number,
  c1: number, s1: number, c2: number, s2: number, c3: number, s3: number,
): void {
  let p = a, q = a + stride, r = a + 2 * stride, s = a + 3 * stride;
  for (const end = a + length; p < end; p++, q++, r++, s++) {
    const x1 = re[q] * c1 - im[q] * s1, y1 = re[q] * s1 + im[q] * c1;
    const x2 = re[r] * c2 - im[r] * s2, y2 = re[r] * s2 + im[r] * c2;
    const x3 = re[s] * c3 - im[s] * s3, y3 = re[s] * s3 + im[s] * c3;
    const a0 = re[p] + x2, b0 = im[p] + y2, a1 = re[p] - x2, b1 = im[p] - y2;
    const a2 = x1 + x3, b2 = y1 + y3, a3 = x1 - x3, b3 = y1 - y3;
    re[p] = a0 + a2; im[p] = b0 + b2;
    re[q] = a1 - b3; im[q] = b1 + a3;
    re[r] = a0 - a2; im[r] = b0 - b2;
    re[s] = a1 + b3; im[s] = b1 - a3;
  }
}

/** Butterflies of two neighbouring rows; their own inverse up to a factor 2. */
function pairs(re: Float64Array, im: Float64Array, side: number): void {
  for (let row = 0; row < side; row += 2) {
    for (let p = row * side, q = p + side, end = q; p < end; p++, q++) {
      const x = re[q], y = im[q];
      re[q] = re[p] - x; im[q] = im[p] - y;
      re[p] += x; im[p] += y;
    }
  }
}

/** In blocks of 8 × 8: one cache line a row. */
function transpose(plane: Float64Array, side: number): void {
  const block = Math.min(8, side);
  for (let by = 0; by < side; by += block) {
    for (let bx = by; bx < side; bx += block) {
      for (let y = by; y < by + block; y++) {
        for (let x = bx === by ? y + 1 : bx; x < bx + block; x++) {
          const a = y * side + x, b = x * side + y, value = plane[a];
          plane[a] = plane[b];
          plane[b] = value;
        }
      }
    }
  }
}
