/**
 * What is simulated: which sky, which effects, how frames are stored. Plain data: it crosses threads and is recorded.
 */

/** Effects in the order in which light and charge meet them. Each can be switched alone. */
export const EFFECTS = [
  'skyBackground', 'clouds', 'differentialRefraction', 'aureoles', 'streaks', 'ghosts', 'vignetting', 'illumination',
  'prnu',
  'badColumns',
  'fringing', 'darkCurrent', 'hotPixels', 'shotNoise', 'cosmicRays', 'brighterFatter', 'saturation', 'parallelCti',
  'serialCti',
  'nonlinearity', 'crosstalk', 'biasStructure', 'biasDrift', 'readNoise',
] as const;
export type Effect = (typeof EFFECTS)[number];
export type Effects = Readonly<Record<Effect, boolean>>;

/** What a bias, a flat and an overscan undo: the effects of a night whose frames a simple ISR has to clean. */
const BASIC: readonly Effect[] = [
  'skyBackground', 'vignetting', 'illumination', 'prnu', 'badColumns', 'shotNoise', 'saturation', 'biasStructure',
  'biasDrift',
  'readNoise',
];

export const EFFECT_SETS: Readonly<Record<'none' | 'basic' | 'realistic' | 'all', Effects>> = {
  none: effectsOf([]), basic: effectsOf(BASIC), realistic: effectsOf(EFFECTS.filter((name) => name !== 'ghosts')),
  all: effectsOf(EFFECTS),
};

/** `demonstration` is dense in changes on any small patch; `survey` has the rates and densities of the real sky. */
export type SkyModel = 'demonstration' | 'survey';
export type Compression = 'none' | 'rice';

export type SimulationModel = Readonly<{ sky: SkyModel; effects: Effects; compression: Compression }>;

/** The default night: much happens on nine small detectors, and nothing that its ISR cannot undo. */
export const DEMONSTRATION: SimulationModel = { sky: 'demonstration', effects: EFFECT_SETS.basic, compression: 'none' };

/**
 * Reads a choice of effects: a set's name or names of effects, in order; `-name` takes one away.
 *
 * `realistic,-cosmicRays` is everything of that set but cosmic rays; `shotNoise,readNoise` is noise alone.
 *
 * @throws Error that lists what there is.
 */
export function parseEffects(text: string): Effects {
  const chosen = new Set<Effect>();
  for (const word of text.split(',').map((part) => part.trim())) {
    const isRemoved = word.startsWith('-'), name = isRemoved ? word.slice(1) : word;
    // Just checked.
    const members = name in EFFECT_SETS
      ? EFFECTS.filter((effect) => EFFECT_SETS[name as keyof typeof EFFECT_SETS][effect])
      : EFFECTS.filter((effect) => effect === name);
    if (members.length === 0 && name !== 'none') {
      throw new Error(
        `unknown effect "${name}"; sets: ${Object.keys(EFFECT_SETS).join(', ')}; effects: ${EFFECTS.join(', ')}`,
      );
    }
    if (name === 'none') chosen.clear();
    for (const effect of members) {
      if (isRemoved) chosen.delete(effect); else chosen.add(effect);
    }
  }
  return effectsOf([...chosen]);
}

export function effectNames(effects: Effects): Effect[] {
  return EFFECTS.filter((name) => effects[name]);
}

function effectsOf(names: readonly Effect[]): Effects {
  // Every name has its entry.
  return Object.fromEntries(EFFECTS.map((name) => [name, names.includes(name)])) as Effects;
}
