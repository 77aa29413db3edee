// The command line of `vesper`, read by the table in commands.mjs alone.
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from './commands.mjs';
import { commandHelp, groupHelp, overallHelp } from './help.mjs';

/** The checkout, wherever the user stands. */
export const REPOSITORY = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A command line that cannot be obeyed; its message is the one line to print before exit code 2. */
class UsageError extends Error {}

/**
 * Where the user stands. npm runs scripts at the top of the checkout and tells in INIT_CWD where it was called;
 * `npx` and a direct call leave us in place.
 */
export function userDirectory(env = process.env) {
  return env.npm_lifecycle_event === 'start' && (env.INIT_CWD ?? '') !== '' ? env.INIT_CWD : process.cwd();
}

/**
 * Read a command line.
 *
 * Paths come back absolute: as given, from where the user stands; the default data directory, `.vesper` at the top
 * of the checkout, so that every command finds the same one. Options that were not given hold their defaults.
 *
 * @param argv Without node and script: `['night', '--visits', '3']`.
 * @returns `{ kind: 'run', command, options, given, positionals, setup, needs }` with camelCase option names, `given`
 *   naming those that were on the command line; `{ kind: 'help', text }`; or `{ kind: 'usage', message }`.
 */
export function parseArguments(argv, { directory = userDirectory() } = {}) {
  try {
    return parse(argv, directory);
  } catch (error) {
    if (error instanceof UsageError) return { kind: 'usage', message: error.message };
    throw error;
  }
}

function parse(argv, directory) {
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  const wantsHelp = words.includes('--help') || words.includes('-h');
  if (words[0] === '--version') return parse(['version'], directory);
  if (words.length === 0) throw new UsageError('name a command; `vesper --help` lists them');
  if (words[0].startsWith('-')) {
    if (wantsHelp) return { kind: 'help', text: overallHelp() };
    throw new UsageError(`${words[0]} comes before a command; \`vesper --help\` lists them`);
  }
  const found = findCommand(words);
  if (found === null) {
    const group = COMMANDS.filter(({ name }) => name.startsWith(`${words[0]} `));
    if (group.length === 0) throw new UsageError(`there is no command ${words[0]}; \`vesper --help\` lists them`);
    if (wantsHelp) return { kind: 'help', text: groupHelp(words[0], group) };
    const names = group.map(({ name }) => name.split(' ')[1]).join(', ');
    throw new UsageError(`${words[0]} needs one of: ${names}${words[1] === undefined ? '' : `, not ${words[1]}`}`);
  }
  if (wantsHelp) return { kind: 'help', text: commandHelp(found.command) };
  return readCommand(found.command, found.rest, directory);
}

function findCommand(words) {
  for (const count of [2, 1]) {
    const command = COMMANDS.find(({ name }) => name === words.slice(0, count).join(' '));
    if (command !== undefined) return { command, rest: words.slice(count) };
  }
  return null;
}

function readCommand(command, words, directory) {
  const given = new Map();
  const free = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (!word.startsWith('-') || word === '-' || /^-[\d.]/.test(word)) { // A declination may be negative.
      free.push(word);
      continue;
    }
    const [, name, , inline] = /^--([^=]*)(=(.*))?$/s.exec(word) ?? [];
    const option = command.options.find((candidate) => candidate.name === name);
    if (option === undefined) {
      throw new UsageError(`${command.name} has no option ${word}; \`vesper ${command.name} --help\` lists them`);
    }
    if (given.has(name)) throw new UsageError(`--${name} is given twice`);
    if (option.type === 'flag') {
      if (inline !== undefined) throw new UsageError(`--${name} takes no value`);
      given.set(name, true);
      continue;
    }
    const text = inline ?? words[++i];
    if (text === undefined || text === '' || text.startsWith('--')) {
      throw new UsageError(`--${name} needs a value: --${name} ${option.argument}`);
    }
    given.set(name, readValue(`--${name}`, option, text, directory));
  }
  return { kind: 'run', command: command.name, options: withDefaults(command, given),
    given: [...given.keys()].map(camelCase), positionals: readPositionals(command, free, directory),
    setup: command.setup, needs: command.needs };
}

function withDefaults(command, given) {
  const options = {};
  for (const option of command.options) {
    if (option.isRequired && !given.has(option.name)) {
      throw new UsageError(`${command.name} needs --${option.name} ${option.argument}`);
    }
    const absent = option.type === 'flag' ? false
      : option.type === 'path' && option.default !== null ? join(REPOSITORY, option.default) : option.default;
    options[camelCase(option.name)] = given.get(option.name) ?? absent;
  }
  return options;
}

function camelCase(name) {
  return name.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase());
}

function readPositionals(command, free, directory) {
  const positionals = {};
  command.positionals.forEach((positional, index) => {
    if (free[index] === undefined) {
      throw new UsageError(`${command.name} needs ${positional.argument}; see \`vesper ${command.name} --help\``);
    }
    positionals[positional.name] = readValue(positional.argument, positional, free[index], directory);
  });
  const extra = free[command.positionals.length];
  if (extra !== undefined) throw new UsageError(`${command.name} does not take ${JSON.stringify(extra)}`);
  return positionals;
}

function readValue(label, { type, min, max, choices }, text, directory) {
  const refuse = (expected) => new UsageError(`${label} must be ${expected}, not ${JSON.stringify(text)}`);
  switch (type) {
    case 'path': return resolve(directory, text);
    case 'text': return text;
    case 'name':
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) throw refuse('letters, digits, - and _');
      return text;
    case 'choice':
      if (!choices.includes(text)) throw refuse(choices.length === 1 ? choices[0] : `one of ${choices.join(', ')}`);
      return text;
    case 'integer':
      if (!/^\d{1,15}$/.test(text) || Number(text) < min || Number(text) > max) {
        throw refuse(`a whole number from ${min} to ${max}`);
      }
      return Number(text);
    case 'number':
      if (!/^-?(\d+(\.\d*)?(e[+-]?\d+)?|\.\d+)$/i.test(text) || Number(text) < min || Number(text) > max) {
        throw refuse(`a number from ${min} to ${max}`);
      }
      return Number(text);
    case 'id':
      if (!/^\d{1,19}$/.test(text) || BigInt(text) >= 2n ** 63n) throw refuse('a decimal number below 2⁶³');
      return text;
    case 'dayObs':
      if (!isDayObs(text)) throw refuse('a date YYYYMMDD');
      return Number(text);
    case 'night':
      if (text === 'last') return 'last';
      if (!isDayObs(text)) throw refuse('`last` or a date YYYYMMDD');
      return Number(text);
    default: throw new Error(`commands.mjs: unknown type ${type}`);
  }
}

/** Eight digits that are a day of the calendar: 20260230 is none. */
function isDayObs(text) {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})$/.exec(text) ?? [];
  if (year === undefined) return false;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}
