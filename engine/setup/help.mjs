// Help texts, made from the table in commands.mjs.
import { COMMANDS } from './commands.mjs';

export function overallHelp() {
  return [
    'Vesper turns a telescope\'s raw exposures into alerts.',
    '',
    'Usage: vesper COMMAND [OPTIONS]      (in the checkout: npx vesper …; npm start is `vesper night`)',
    '',
    ...columns(COMMANDS.map(({ name, summary }) => [name, summary])),
    '',
    '`vesper COMMAND --help` explains one, with an example. VESPER_NATS_URL, VESPER_POSTGRES_URL and VESPER_REDIS_URL',
    'name existing servers; without them private ones are started.',
    '',
    'Example: npm start -- --visits 3',
  ].join('\n');
}

export function groupHelp(group, commands) {
  return [
    `Usage: vesper ${group} ${commands.map(({ name }) => name.split(' ')[1]).join('|')} [OPTIONS]`,
    '',
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    '',
    `Example: ${commands[0].examples[0]}`,
  ].join('\n');
}

export function commandHelp(command) {
  const required = command.options.filter(({ isRequired }) => isRequired);
  const words = [command.name, ...command.positionals.map(({ argument }) => argument),
    ...required.map(({ name, argument }) => `--${name} ${argument}`),
    ...(command.options.length > required.length ? ['[OPTIONS]'] : [])];
  const options = command.options.map((option) => [
    `--${option.name}${option.argument === undefined ? '' : ` ${option.argument}`}`,
    `${option.explanation}${defaultOf(option)}`,
  ]);
  return [
    `vesper ${command.name}: ${command.summary}`,
    '',
    `Usage: vesper ${words.join(' ')}`,
    '',
    ...command.description,
    '',
    ...columns([
      ...command.positionals.map(({ argument, explanation }) => [argument, explanation]),
      ...options,
      ['--help', 'print this'],
    ]),
    '',
    ...command.examples.map((example) => `Example: ${example}`),
  ].join('\n');
}

function defaultOf({ default: value, isRequired }) {
  if (isRequired) return ' (required)';
  return value === undefined || value === null ? '' : ` (default ${value})`;
}

function columns(rows) {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
