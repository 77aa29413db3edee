/** What all sources of an image share, as `rating.ts` writes it. Planes are [height × width]. */
@unmanaged
export class RatingTask {
  image: usize; variance: usize; mask: usize; visit: usize; visitVariance: usize; template: usize;
  width: i32; height: i32; half: i32;
  unusable: i32; blemish: i32; saturated: i32; interpolated: i32; noData: i32;
  maskReach: i32; brightReach: i32; lineInner: i32; lineOuter: i32;
  /** PSFs of the difference and of the visit image. */
  psf: usize; visitPsf: usize;
  /** Work: of `moveLocalPsf`, its stamps, data and weight of the stamp's pixels, the window of `ringNoise`. */
  moving: usize; stamp: usize; visitStamp: usize; data: usize; weight: usize; window: usize;
  cellPx: f64; noiseScale: f64; core2: f64; wings2: f64; ring2: f64; apart2: f64; inner: f64; outer: f64; limit: f64;
}
