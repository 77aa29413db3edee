import type { BackgroundConfig } from '../../image/background.ts';

const background: BackgroundConfig = {
  /**
   * Cells much larger than stars and galaxies, small enough to follow scattered light: 64 px is SExtractor's advice.
   */
  cellPx: 64,
  /** Beyond 3 σ a pixel is a source far more often than noise (0.3 % of noise is lost, on both sides alike). */
  clipSigma: 3,
  /** A cell less than a fifth of which is sky takes its neighbours' level. */
  usableFractionMin: 0.2,
};

/** How an image is calibrated. Pixels of the detector unless the name says otherwise. */
export const calibrateConfig = {
  background,
  /**
   * Cells of the mesh that stand so many scatters above those around them take their level; null for none. Of a thousand
   * cells of noise none stands 5 high, a galaxy of 1′ lifts those around it by tens.
   */
  bumpSigma: 5 as number | null,
  /**
   * Rows from one that counts to the next in images of more pixels than `wholeSkyPixelsMax`: the first background only
   * has to show the sources, and every twelfth row tells a cell's level to 0.11 of the noise; every third row of the
   * second tells it to 0.06, and nine cells have a say in each: 0.025, a fiftieth of what a star's flux errs by. Small
   * images can afford all rows.
   */
  firstRowStep: 12, rowStep: 3, wholeSkyPixelsMax: 4_000_000,
  /**
   * Smoothed light from which a pixel is kept out of the second background and marked DETECTED, σ of the smoothed sky.
   */
  sourceMaskSigma: 3,
  /** Pixels by which those regions grow, to take in the wings, in units of the FWHM. */
  sourceMaskGrowthFwhm: 0.7,
  /**
   * Seeing with which the first search begins, arcseconds; the stars then tell it. A factor of 3 off still finds them.
   */
  guessSeeingArcsec: 0.9,
  stars: {
    /**
     * Matched-filter significance of a star for calibration: at 8, centroids are good to FWHM / 20 and no noise
     * enters.
     */
    thresholdSigma: 8,
    /** Peaks nearer to the border have no whole window. */
    borderPx: 6,
    /** Twice the stars that are measured for position and flux, for some of the brightest are galaxies or crowded. */
    cleanCountMax: 1000,
    /**
     * In fields of 50,000 stars the thousand brightest all come near saturation. Of those that are fainter, yet show the
     * core to half a per cent, as many again.
     */
    sampleSigma: 200, sampleCountMax: 1000,
  },
  /** Stars needed to tell the seeing. */
  seeingStarCountMin: 5,
  psf: {
    /** A Moffat profile of β = 3 keeps 99.6 % of its light within 6 FWHM. */
    sizeFwhm: 6, sizePxMin: 31, sizePxMax: 61,
    /** At 30 the wings of a star still carry weight against the sky. */
    snrMin: 30,
    /** More stars refine nothing that matters and cost time. */
    starCountMax: 120,
    starCountMin: 4,
    /** Two and ten stars a coefficient: with fewer the variation would be noise. */
    linearStarCountMin: 9, quadraticStarCountMin: 60,
    /** Neighbours' light is modelled and taken off to a few per cent, so this share leaves the model to 3e-3. */
    neighbourFractionMax: 0.1,
    /**
     * Charge repels charge: a star at full well is broader by 1.2 %. Where that is not corrected, the PSF's size without
     * the brighter stars is 0.04 % (sparse) and 0.1 % (crowded field) nearer to the faint ones' than with 0.6; below
     * 0.4 the light of neighbours costs more in crowded fields than is won.
     */
    peakFractionMax: 0.4,
    /** The core and first wings: most of the signal, little of the neighbours. */
    fitRadiusFwhm: 1.6,
  },
  /** Neighbour's share of a star's light, within 3 FWHM, from which its flux is not taken for the zero point. */
  isolationFractionMax: 0.03,
  /**
   * Share of its light that a star's fit may leave, over the model's error, to be one star. One of 2 % of the light 2 px
   * away leaves this. Places of stars near the galactic centre are then good to 6.7 mas rms, not 31.
   */
  blendErrorMax: 0.02,
  /** Stars that are fitted for position and flux, brightest first. */
  measuredStarCountMax: 500,
  astrometry: {
    /** Largest error of the pointing along an axis, arcseconds: 20 of a blind pointing, and a quarter more. */
    pointingErrorArcsec: 25,
    /** Largest error of the camera's angle, degrees: 0.5, and a fifth more. */
    rotationErrorDeg: 0.6,
    voterCount: 120,
    /** References that are matched, brightest first: several times the stars that are measured. */
    referenceCountMax: 3000,
    /** Side of a bin of the vote, pixels: three times what rotation and scale smear. */
    voteBinPx: 4,
    /** Radius of the final pairing, pixels: many times the centroids' errors, less than the distance of neighbours. */
    pairRadiusPx: 1.5,
    /** Standards required (LSST: astrometry from ≥ 5). */
    standardCountMin: 5,
    /**
     * Error that the fit may have at the detector's worst corner, milliarcseconds: a quarter of the radius within which
     * sources are associated. Five stars strewn over it leave 10 to 50, five in a patch of 160 px 300.
     */
    cornerErrorMasMax: 250,
    /** Highest order of the polynomial that is fitted beside the camera's own distortion. */
    orderMax: 3,
    /** Stars for each coefficient of an axis that an order above the first needs: fewer would be noise. */
    starsPerCoefficient: 6,
    /**
     * Fall of χ² per added coefficient, over the χ² per degree of freedom, from which a higher order is believed. It
     * is 1 by chance and scatters by √(2 / 6) for the six of the second order: 4 is nine of that.
     */
    orderSignificance: 4,
    /** Residuals beyond this many robust standard deviations are not of this star. */
    clipSigma: 4,
    /** Error of a bright star's centroid that no fit knows of (PSF, pixels), pixels. */
    centroidFloorPx: 0.01,
  },
  photometry: {
    /** Standards required for a zero point: three tell an outlier. */
    standardCountMin: 3,
    /** Signal to noise from which a standard counts: 0.02 mag. */
    snrMin: 50,
    clipSigma: 3.5,
    /**
     * Scatter of one standard from which the catalogue is not believed, magnitudes: good ones scatter by 0.01 to 0.03,
     * through thin clouds by 0.1, the magnitudes of other stars or of another band by more than this.
     */
    scatterMagMax: 0.3,
    /** Scatter between stars that no error bar knows of (flat, colour), magnitudes. */
    scatterFloorMag: 0.005,
    /** Standards with a colour from which a colour term is fitted: its error is then a hundredth or less. */
    colourStandardCountMin: 30,
    /** Standard deviations from which a colour term is believed. */
    colourSignificance: 4,
    /** g − i of the source that fluxes are those of: a star of the Sun's kind has 0.6, the usual field star 1. */
    referenceColourMag: 1,
  },
};

export type CalibrateConfig = Readonly<typeof calibrateConfig>;
