import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { associateConfig } from '../../../engine/stages/associate/config.ts';
import { gatedPairs, pairCost, unmatchedCost } from '../../../engine/stages/associate/pairs.ts';
import {
  covarianceOf, inFrame, localFrame, meanPosition as meanOfColumns, offsetArcsec, separationArcsec, type SkyPosition,
} from '../../../engine/stages/associate/position.ts';

const ARCSEC = 1 / 3600;

function meanPosition(positions: readonly SkyPosition[], config: typeof associateConfig): SkyPosition {
  const columns = positions.flatMap((p) => [p.ra, p.dec, p.raErr ?? NaN, p.decErr ?? NaN, p.ra_dec_Cov ?? NaN]);
  return meanOfColumns(Float64Array.from(columns), positions.length, 5, 0, config);
}

function at(ra: number, dec: number, sigmaArcsec: number | null = null, correlation = 0): SkyPosition {
  if (sigmaArcsec === null) return { ra, dec, raErr: null, decErr: null, ra_dec_Cov: null };
  const sigma = sigmaArcsec * ARCSEC;
  return { ra, dec, raErr: sigma, decErr: sigma, ra_dec_Cov: correlation * sigma * sigma };
}

/** A point `arcsec` from (ra, dec) along a position angle, by the spherical law of cosines' stable form. */
function pointAt(ra: number, dec: number, arcsec: number, angle: number): { ra: number; dec: number } {
  const f = localFrame(ra, dec);
  const d = (arcsec * ARCSEC * Math.PI) / 180;
  const v = [0, 1, 2].map((k) => Math.cos(d) * f.toward[k]
    + Math.sin(d) * (Math.sin(angle) * f.east[k] + Math.cos(angle) * f.north[k]));
  const raDeg = (Math.atan2(v[1], v[0]) * 180) / Math.PI;
  return { ra: (raDeg + 360) % 360, dec: (Math.atan2(v[2], Math.hypot(v[0], v[1])) * 180) / Math.PI };
}

const skyPoints = fc.record({
  ra: fc.oneof(fc.double({ min: 0, max: 360, noNaN: true }), fc.constantFrom(0, 359.9999, 360 - 1e-9)),
  dec: fc.oneof(fc.double({ min: -90, max: 90, noNaN: true }), fc.constantFrom(-90, 90, 89.9999, -89.99999)),
});
const angles = fc.double({ min: 0, max: 2 * Math.PI, noNaN: true });

describe('gatedPairs', () => {
  test('holds a pair within 1″ and none beyond, at RA 0, at the poles and anywhere else', () => {
    // RA and dec in degrees hold a position to 360 × 2⁻⁵² degrees = 3e-10″, so 1e-6″ beside the gate decides.
    fc.assert(fc.property(skyPoints, angles, fc.boolean(), ({ ra, dec }, angle, isInside) => {
      const other = pointAt(ra, dec, isInside ? 1 - 1e-6 : 1 + 1e-6, angle);
      const pairs = gatedPairs([at(ra, dec)], [at(other.ra, other.dec)], associateConfig);
      expect(pairs.edgeObject.length).toBe(isInside ? 1 : 0);
    }), { numRuns: 500, seed: 20261120 });
  });

  test('holds no pair that its errors speak against beyond 0.5″, and every one within', () => {
    // χ² = d²/(σ² + σ²) reaches 18 at d = 6 σ for two equal errors.
    const hasPair = (arcsec: number, sigma: number) => {
      const other = pointAt(120, -30, arcsec, 1);
      return gatedPairs([at(120, -30, sigma)], [at(other.ra, other.dec, sigma)], associateConfig).edgeObject.length === 1;
    };
    expect([hasPair(0.7, 0.1), hasPair(0.7, 0.116), hasPair(0.7, 0.117)]).toEqual([false, false, true]);
    expect([hasPair(0.499, 0.05), hasPair(0.501, 0.05), hasPair(0.999, 0.17)]).toEqual([true, false, true]);
  });

  test('lists the same pairs as comparing everything with everything', () => {
    const nearPole = fc.record({
      ra: fc.double({ min: 0, max: 360, noNaN: true }), dec: fc.double({ min: 90 - 3 * ARCSEC, max: 90, noNaN: true }),
    });
    const nearWrap = fc.record({
      ra: fc.double({ min: -2 * ARCSEC, max: 2 * ARCSEC, noNaN: true }).map((ra) => (ra + 360) % 360),
      dec: fc.double({ min: -2 * ARCSEC, max: 2 * ARCSEC, noNaN: true }),
    });
    for (const field of [nearPole, nearWrap]) {
      fc.assert(fc.property(fc.array(field, { maxLength: 12 }), fc.array(field, { maxLength: 12 }), (a, b) => {
        const sources = a.map((p) => at(p.ra, p.dec));
        const objects = b.map((p) => at(p.ra, p.dec));
        const pairs = gatedPairs(sources, objects, associateConfig);
        sources.forEach((s, i) => {
          const expected = objects.flatMap((o, j) =>
            (separationArcsec(localFrame(s.ra, s.dec), localFrame(o.ra, o.dec)) <= 1 ? [j] : []));
          expect(Array.from(pairs.edgeObject.subarray(pairs.edgeStart[i], pairs.edgeStart[i + 1]))).toEqual(expected);
        });
      }), { numRuns: 200, seed: 20261120 });
    }
  });
});

