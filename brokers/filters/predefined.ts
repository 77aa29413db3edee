import type { FilterDefinition } from './expression.ts';

/** Filters that ship with Vesper. Owner `vesper`; a changed expression gets a higher version. */
export const predefinedFilters = {
  /**
   * Something that became brighter, well measured: at 10 σ a flux is known to 10 %, and noise alone does not get
   * there (detection is at 5 σ). The flags drop what an edge or a saturated star fakes; a null one counts as clear.
   */
  bright: {
    user: 'vesper',
    name: 'bright',
    version: 1,
    expression: [
      'diaSource.snr > 10.0 && diaSource.psfFlux > 0.0',
      '!(has(diaSource.pixelFlags_edge) && diaSource.pixelFlags_edge)',
      '!(has(diaSource.pixelFlags_saturatedCenter) && diaSource.pixelFlags_saturatedCenter)',
    ].join(' && '),
  },
} as const satisfies Readonly<Record<string, FilterDefinition>>;
