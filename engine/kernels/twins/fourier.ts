/**
 * Complex fast Fourier transform of square tiles in single precision: the arithmetic that `assembly/fourier.ts`
 * repeats. Radix 4, decimation in frequency forward and in time back, so that a spectrum stays in scrambled order;
 * spectra made here may only be multiplied by one another. Each column is transformed by itself, so the order in which
 * columns are taken changes nothing.
 */
const { fround } = Math;

/** cos and −sin of 2πk/side by turns, k < side, as float32: a table for every transform of this length. */
export function twiddlesOf(side: number): Float32Array {
  const table = new Float32Array(2 * side);
  for (let k = 0; k < side; k++) {
    table[2 * k] = Math.cos((2 * Math.PI * k) / side);
    table[2 * k + 1] = -Math.sin((2 * Math.PI * k) / side);
  }
  return table;
}

/** Transforms the columns of a tile in place. `re`, `im`: [side × side]. */
export function transformColumns(twiddles: Float32Array, side: number, re: Float32Array, im: Float32Array): void {
  let span = side;
  for (; span >= 4; span >>= 2) {
    const quarter = span >> 2, step = side / span;
    for (let block = 0; block < side; block += span) {
      for (let j = 0; j < quarter; j++) butterfly(re, im, (block + j) * side, quarter * side, side, twiddles, j * step);
    }
  }
  if (span === 2) pairs(re, im, side);
}

/** Undoes `transformColumns`, up to the factor `side`. */
export function transformColumnsBack(twiddles: Float32Array, side: number, re: Float32Array, im: Float32Array): void {
  let span = 4;
  if (Math.clz32(side) % 2 === 0) { pairs(re, im, side); span = 8; } // An odd power of two.
  for (; span <= side; span <<= 2) {
    const quarter = span >> 2, step = side / span;
    for (let block = 0; block < side; block += span) {
      for (let j = 0; j < quarter; j++) butterflyBack(
        re, im, (block + j) * side, quarter * side, side, twiddles, j * step);
    }
  }
}

/**
 * Four rows, `stride` apart from `a`: sums and differences, then the twiddles c + is, which are left out where they are
 * 1.
 */
function butterfly(
  re: Float32Array, im: Float32Array, a: number, stride: number, length: number, twiddles: Float32Array, k: number,
): void {
  const c1 = twiddles[2 * k], s1 = twiddles[2 * k + 1], c2 = twiddles[4 * k], s2 = twiddles[4 * k + 1];
  const c3 = twiddles[6 * k], s3 = twiddles[6 * k + 1];
  let p = a, q = a + stride, r = a + 2 * stride, s = a + 3 * stride;
  for (const end = a + length; p < end; p++, q++, r++, s++) {
    const a0 = fround(re[p] + re[r]), b0 = fround(im[p] + im[r]), a1 = fround(re[p] - re[r]),
      b1 = fround(im[p] - im[r]);
    const a2 = fround(re[q] + re[s]), b2 = fround(im[q] + im[s]), a3 = fround(im[q] - im[s]),
      b3 = fround(re[s] - re[q]);
    const x1 = fround(a1 + a3), y1 = fround(b1 + b3), x2 = fround(a0 - a2), y2 = fround(b0 - b2);
    const x3 = fround(a1 - a3), y3 = fround(b1 - b3);
    re[p] = a0 + a2; im[p] = b0 + b2;
    if (k === 0) {
      re[q] = x1; im[q] = y1; re[r] = x2; im[r] = y2; re[s] = x3; im[s] = y3;
    } else {
      re[q] = fround(x1 * c1) - fround(y1 * s1); im[q] = fround(x1 * s1) + fround(y1 * c1);
      re[r] = fround(x2 * c2) - fround(y2 * s2); im[r] = fround(x2 * s2) + fround(y2 * c2);
      re[s] = fround(x3 * c3) - fround(y3 * s3); im[s] = fround(x3 * s3) + fround(y3 * c3);
    }
  }
}

/** The inverse of `butterfly` up to a factor 4: conjugate twiddles first. */
function butterflyBack(
  re: Float32Array, im: Float32Array, a: number, stride: number, length: number, twiddles: Float32Array, k: number,
): void {
  const c1 = twiddles[2 * k], s1 = twiddles[2 * k + 1], c2 = twiddles[4 * k], s2 = twiddles[4 * k + 1];
  const c3 = twiddles[6 * k], s3 = twiddles[6 * k + 1], isPlain = k === 0;
  let p = a, q = a + stride, r = a + 2 * stride, s = a + 3 * stride;
  for (const end = a + length; p < end; p++, q++, r++, s++) {
    const x1 = isPlain ? re[q] : fround(fround(re[q] * c1) + fround(im[q] * s1));
    const y1 = isPlain ? im[q] : fround(fround(im[q] * c1) - fround(re[q] * s1));
    const x2 = isPlain ? re[r] : fround(fround(re[r] * c2) + fround(im[r] * s2));
    const y2 = isPlain ? im[r] : fround(fround(im[r] * c2) - fround(re[r] * s2));
    const x3 = isPlain ? re[s] : fround(fround(re[s] * c3) + fround(im[s] * s3));
    const y3 = isPlain ? im[s] : fround(fround(im[s] * c3) - fround(re[s] * s3));
    const a0 = fround(re[p] + x2), b0 = fround(im[p] + y2), a1 = fround(re[p] - x2), b1 = fround(im[p] - y2);
    const a2 = fround(x1 + x3), b2 = fround(y1 + y3), a3 = fround(x1 - x3), b3 = fround(y1 - y3);
    re[p] = a0 + a2; im[p] = b0 + b2;
    re[q] = a1 - b3; im[q] = b1 + a3;
    re[r] = a0 - a2; im[r] = b0 - b2;
    re[s] = a1 + b3; im[s] = b1 - a3;
  }
}

/** Butterflies of two neighbouring rows; their own inverse up to a factor 2. */
function pairs(re: Float32Array, im: Float32Array, side: number): void {
  for (let row = 0; row < side; row += 2) {
    for (let p = row * side, q = p + side, end = q; p < end; p++, q++) {
      const x = re[q], y = im[q];
      re[q] = re[p] - x; im[q] = im[p] - y;
      re[p] += x; im[p] += y;
    }
  }
}

/** In place. */
export function transposeTile(plane: Float32Array, side: number): void {
  for (let y = 0; y < side; y++) {
    for (let x = y + 1; x < side; x++) {
      const a = y * side + x, b = x * side + y, value = plane[a];
      plane[a] = plane[b];
      plane[b] = value;
    }
  }
}
