/** The exponential function of two numbers at once. The twin in `twins/exponential.ts` defines the result. */

const LOG2E: f64 = 1.4426950408889634, LN2_HIGH: f64 = 0.693147180369123816490, LN2_LOW: f64 = 1.90821492927058770002e-10;

export class Exponential {
  /** e^x of x from −708 to 709; 0 below and infinite above. */
  @inline static of(x: v128): v128 {
    const cut = f64x2.min(f64x2.max(x, f64x2.splat(-708)), f64x2.splat(709));
    const k = f64x2.floor(f64x2.add(f64x2.mul(cut, f64x2.splat(LOG2E)), f64x2.splat(0.5)));
    const r = f64x2.sub(f64x2.sub(cut, f64x2.mul(k, f64x2.splat(LN2_HIGH))), f64x2.mul(k, f64x2.splat(LN2_LOW)));
    let sum = f64x2.splat(1);
    sum = Exponential.term(sum, r, 13); sum = Exponential.term(sum, r, 12); sum = Exponential.term(sum, r, 11);
    sum = Exponential.term(sum, r, 10); sum = Exponential.term(sum, r, 9); sum = Exponential.term(sum, r, 8);
    sum = Exponential.term(sum, r, 7); sum = Exponential.term(sum, r, 6); sum = Exponential.term(sum, r, 5);
    sum = Exponential.term(sum, r, 4); sum = Exponential.term(sum, r, 3); sum = Exponential.term(sum, r, 2);
    sum = Exponential.term(sum, r, 1);
    const exponent = i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(k));
    const value = f64x2.mul(sum, i64x2.shl(i64x2.add(exponent, i64x2.splat(1023)), 52));
    const above = v128.bitselect(f64x2.splat(Infinity), value, f64x2.gt(x, f64x2.splat(709)));
    return v128.bitselect(f64x2.splat(0), above, f64x2.lt(x, f64x2.splat(-708)));
  }

  /** 1 + r/k × what stands for the higher powers. */
  @inline static term(sum: v128, r: v128, k: f64): v128 {
    return f64x2.add(f64x2.splat(1), f64x2.mul(f64x2.mul(r, f64x2.splat(1 / k)), sum));
  }
}
