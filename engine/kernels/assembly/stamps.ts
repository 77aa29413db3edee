/**
 * Stamps convolved with a separable basis (single precision) and their normal equations (double precision). The twin in
 * `twins/stamps.ts` defines the result, to the last bit: every sum runs in the order of its index, and vectors hold
 * sums of different pixels or unknowns.
 *
 * Rows of a stamp are `stride` numbers apart, a multiple of 16; what is beyond a row's end weighs nothing.
 */

/**
 * Bytes of a basis function: profile along x, along y, whether the first function is taken off (int32 each), scale
 * (float32).
 */
const FUNCTION_BYTES: usize = 16;
/**
 * Pixels whose vectors are taken through all pairs of groups before the next ones: 96 × 8 groups × 2 × 32 bytes stay in
 * the cache.
 */
const CHUNK_PIXELS = 96;

/**
 * @param left, top  Plane pixel of the patch's first one; the patch is [side + 2 half] squared.
 * @param profiles   [profiles × (2 half + 1)] float32.
 * @param supports   [profiles × 2] int32: first and last element that counts.
 * @param patch      [(side + 2 half) × (stride + 2 half)] float32, work.
 * @param scratch    [(side + 2 half) × stride] float32, work.
 * @param vectors    [functions × side × stride] float32, overwritten.
 */
export function stampVectors(
  image: usize, width: i32, left: i32, top: i32, side: i32, stride: i32, half: i32, functions: usize,
  functionCount: i32,
  profiles: usize, supports: usize, patch: usize, scratch: usize, vectors: usize,
): void {
  const rows = side + 2 * half, patchBytes = <usize>(stride + 2 * half) << 2, rowBytes = <usize>stride << 2;
  const profileBytes = <usize>(2 * half + 1) << 2, vectorBytes = rowBytes * side;
  for (let v = 0; v < rows; v++) {
    const row = patch + patchBytes * v;
    copyFinite(row, image + (<usize>((top + v) * width + left) << 2), rows);
    memory.fill(row + (<usize>rows << 2), 0, patchBytes - (<usize>rows << 2));
  }
  let filled = -1, out = vectors;
  for (let n = 0; n < functionCount; n++, functions += FUNCTION_BYTES, out += vectorBytes) {
    const x = load<i32>(functions), y = load<i32>(functions, 4);
    if (x != filled) {
      const support = supports + (<usize>x << 3), profile = profiles + profileBytes * x;
      for (let v = 0; v < rows; v++) {
        // Element k of a profile is the offset k − half, and convolution reads the pixel at minus the offset.
        convolveRow(patch + patchBytes * v + (<usize>(2 * half) << 2), -4, profile, load<i32>(support),
          load<i32>(support, 4), 1,
          stride, scratch + rowBytes * v);
      }
      filled = x;
    }
    const support = supports + (<usize>y << 3), profile = profiles + profileBytes * y, scale = load<f32>(functions, 12);
    for (let v = 0; v < side; v++) {
      convolveRow(scratch + rowBytes * (v + 2 * half), -(<isize>rowBytes), profile, load<i32>(support),
        load<i32>(support, 4), scale,
        stride, out + rowBytes * v);
    }
    if (load<i32>(functions, 8) != 0) takeOff(vectors, out, vectorBytes);
  }
}

/** What is not finite becomes 0. */
function copyFinite(out: usize, from: usize, count: i32): void {
  const zero = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4, out += 16, from += 16) {
    const value = v128.load(from);
    v128.store(out, v128.and(value, f32x4.eq(f32x4.sub(value, value), zero)));
  }
  for (; i < count; i++, out += 4, from += 4) {
    const value = load<f32>(from);
    store<f32>(out, value - value == 0 ? value : 0);
  }
}

/** out[u] = scale × Σ_k profile[k] from[u + k × step], k from `first` to `last`; `step` in bytes. */
function convolveRow(
  from: usize, step: isize, profile: usize, first: i32, last: i32, scale: f32, count: i32, out: usize,
): void {
  const scales = f32x4.splat(scale), end = profile + (<usize>last << 2);
  from += step * first;
  profile += <usize>first << 2;
  for (let u = 0; u < count; u += 16, from += 64, out += 64) {
    let a = f32x4.splat(0), b = a, c = a, d = a, p = from;
    for (let k = profile; k <= end; k += 4, p += step) {
      const tap = v128.load32_splat(k);
      a = f32x4.add(a, f32x4.mul(tap, v128.load(p))); b = f32x4.add(b, f32x4.mul(tap, v128.load(p, 16)));
      c = f32x4.add(c, f32x4.mul(tap, v128.load(p, 32))); d = f32x4.add(d, f32x4.mul(tap, v128.load(p, 48)));
    }
    v128.store(out, f32x4.mul(a, scales)); v128.store(out, f32x4.mul(b, scales), 16);
    v128.store(out, f32x4.mul(c, scales), 32); v128.store(out, f32x4.mul(d, scales), 48);
  }
}

function takeOff(first: usize, from: usize, bytes: usize): void {
  for (let end = from + bytes; from < end; from += 16, first += 16) v128.store(
    from, f32x4.sub(v128.load(from), v128.load(first)));
}

/**
 * matrix[a][b] = Σ_j (weights[j] vectors[a][j]) vectors[b][j] for b ≤ a; above the diagonal stands what belongs to no
 * sum.
 *
 * @param vectors  [4 groups × pixels] float32; `pixels` even.
 * @param weights  [pixels] float64.
 * @param plain, weighted [groups × pixels × 4] float64, work.
 * @param matrix   [4 groups squared] float64, overwritten.
 */
