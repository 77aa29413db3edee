import type { FilterDefinition } from './expression.ts';

/** A filter that ships, with one line about what it is for. */
export type PredefinedFilter = FilterDefinition & Readonly<{ summary: string }>;

/** What an edge or a saturated star fakes; a null flag counts as clear. */
const CLEAN = ['pixelFlags_edge', 'pixelFlags_saturatedCenter']
  .map((flag) => `!(has(diaSource.${flag}) && diaSource.${flag})`)
  .join(' && ');

/** A positive flux on sound pixels, neither the two lobes of a bad registration nor a known minor planet. */
const NEW_LIGHT = [
  'diaSource.psfFlux > 0.0',
  CLEAN,
  '!(has(diaSource.isDipole) && diaSource.isDipole)',
  '!has(alert.ssSource)',
].join(' && ');

/** Seen before, at least half an hour ago: a main-belt object at opposition (35″ an hour) has long left the place. */
const SEEN_TWICE =
  'diaObject.nDiaSources >= 2 && diaSource.midpointMjdTai - diaObject.firstDiaSourceMjdTai > 0.02';

/** Filters that ship with Vesper. Owner `vesper`; a changed expression gets a higher version. */
export const predefinedFilters = {
  /**
   * Something that became brighter, well measured: at 10 σ a flux is known to 10 %, and noise alone does not get
   * there (detection is at 5 σ). It has no rank, so no cap: it is the operators' own.
   */
  bright: {
    user: 'vesper',
    name: 'bright',
    version: 1,
    summary: 'well measured and brighter than the template; every match, without a cap',
    expression: `diaSource.snr > 10.0 && diaSource.psfFlux > 0.0 && ${CLEAN}`,
  },
  /**
   * 20 mag is what a spectrograph on a 2-m telescope reaches in an hour. The template is to have less than half of
   * it, or a variable star of a tenth of a magnitude would qualify. Brightest first.
   */
  brightTransient: {
    user: 'vesper',
    name: 'brightTransient',
    version: 1,
    summary: 'brighter than 20 mag and more than what was there before',
    expression: `${NEW_LIGHT} && abMag(diaSource.psfFlux) < 20.0 && diaSource.templateFlux < diaSource.psfFlux`,
    rank: 'diaSource.psfFlux',
  },
  /**
   * Seen twice, younger than a season (a supernova of type Ia stays above half a magnitude of Rubin's limit for about
   * 100 days), and never fainter than the template: supernovae only add light, variable stars do both. The packet
   * has no host galaxy yet, so that none is asked for. Best measured first.
   */
  supernova: {
    user: 'vesper',
    name: 'supernova',
    version: 1,
    summary: 'seen twice or more, under 100 days old, only ever adding light',
    expression:
      `${NEW_LIGHT} && diaSource.snr > 6.0 && ${SEEN_TWICE} && ` +
      'diaSource.midpointMjdTai - diaObject.firstDiaSourceMjdTai < 100.0 && prvDiaSources.all(s, s.psfFlux > 0.0)',
    rank: 'diaSource.snr',
  },
  /**
   * A point source in the template (5 σ) whose light changed by more than 3 %, three times the photometric
   * repeatability that Rubin requires at the bright end, seen to change twice. Largest relative change first.
   */
  variableStar: {
    user: 'vesper',
    name: 'variableStar',
    version: 1,
    summary: 'a star of the template that changed by more than 3 %, at least twice',
    expression:
      `${CLEAN} && !has(alert.ssSource) && diaObject.nDiaSources >= 2 && ` +
      'diaSource.templateFlux > 5.0 * diaSource.templateFluxErr && ' +
      'abs(diaSource.psfFlux) > 0.03 * diaSource.templateFlux && ' +
      '!(has(diaSource.extendedness) && diaSource.extendedness > 0.5)',
    rank: 'abs(diaSource.psfFlux) / diaSource.templateFlux',
  },
  /**
   * Attributed to an orbit, trailed (longer than three times its error), or else a first sighting where the template
   * is empty: what a moving object looks like before anyone has linked it. Best measured first.
   */
  movingObject: {
    user: 'vesper',
    name: 'movingObject',
    version: 1,
    summary: 'a known minor planet, a trail, or a first sighting where nothing was before',
    expression:
      `${CLEAN} && diaSource.psfFlux > 0.0 && (has(alert.ssSource) || ` +
      'has(diaSource.trailLength) && diaSource.trailLength > 3.0 * diaSource.trailLengthErr || ' +
      'diaObject.nDiaSources == 1 && diaSource.templateFlux < 3.0 * diaSource.templateFluxErr)',
    rank: 'diaSource.snr',
  },
  /** Whatever the pipeline has attributed to a known orbit; those farthest from their prediction first. */
  solarSystem: {
    user: 'vesper',
    name: 'solarSystem',
    version: 1,
    summary: 'attributed to a known orbit, worst prediction first',
    expression: 'has(alert.ssSource)',
    rank: 'ssSource.ephOffset',
  },
  /**
   * First seen within ten days, the rise time of fast supernovae, and 2 σ brighter than at every earlier detection in
   * the same band, of which there is one. Largest flux above its noise first.
   */
  newAndRising: {
    user: 'vesper',
    name: 'newAndRising',
    version: 1,
    summary: 'first seen within ten days and brighter in its band than ever',
    expression:
      `${NEW_LIGHT} && ${SEEN_TWICE} && diaSource.midpointMjdTai - diaObject.firstDiaSourceMjdTai < 10.0 && ` +
      'prvDiaSources.exists(s, s.band == diaSource.band) && prvDiaSources.all(s, ' +
      's.band != diaSource.band || diaSource.psfFlux - s.psfFlux > 2.0 * (diaSource.psfFluxErr + s.psfFluxErr))',
    rank: 'diaSource.psfFlux / diaSource.psfFluxErr',
  },
  /**
   * AT2017gfo faded by about 1 mag a day in g and 0.5 in i from its first day on; supernovae seldom exceed 0.2. So:
   * under 14 days old and at least 0.3 mag a day fainter than at some detection in the same band half a day or more
   * ago (over shorter times the photometry decides). Youngest first: they are gone within a week.
   */
  kilonovaLike: {
    user: 'vesper',
    name: 'kilonovaLike',
    version: 1,
    summary: 'under 14 days old and fading faster than 0.3 mag a day',
    expression:
      `${NEW_LIGHT} && ${SEEN_TWICE} && diaSource.midpointMjdTai - diaObject.firstDiaSourceMjdTai < 14.0 && ` +
      'prvDiaSources.exists(s, s.band == diaSource.band && s.psfFlux > 0.0 && ' +
      'diaSource.midpointMjdTai - s.midpointMjdTai > 0.5 && abMag(diaSource.psfFlux) - abMag(s.psfFlux) > ' +
      '0.3 * (diaSource.midpointMjdTai - s.midpointMjdTai))',
    rank: 'diaObject.firstDiaSourceMjdTai',
  },
  /**
   * New light within four half-light radii of a catalogued galaxy (nine tenths of an exponential disc's light lie
   * within 2.3 of them) or 2″ of its centre, and on no catalogued star (0.7″: one pixel of error on each side of a good
   * image's width). Seen twice. Best measured first.
   */
  cataloguedHost: {
    user: 'vesper',
    name: 'cataloguedHost',
    version: 1,
    summary: 'seen twice on a galaxy of the catalogue, and on none of its stars',
    expression:
      `${NEW_LIGHT} && ${SEEN_TWICE} && nearestGalaxies.exists(g, g.distanceArcsec < 2.0 || ` +
      'g.distanceArcsec < 4.0 * g.radiusArcsec) && !nearestStars.exists(s, s.distanceArcsec < 0.7)',
    rank: 'diaSource.snr',
  },
  /** New light where the template has none (3 σ), seen twice: orphan afterglows, faint or absent hosts. */
  hostless: {
    user: 'vesper',
    name: 'hostless',
    version: 1,
    summary: 'seen twice where the template shows nothing',
    expression: `${NEW_LIGHT} && ${SEEN_TWICE} && diaSource.templateFlux < 3.0 * diaSource.templateFluxErr`,
    rank: 'diaSource.snr',
  },
} as const satisfies Readonly<Record<string, PredefinedFilter>>;

/** The filter of a name (`bright`) or label (`vesper.bright@1`), or null. */
export function predefinedFilter(name: string): PredefinedFilter | null {
  const all: readonly PredefinedFilter[] = Object.values(predefinedFilters);
  return all.find((each) => name === each.name || name === `${each.user}.${each.name}@${each.version}`) ?? null;
}