/**
 * Two positions 0.3″ and 0.6″ from the pole, 90° of RA apart, and the same figure at the equator. There the second one's
 * errors are 0.4″ east and 0.1″ north; at the pole its own north lies along the first one's east: they are exchanged.
 */
function figureAtPoleAndEquator(): Readonly<Record<'pole' | 'equator', readonly [SkyPosition, SkyPosition]>> {
  const errors = (raErr: number, decErr: number) => ({ raErr: raErr * ARCSEC, decErr: decErr * ARCSEC, ra_dec_Cov: 0 });
  const pole = [at(20, 90 - 0.3 * ARCSEC, 0.1), { ra: 110, dec: 90 - 0.6 * ARCSEC, ...errors(0.1, 0.4) }] as const;
  const [east, north] = offsetArcsec(localFrame(20, pole[0].dec), localFrame(110, pole[1].dec));
  const equator = [at(20, 0, 0.1), { ra: 20 + east * ARCSEC, dec: north * ARCSEC, ...errors(0.4, 0.1) }] as const;
  return { pole, equator };
}

describe('pairCost', () => {
  const cost = (source: SkyPosition, object: SkyPosition): number =>
    pairCost(source, localFrame(source.ra, source.dec), object, localFrame(object.ra, object.dec), associateConfig);

  test('is 0.5 χ² + 0.5 ln(σ²ra σ²dec) for independent errors', () => {
    const source: SkyPosition = { ra: 10, dec: 0, raErr: 0.3 * ARCSEC, decErr: 0.4 * ARCSEC, ra_dec_Cov: null };
    const object: SkyPosition = {
      ra: 10 + 0.6 * ARCSEC, dec: -0.2 * ARCSEC, raErr: 0.1 * ARCSEC, decErr: 0.2 * ARCSEC, ra_dec_Cov: 0,
    };
    const varianceRa = 0.3 ** 2 + 0.1 ** 2, varianceDec = 0.4 ** 2 + 0.2 ** 2;
    const expected = 0.5 * (0.6 ** 2 / varianceRa + 0.2 ** 2 / varianceDec) + 0.5 * Math.log(varianceRa * varianceDec);
    // The tangent plane differs from the sphere by (1″)² / 2 in radians, 1e-11; degrees near 10 are good to 1e-11″.
    expect(cost(source, object)).toBeCloseTo(expected, 8);
  });

  test('takes 0.2″ for a position without errors and 0.05″ for one with smaller errors', () => {
    expect(cost(at(10, 0), at(10, 0))).toBeCloseTo(0.5 * Math.log((2 * 0.2 ** 2) ** 2), 10);
    expect(cost(at(10, 0, 0.001), at(10, 0, 0.01))).toBeCloseTo(0.5 * Math.log((2 * 0.05 ** 2) ** 2), 10);
  });

  test('is the same for the same figure at the pole and at the equator', () => {
    const { pole, equator } = figureAtPoleAndEquator();
    expect(cost(...pole)).toBeCloseTo(cost(...equator), 8);
  });

  test('does not change when both ends are turned together about the axis to the pole', () => {
    fc.assert(fc.property(fc.double({ min: 0, max: 360, noNaN: true }), angles, (turn, angle) => {
      const dec = 90 - 0.3 * ARCSEC;
      const source = at(20, dec, 0.3, 0.8), object = at(20 + (angle * 180) / Math.PI, dec, 0.2, -0.5);
      const turned = cost({ ...source, ra: source.ra + turn }, { ...object, ra: object.ra + turn });
      expect(turned).toBeCloseTo(cost(source, object), 7);
    }), { numRuns: 200, seed: 20261120 });
  });

  test('stays below that of leaving a source unmatched, for any round errors up to the gate', () => {
    fc.assert(fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), angles,
      (sigmaA, sigmaB, angle) => {
        const other = pointAt(120, -30, 0.999999, angle);
        const paired = cost(at(120, -30, sigmaA), at(other.ra, other.dec, sigmaB));
        expect(paired).toBeLessThan(unmatchedCost(associateConfig));
      },
    ), { numRuns: 300, seed: 20261120 });
  });
});