export function normalEquations(
  vectors: usize, weights: usize, groups: i32, pixels: i32, plain: usize, weighted: usize, matrix: usize,
): void {
  const groupBytes = <usize>pixels << 5, vectorBytes = <usize>pixels << 4, rowBytes = <usize>groups << 5;
  for (let g = 0; g < groups; g++) interleave(
    vectors + vectorBytes * g, weights, pixels, plain + groupBytes * g, weighted + groupBytes * g);
  memory.fill(matrix, 0, 4 * rowBytes * groups);
  for (let start = 0; start < pixels; start += CHUNK_PIXELS) {
    const skip = <usize>start << 5, count = min(CHUNK_PIXELS, pixels - start);
    for (let a = 0; a < groups; a++) {
      for (let b = 0; b <= a; b++) {
        addProducts(weighted + groupBytes * a + skip, plain + groupBytes * b + skip, count,
          matrix + 4 * rowBytes * a + (<usize>b << 5), rowBytes);
      }
    }
  }
}

/** Four vectors to [pixels × 4] in double precision, as they are and weighted. */
function interleave(vectors: usize, weights: usize, pixels: i32, plain: usize, weighted: usize): void {
  const bytes = <usize>pixels << 2;
  for (let end = vectors + bytes; vectors < end; vectors += 8, weights += 16, plain += 64, weighted += 64) {
    const w = v128.load(weights), w0 = v128.shuffle<f64>(w, w, 0, 0), w1 = v128.shuffle<f64>(w, w, 1, 1);
    const p = f64x2.promote_low_f32x4(v128.load64_zero(vectors)),
      q = f64x2.promote_low_f32x4(v128.load64_zero(vectors + bytes));
    const r = f64x2.promote_low_f32x4(v128.load64_zero(vectors + 2 * bytes)),
      s = f64x2.promote_low_f32x4(v128.load64_zero(vectors + 3 * bytes));
    const a = v128.shuffle<f64>(p, q, 0, 2), b = v128.shuffle<f64>(r, s, 0, 2);
    const c = v128.shuffle<f64>(p, q, 1, 3), d = v128.shuffle<f64>(r, s, 1, 3);
    v128.store(plain, a); v128.store(plain, b, 16); v128.store(plain, c, 32); v128.store(plain, d, 48);
    v128.store(weighted, f64x2.mul(w0, a)); v128.store(weighted, f64x2.mul(w0, b), 16);
    v128.store(weighted, f64x2.mul(w1, c), 32); v128.store(weighted, f64x2.mul(w1, d), 48);
  }
}

/** Adds the products of four weighted with four plain vectors to a block of the matrix. */
function addProducts(weighted: usize, plain: usize, count: i32, matrix: usize, rowBytes: usize): void {
  const second = matrix + rowBytes, third = second + rowBytes, fourth = third + rowBytes;
  let a = v128.load(matrix), b = v128.load(matrix, 16), c = v128.load(second), d = v128.load(second, 16);
  let e = v128.load(third), f = v128.load(third, 16), g = v128.load(fourth), h = v128.load(fourth, 16);
  for (let end = plain + (<usize>count << 5); plain < end; plain += 32, weighted += 32) {
    const p = v128.load(plain), q = v128.load(plain, 16);
    let w = v128.load64_splat(weighted);
    a = f64x2.add(a, f64x2.mul(w, p)); b = f64x2.add(b, f64x2.mul(w, q));
    w = v128.load64_splat(weighted, 8);
    c = f64x2.add(c, f64x2.mul(w, p)); d = f64x2.add(d, f64x2.mul(w, q));
    w = v128.load64_splat(weighted, 16);
    e = f64x2.add(e, f64x2.mul(w, p)); f = f64x2.add(f, f64x2.mul(w, q));
    w = v128.load64_splat(weighted, 24);
    g = f64x2.add(g, f64x2.mul(w, p)); h = f64x2.add(h, f64x2.mul(w, q));
  }
  v128.store(matrix, a); v128.store(matrix, b, 16); v128.store(second, c); v128.store(second, d, 16);
  v128.store(third, e); v128.store(third, f, 16); v128.store(fourth, g); v128.store(fourth, h, 16);
}

/**
 * Adds the equations of a stamp to those of all unknowns: unknown first[v] + s of local vector v enters with factor
 * factors[v][s] × `sign`. On and below the diagonal of blocks; what is above the diagonal is of no use.
 *
 * @param matrix  [count²] float64, `right` [count].
 * @param local   [vectors²] float64, `localRight` [vectors].
 * @param entries [vectors × 3] int32: first unknown, how many, byte offset of the factors from `factors`.
 */
export function addEquations(
  matrix: usize, right: usize, count: i32, local: usize, localRight: usize, vectors: i32, entries: usize,
  factors: usize, sign: f64,
): void {
  const rowBytes = <usize>count << 3;
  for (let v = 0; v < vectors; v++) {
    const entry = entries + <usize>(12 * v), own = factors + <usize>load<i32>(entry, 8);
    for (let s = 0, last = load<i32>(entry, 4); s < last; s++) {
      const weight = sign * load<f64>(own + (<usize>s << 3)), k = <usize>(load<i32>(entry) + s);
      store<f64>(right + (k << 3), load<f64>(right + (k << 3)) + weight * load<f64>(localRight + (<usize>v << 3)));
      const row = matrix + rowBytes * k;
      for (let u = 0, other = entries, p = local + (<usize>(v * vectors) << 3); u <= v; u++, other += 12, p += 8) {
        const product = weight * load<f64>(p);
        let to = row + (<usize>load<i32>(other) << 3), factor = factors + <usize>load<i32>(other, 8);
        for (let end = to + (<usize>load<i32>(other, 4) << 3); to < end; to += 8, factor += 8) {
          store<f64>(to, load<f64>(to) + product * load<f64>(factor));
        }
      }
    }
  }
}
