/**
 * Files that the engine reads: where they are, what they hold, and the index that names them.
 *
 * Everything lies under the data directory. Raw files are multi-extension FITS, one a detector and exposure:
 * - Primary HDU, no data: INSTRUME, DAYOBS, SEQNUM, OBSID, GROUPID, EXPOSURE, SNAP, DETECTOR (id), DETNAME, FILTER
 *   (physical), BAND, EXPTIME [s], TIMESYS = 'TAI', MJD-BEG, MJD-MID, RA, DEC (boresight as commanded, degrees), ROTPA
 *   (camera angle, degrees).
 * - One IMAGE extension an amp, BITPIX 16 with BZERO 32768 (unsigned ADU): EXTNAME (amp name), GAIN [e-/ADU], RDNOISE
 *   [e-], SATURATE [ADU], DATASEC, BIASSEC, POSCSEC (parallel overscan, where there is one), DETSEC (reversed where
 *   the amp is flipped).
 * Sections are FITS: 1-based, inclusive.
 *
 * Products, all with EXTNAME'd image HDUs:
 * - bias: IMAGE float32 [height × width], ADU left after overscan subtraction, assembled detector.
 * - flat: IMAGE float32 [height × width], response relative to its mean, assembled detector.
 * - dark: IMAGE float32 [height × width], electrons a second; a detector may go without.
 * - fringe: IMAGE float32 [height × width], fringes of the band's night sky over its level; may be absent.
 * - electronics: OBSTYPE `electronics`, DETECTOR, DETNAME, AMPn (the amps' names, in order), and IMAGE extensions of
 *   real numbers, a row an amp, each there when it was measured; may be absent:
 *   - CROSSTALK [amps × amps]: part of the column's amp that appears in the row's.
 *   - LINEARITY [2 × amps]: c₂ and c₃ of S + c₂ S² + c₃ S³, ADU.
 *   - LINTABLE [nodes × amps]: corrections, ADU, at signals 0, 1/PERADU, 2/PERADU …
 *   - CTI [2 × amps]: part of a packet left behind at each serial and each parallel transfer.
 *   - REPULSION [2 × 1]: flow between neighbours along x and y, per electron² of difference of squared charges.
 * - template: IMAGE float32 nJy, VARIANCE float32 nJy², MASK uint16 with planes as MP_* keywords; WCS (TAN) in IMAGE;
 *   keywords BAND, NVISITS (depth), SEEING [arcsec].
 * - references: `refId,ra,dec,raErrMas,decErrMas,uMag,uMagErr,…,yMag,yMagErr`, degrees and AB magnitudes, stars only.
 * - objects: `objectId,ra,dec,extendedness,radiusArcsec,uMag,…,yMag` of the stars (extendedness 0) and galaxies (1)
 *   that the survey's coadds show about a detector, an arcminute beyond its edges: degrees, half-light radius in
 *   arcseconds, AB magnitudes; may be absent, then alerts have no neighbours.
 *   Both are CSV, or the first binary table of a FITS file: one whose rows ascend by declination says
 *   TSORTKEY = 'dec', and a detector then reads its own part alone.
 * - orbits: the solar-system objects that are known on a night; CSV with a header, one a line, elements on the ecliptic
 *   of J2000 (84381.448″), au, degrees, MJD (TT): `designation,packed,epochMjdTt,q,e,i,node,argperi,
 *   timeOfPerihelionMjdTt,h,g,uncertainty,oppositions,observations,arcDays,rmsArcsec`; what is not known is empty.
 * - truth: CSV `visit,detector,sourceId,kind,ra,dec,x,y,fluxNJy,snr,masked,scienceFluxNJy,templateFluxNJy`, one row a
 *   changed source and visit; fluxNJy is science − template, snr the optimal one from truth alone, masked 1 when its
 *   centre lies where no measurement can be asked for (edges, saturation, bleeds, defects, template missing).
 */
import type { DayObs, DetectorId, Exposure, Visit } from './ids.ts';
import type { Band } from './units.ts';

export const productPaths = {
  raw: (instrument: string, dayObs: DayObs, exposure: Exposure, detector: DetectorId) =>
    `raw/${instrument}/${dayObs}/${exposure}_${String(detector).padStart(3, '0')}.fits`,
  index: (instrument: string) => `products/${instrument}/index.json`,
  truth: (instrument: string, dayObs: DayObs, visit: Visit) => `truth/${instrument}/${dayObs}/${visit}.csv`,
} as const;

/** What serves one detector of a visit. */
export type DetectorProductKind = 'bias' | 'flat' | 'template' | 'references' | OptionalProductKind;
/** What a detector can go without, at a price that its quality shows. */
export const OPTIONAL_PRODUCTS = ['dark', 'fringe', 'electronics', 'objects'] as const;
export type OptionalProductKind = (typeof OPTIONAL_PRODUCTS)[number];
export type ProductKind = DetectorProductKind | 'orbits';

/** One entry of the index. */
export type Product = Readonly<{
  kind: ProductKind;
  /** Null where it serves every band or every detector. */
  band: Band | null; detector: DetectorId | null;
  /** Path relative to the data directory, or an absolute one. */
  uri: string;
  /** SHA-256 of the file, hexadecimal. */
  checksum: string;
  /** Sky that it covers: a cone, degrees. Null for detector products. */
  sky: Readonly<{ raDeg: number; decDeg: number; radiusDeg: number }> | null;
  /** First night that it is valid for. */
  fromDayObs: DayObs;
}>;

/** The index file: replaced as a whole, by rename, whenever products are added. */
export type ProductIndex = Readonly<{ instrument: string; products: readonly Product[] }>;
