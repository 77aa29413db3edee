// Every command of `vesper` as data: what it is called with, what it explains, what it needs.
// Read by the launcher before anything is installed, and by the commands themselves afterwards.

/** Shared by every command that looks at recorded nights. */
const DATA_DIR = { name: 'data-dir', argument: 'DIR', type: 'path', default: '.vesper',
  explanation: 'where the stores, frames and nights live' };
const JSON_OUTPUT = { name: 'json', type: 'flag', explanation: 'print one JSON document to stdout instead of text' };
const INSTRUMENT = { name: 'instrument', argument: 'NAME', type: 'name', default: null,
  explanation: 'whose data to use, such as series-1a2b3c4d (default: that of the newest simulated night)' };
const DIA_SOURCE_ID = { name: 'diaSourceId', argument: 'DIASOURCEID', type: 'id',
  explanation: 'the alert\'s diaSourceId, a decimal number' };

/**
 * `setup` is what must be there first: nothing, the npm packages, or these and the servers. `needs` tells whether the
 * command uses the stores of the data directory.
 */
export const COMMANDS = [
  {
    name: 'night',
    summary: 'observe a simulated night and turn it into alerts',
    description: [
      'Simulates an observatory, runs every exposure through the real pipeline, delivers the alerts to two consumers',
      'and checks that every count closes. An interrupted night is resumed with the arguments it was begun with.',
      'Exit 0 when all counts close, 1 when they do not, 2 when it cannot run.',
    ],
    examples: ['npm start -- --visits 3 --cadence 5', 'npm start --silent -- --json > night.json'],
    positionals: [],
    options: [
      { name: 'visits', argument: 'N', type: 'integer', min: 1, max: 10_000, default: 6,
        explanation: 'how many visits to observe' },
      { name: 'cadence', argument: 'S', type: 'number', min: 0.5, max: 3600, default: 10,
        explanation: 'seconds from one visit to the next' },
      { name: 'camera', argument: 'NAME', type: 'choice', choices: ['minicam'], default: 'minicam',
        explanation: 'minicam has 9 detectors of 1024 × 1024 pixels' },
      { name: 'seed', argument: 'N', type: 'integer', min: 0, max: 4_294_967_295, default: 1,
        explanation: 'the same seed gives the same sky' },
      { name: 'keep-running', type: 'flag', explanation: 'keep stores and dashboard up after the night' },
      { name: 'dashboard-port', argument: 'N', type: 'integer', min: 0, max: 65_535, default: 0,
        explanation: 'port of the live page; 0 takes any free one' },
      JSON_OUTPUT, DATA_DIR,
    ],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'series',
    summary: 'find what changed in a directory of real frames of one field',
    description: [
      'Takes FITS frames (.fits, .fit, also .gz) that need no WCS, registers them to a reference, builds a template of',
      'the best and treats each frame as a visit. What headers tell may be overridden. Repeated, it begins afresh.',
    ],
    examples: ['vesper series frames/ --reference best.fits.gz --json'],
    positionals: [{ name: 'directory', argument: 'DIR', type: 'path', explanation: 'holds the frames' }],
    options: [
      { name: 'reference', argument: 'FILE', type: 'text', default: null,
        explanation: 'frame that sets the pixel grid: a name in DIR or a path (default: chosen by sharpness)' },
      { name: 'pixel-scale', argument: 'ARCSEC', type: 'number', min: 0.001, max: 100, default: null,
        explanation: 'arcseconds per pixel (default: from the headers, else 1)' },
      { name: 'gain', argument: 'E_PER_ADU', type: 'number', min: 0.001, max: 1000, default: null,
        explanation: 'electrons per ADU (default: from the headers)' },
      { name: 'read-noise', argument: 'ELECTRONS', type: 'number', min: 0, max: 1000, default: null,
        explanation: 'electrons (default: from the headers)' },
      { name: 'saturation', argument: 'ADU', type: 'number', min: 1, max: 4_294_967_295, default: null,
        explanation: 'level above which pixels are not trusted (default: from the headers)' },
      JSON_OUTPUT, DATA_DIR,
    ],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'verify',
    summary: 'recompute every count of a night and say whether they close',
    description: ['Counts anew from the log, the database and the streams, side by side. Exit 1 when two disagree.'],
    examples: ['vesper verify --json'],
    positionals: [],
    options: [
      { name: 'night', argument: 'DAYOBS', type: 'dayObs', default: null,
        explanation: 'which night, YYYYMMDD (default: the newest)' },
      INSTRUMENT, JSON_OUTPUT, DATA_DIR,
    ],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'replay',
    summary: 'run a recorded night again and compare rows and packets byte by byte',
    description: ['Obeys the recorded decisions. Exit 1 and the first difference when anything comes out otherwise.'],
    examples: ['vesper replay last', 'vesper replay 20261120 --json'],
    positionals: [
      { name: 'night', argument: 'last|DAYOBS', type: 'night', explanation: 'the newest night, or YYYYMMDD' },
    ],
    options: [INSTRUMENT, JSON_OUTPUT, DATA_DIR],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'alerts tail',
    summary: 'print alerts as they are published',
    description: ['Follows the stream from now on, or from its start, until stopped or the count is reached.'],
    examples: ['vesper alerts tail --from-start --count 5 --json'],
    positionals: [],
    options: [
      { name: 'from-start', type: 'flag', explanation: 'begin with the first alert of the night' },
      { name: 'count', argument: 'N', type: 'integer', min: 1, max: 1_000_000_000, default: null,
        explanation: 'stop after so many (default: go on)' },
      INSTRUMENT, JSON_OUTPUT, DATA_DIR,
    ],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'alerts get',
    summary: 'print one alert from the archive',
    description: ['With --raw the framed Avro bytes as they were sent, for a decoder of your own.'],
    examples: ['vesper alerts get 12345678901234567 --raw > alert.avro-framed'],
    positionals: [DIA_SOURCE_ID],
    options: [
      { name: 'raw', type: 'flag', explanation: 'write the bytes as sent to stdout' },
      INSTRUMENT, JSON_OUTPUT, DATA_DIR,
    ],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'alerts export',
    summary: 'write alerts as files, the bytes as they were sent',
    description: ['One file <diaSourceId>.avro-framed an alert.'],
    examples: ['vesper alerts export --out alerts/ --limit 100'],
    positionals: [],
    options: [
      { name: 'out', argument: 'DIR', type: 'path', default: null, isRequired: true, explanation: 'made if missing' },
      { name: 'limit', argument: 'N', type: 'integer', min: 1, max: 1_000_000_000, default: null,
        explanation: 'stop after so many (default: all)' },
      INSTRUMENT, JSON_OUTPUT, DATA_DIR,
    ],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'doctor',
    summary: 'tell what this machine has, what it lacks, and what its versions cannot promise',
    description: ['Starts and installs nothing. Exit 1 when something is missing.'],
    examples: ['vesper doctor'],
    positionals: [],
    options: [JSON_OUTPUT, DATA_DIR],
    setup: 'none', needs: 'none',
  },
  {
    name: 'status',
    summary: 'tell whether a run is alive, and where',
    description: ['Exit 0 when one is, 1 when none is.'],
    examples: ['vesper status --json'],
    positionals: [],
    options: [JSON_OUTPUT, DATA_DIR],
    setup: 'none', needs: 'none',
  },
  {
    name: 'stop',
    summary: 'end the live run in good order',
    description: ['Asks it to end, waits up to half a minute, then insists. Its night can be resumed.'],
    examples: ['vesper stop'],
    positionals: [],
    options: [JSON_OUTPUT, DATA_DIR],
    setup: 'none', needs: 'none',
  },
  {
    name: 'clean',
    summary: 'remove old sealed nights',
    description: ['Exports the commits of each before removing it. A night that is not sealed is never touched.'],
    examples: ['vesper clean --older-than 30'],
    positionals: [],
    options: [
      { name: 'older-than', argument: 'DAYS', type: 'integer', min: 0, max: 36_500, default: null, isRequired: true,
        explanation: 'remove nights that ended longer ago than this' },
      JSON_OUTPUT, DATA_DIR,
    ],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'bench',
    summary: 'measure how long alerts take',
    description: ['Observes a seeded night and prints the latency from end of readout to acknowledged packet.'],
    examples: ['vesper bench night --json'],
    positionals: [
      { name: 'bench', argument: 'night', type: 'choice', choices: ['night'], explanation: 'what to measure' },
    ],
    options: [JSON_OUTPUT, DATA_DIR],
    setup: 'servers', needs: 'stores',
  },
  {
    name: 'version',
    summary: 'print the version',
    description: ['Of Vesper, and of the Node that it would run on.'],
    examples: ['vesper version'],
    positionals: [],
    options: [],
    setup: 'none', needs: 'none',
  },
];