describe('covarianceOf', () => {
  test('is known no better than the floor in any direction, and as given where it is above', () => {
    fc.assert(fc.property(
      fc.double({ min: 0, max: 0.5, noNaN: true }), fc.double({ min: 0, max: 0.5, noNaN: true }),
      fc.double({ min: -1, max: 1, noNaN: true }), (sigmaRa, sigmaDec, rho) => {
        const { ee, nn, en } = covarianceOf({
          ra: 0, dec: 0, raErr: sigmaRa * ARCSEC, decErr: sigmaDec * ARCSEC,
          ra_dec_Cov: rho * sigmaRa * sigmaDec * ARCSEC ** 2,
        }, associateConfig);
        const smallest = (ee + nn) / 2 - Math.hypot((ee - nn) / 2, en);
        // Rounding of values below 0.5 arcsec²: a few 1e-16.
        expect(smallest).toBeGreaterThan(0.05 ** 2 - 1e-14);
        expect(ee).toBeGreaterThan(sigmaRa ** 2 - 1e-14);
        expect(nn).toBeGreaterThan(sigmaDec ** 2 - 1e-14);
      },
    ), { numRuns: 500, seed: 20261120 });
  });

  test('keeps its trace and determinant in a frame that is turned against its own', () => {
    const own = localFrame(0, 89.9999), other = localFrame(70, 89.9999);
    const covariance = covarianceOf(at(0, 89.9999, 0.3, 0.7), associateConfig);
    const turned = inFrame(covariance, own, other);
    // The two points are 0.4″ apart, so the planes are parallel to 2e-6 rad: second order, 4e-12.
    expect(turned.ee + turned.nn).toBeCloseTo(covariance.ee + covariance.nn, 10);
    expect(turned.ee * turned.nn - turned.en ** 2).toBeCloseTo(covariance.ee * covariance.nn - covariance.en ** 2, 10);
  });
});

describe('meanPosition', () => {
  test('weights by inverse variance and gives the standard error of the mean', () => {
    const mean = meanPosition([at(100, 0, 0.1), at(100 + 0.5 * ARCSEC, 0.5 * ARCSEC, 0.2)], associateConfig);
    // Weights 100 and 25: a fifth of the way; error √(1/125) = 0.08944″.
    expect((mean.ra - 100) / ARCSEC).toBeCloseTo(0.1, 7);
    expect(mean.dec / ARCSEC).toBeCloseTo(0.1, 7);
    expect(mean.raErr! / ARCSEC).toBeCloseTo(Math.sqrt(1 / 125), 9);
    expect(mean.decErr! / ARCSEC).toBeCloseTo(Math.sqrt(1 / 125), 9);
    expect(mean.ra_dec_Cov!).toBeCloseTo(0, 15);
  });

  test('is the same for the same figure at the pole and at the equator', () => {
    const { pole, equator } = figureAtPoleAndEquator();
    const offsetOfMean = (figure: readonly SkyPosition[]): readonly [number, number] => {
      const mean = meanPosition(figure, associateConfig);
      return offsetArcsec(localFrame(figure[0].ra, figure[0].dec), localFrame(mean.ra, mean.dec));
    };
    const atPole = offsetOfMean(pole), atEquator = offsetOfMean(equator);
    expect(atPole[0]).toBeCloseTo(atEquator[0], 7);
    expect(atPole[1]).toBeCloseTo(atEquator[1], 7);
    // The offset is 0.6″ east and 0.3″ north; the errors are 0.1 and 0.4 east, 0.1 and 0.1 north.
    expect(atEquator[0]).toBeCloseTo(0.6 * 0.1 ** 2 / (0.1 ** 2 + 0.4 ** 2), 7);
    expect(atEquator[1]).toBeCloseTo(0.3 / 2, 7);
  });

  test('gives its errors along east and north at the mean, not at the first position', () => {
    const { pole } = figureAtPoleAndEquator();
    const mean = meanPosition(pole, associateConfig);
    const east = 0.6 * 0.1 ** 2 / (0.1 ** 2 + 0.4 ** 2), north = 0.3 / 2;
    const varianceEast = 1 / (1 / 0.1 ** 2 + 1 / 0.4 ** 2), varianceNorth = 0.1 ** 2 / 2;
    // Seen from the pole, 0.3″ north of the first position, the mean lies at this angle from it.
    const turn = Math.atan2(east, 0.3 - north);
    const variance = varianceEast * Math.cos(turn) ** 2 + varianceNorth * Math.sin(turn) ** 2;
    expect(mean.raErr! / ARCSEC).toBeCloseTo(Math.sqrt(variance), 7);
  });

  test('lies on the sky between its points across RA 0 and over the pole', () => {
    fc.assert(fc.property(skyPoints, angles, ({ ra, dec }, angle) => {
      const a = pointAt(ra, dec, 0.4, angle), b = pointAt(ra, dec, 0.4, angle + Math.PI);
      const mean = meanPosition([at(a.ra, a.dec, 0.2), at(b.ra, b.dec, 0.2)], associateConfig);
      expect(mean.ra).toBeGreaterThanOrEqual(0);
      expect(mean.ra).toBeLessThan(360);
      const [east, north] = offsetArcsec(localFrame(ra, dec), localFrame(mean.ra, mean.dec));
      // Both points lie 0.4″ from the middle; degrees carry 3e-10″ and weights near a pole turn by 2e-6 rad at most.
      expect(Math.hypot(east, north)).toBeLessThan(1e-5);
    }), { numRuns: 300, seed: 20261120 });
  });

  test('of one position is that position, without errors when it has none', () => {
    expect(meanPosition([at(12.34567890123, -67.8901234567)], associateConfig))
      .toEqual({ ra: 12.34567890123, dec: -67.8901234567, raErr: null, decErr: null, ra_dec_Cov: null });
  });
});
