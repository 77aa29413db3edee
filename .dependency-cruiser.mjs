// Who may import whom (the layout's one-way flow). `only(from, allowed)` forbids everything of ours that is not listed.
const OURS = '^(schemas|simulator|engine|apdb|brokers|bench|test)/';

/** Modules at `from` may import, of our own code, only what matches `allowed`. */
function only(name, from, allowed, comment) {
  return {
    name, comment, severity: 'error',
    from: typeof from === 'string' ? { path: from } : from,
    to: { path: OURS, pathNot: allowed },
  };
}

const SHELL = ['^schemas/', '^engine/(pipeline|config|errors|visitState|preload)\\.ts$', '^engine/(stages|image|workers|stream|ephemerides)/', '^engine/kernels/'];

export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', comment: 'Data moves one way.', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'nobody-imports-tests', severity: 'error', from: { pathNot: '^(test|bench)/' }, to: { path: '^(test|bench)/' } },
    only('schemas-import-nothing', '^schemas/', ['^schemas/'], 'The contract imports nothing of ours.'),
    only('simulator-imports-schemas', '^simulator/', ['^simulator/', '^schemas/'], 'A sign error must not cancel itself.'),
    only('apdb-imports-schemas', '^apdb/', ['^apdb/', '^schemas/']),
    only('brokers-import-schemas-and-stream', '^brokers/', ['^brokers/', '^schemas/', '^engine/stream/']),
    only('kernels-import-themselves', '^engine/kernels/', ['^engine/kernels/']),
    only('ephemerides-import-schemas', '^engine/ephemerides/', ['^engine/ephemerides/', '^schemas/']),
    only('image-imports-schemas-and-kernels', '^engine/image/', ['^engine/image/', '^schemas/', '^engine/kernels/', '^engine/errors\\.ts$']),
    {
      name: 'stages-are-pure', severity: 'error', comment: 'A stage imports its own folder, image, kernels, schemas, errors; never another stage.',
      from: { path: '^engine/stages/([^/]+)/' },
      to: { path: OURS, pathNot: ['^engine/stages/$1/', '^engine/(image|kernels)/', '^schemas/', '^engine/errors\\.ts$'] },
    },
    {
      name: 'stages-have-no-io', severity: 'error', comment: 'No network, no database, no pool in a stage.',
      from: { path: '^engine/(stages|image|kernels|ephemerides)/' },
      to: { path: '(^|/)node_modules/(@nats-io|pg|pg-copy-streams|ioredis|piscina|ws)/' },
    },
    only('pipeline-imports-stages', '^engine/pipeline\\.ts$', ['^engine/(stages|image|kernels)/', '^schemas/', '^engine/(config|errors)\\.ts$']),
    only('core-imports-schemas', '^engine/(config|errors|visitState)\\.ts$', ['^schemas/', '^engine/(config|errors)\\.ts$']),
    {
      name: 'shell-imports', severity: 'error', comment: 'Workers, stream and preload see the APDB only as a type.',
      from: { path: '^engine/(workers|stream)/|^engine/preload\\.ts$' }, to: { path: OURS, pathNot: [...SHELL, '^apdb/apdb\\.ts$', '^apdb/historyRows\\.ts$'] },
    },
    {
      name: 'shell-sees-apdb-as-type', severity: 'error', from: { path: '^engine/(workers|stream)/' },
      to: { path: '^apdb/', dependencyTypesNot: ['type-only'] },
    },
    only('setup-stands-alone', '^engine/setup/', ['^engine/setup/'], 'It runs before anything is installed.'),
    {
      name: 'setup-has-no-packages', severity: 'error', from: { path: '^engine/setup/' }, to: { path: 'node_modules' },
    },
    only('side-components', '^engine/(ocs|batch|archive)/', ['^engine/(ocs|batch|archive|stages|image|stream|kernels)/', '^schemas/', '^apdb/apdb\\.ts$', '^engine/(config|errors|preload)\\.ts$']),
    {
      name: 'roots-name-stores', severity: 'error', comment: 'Only main and cli name the stores, the simulator and the brokers.',
      from: { path: '^engine/', pathNot: '^engine/(main\\.ts$|cli/)' }, to: { path: '^(simulator|brokers|apdb/(postgres|redis|memory))/' },
    },
    { name: 'no-utils', severity: 'error', from: {}, to: { path: '(^|/)utils?(/|\\.)', pathNot: 'node_modules' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^brokers/dashboard/page/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.mts', '.mjs', '.js', '.json'], exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
};
