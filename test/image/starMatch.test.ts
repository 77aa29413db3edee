import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyAffine, fitAffine, fitSimilarity, invertAffine, type Affine } from '../../engine/image/affine.ts';
import { matchStarLists } from '../../engine/image/starMatch.ts';
import { strewnStars } from '../support/skyField.ts';
import { skyRandom } from '../support/skyRandom.ts';

const config = { shiftMaxPx: 100, rotationMaxDeg: 1, voterCount: 80, binPx: 3, finalRadiusPx: 1.5, pairCountMin: 6 };

function rotation(angleDeg: number, dx: number, dy: number): Affine {
  const c = Math.cos(angleDeg * Math.PI / 180), s = Math.sin(angleDeg * Math.PI / 180);
  return { a: c, b: -s, c: dx, d: s, e: c, f: dy };
}

describe('affine', () => {
  const value = fc.double({ min: -2, max: 2, noNaN: true });
  test('a fit recovers the transform that made the pairs, and its inverse undoes it', () => {
    fc.assert(fc.property(value, value, value, value, (b, c, d, f) => {
      const truth: Affine = { a: 3, b, c: 100 * c, d, e: -4, f: 100 * f };
      const pairs = strewnStars(3, 12, 500, 500, 1,
        2).map((from) => ({ from, to: applyAffine(truth, from.x, from.y), weight: 1 }));
      const fitted = fitAffine(pairs);
      expect(fitted).not.toBeNull();
      if (!fitted) return;
      const inverse = invertAffine(fitted);
      for (const { from, to } of pairs) {
        const back = applyAffine(inverse, to.x, to.y);
        expect(Math.hypot(back.x - from.x, back.y - from.y)).toBeLessThan(1e-8);
      }
    }));
  });
  test('points on a line and too few points give null', () => {
    const line = [0, 1, 2, 3].map((i) => ({ from: { x: i, y: 2 * i }, to: { x: i, y: i }, weight: 1 }));
    expect(fitAffine(line)).toBeNull();
    expect(fitAffine(line.slice(0, 2))).toBeNull();
    expect(fitSimilarity(line.slice(0, 1))).toBeNull();
  });
});

describe('matchStarLists', () => {
  /**
   * The second frame sees 80 % of the stars of the first, shuffled in rank by noise, others of its own, and errors of
   * 0.1 px.
   */
  function frames(seed: number, count: number, transform: Affine) {
    const a = strewnStars(seed, count, 512, 512, 100, 1e5), random = skyRandom(seed + 1);
    const kept = a.map((star, i) => ({ star, i })).filter(() => random.uniform() < 0.8);
    const b = kept.map(({ star, i }) => {
      const at = applyAffine(transform, star.x, star.y);
      return { x: at.x + 0.1 * random.normal(), y: at.y + 0.1 * random.normal(),
        flux: star.flux * (1 + 0.2 * random.normal()), i };
    });
    const strangers = strewnStars(seed + 2, count / 5, 512, 512, 100, 1e5).map((star) => ({ ...star, i: -1 }));
    return { a, b: [...b, ...strangers].sort((p, q) => q.flux - p.flux) };
  }

  test.each([[1, 60, 0.0, 0, 0], [2, 60, 0.3, 40, -75], [3, 400, -0.8, -90, 20], [4, 1500, 0.1, 33, 60]])(
    'field %i of %i stars turned by %f° and shifted by (%i, %i) px pairs the right stars only',
      (seed, count, angle, dx, dy) => {
      const transform = rotation(angle, dx, dy), { a, b } = frames(seed, count, transform);
      const match = matchStarLists(a, b, config);
      expect(match).not.toBeNull();
      if (!match) return;
      const wrong = match.pairs.filter(([i, j]) => b[j].i !== i).length;
      // A stranger or a neighbour within 1.5 px happens: density × π 1.5² = 1500 × 7 / 512² = 4 % at most.
      expect(wrong).toBeLessThanOrEqual(0.04 * match.pairs.length);
      expect(match.pairs.length).toBeGreaterThan(0.6 * count);
      const corner = applyAffine(match.transform, 500, 500), truth = applyAffine(transform, 500, 500);
      // 0.1 px over √n stars, ×√3 at the corner of an affine fit, 5 σ, and the wrong pairs.
      expect(Math.hypot(corner.x - truth.x, corner.y - truth.y)).toBeLessThan(5 * Math.SQRT2 * 0.1 * 2 / Math.sqrt(match.pairs.length) + 0.05);
    });

  test('unrelated fields do not match', () => {
    for (let seed = 20; seed < 30; seed++) {
      const a = strewnStars(seed, 100, 512, 512, 100, 1e5), b = strewnStars(seed + 100, 100, 512, 512, 100, 1e5);
      expect(matchStarLists(a, b, config)).toBeNull();
    }
  });

  test('too few stars give null', () => {
    const a = strewnStars(9, 5, 512, 512, 100, 1e5);
    expect(matchStarLists(a, a, config)).toBeNull();
    expect(matchStarLists([], a, config)).toBeNull();
  });
});
