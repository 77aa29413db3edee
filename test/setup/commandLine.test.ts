import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { REPOSITORY, parseArguments, userDirectory } from '../../engine/setup/arguments.mjs';
import { COMMANDS } from '../../engine/setup/commands.mjs';
import { bareCheckout } from './checkout.ts';

/** Debian's own Node, older than ours, where there is one. */
const SYSTEM_NODE = existsSync('/usr/bin/node') ? '/usr/bin/node' : process.execPath;

const words = (line: string) => line.split(' ').filter((word) => word !== '');

describe('parseArguments', () => {
  test('a night without options is the default night in the checkout\'s own data directory', () => {
    expect(parseArguments(['night'])).toMatchObject({
      kind: 'run', command: 'night', given: [],
      options: { visits: 6, cadence: 10, camera: 'minicam', seed: 1, json: false, keepRunning: false, dashboardPort: 0,
        dataDir: join(REPOSITORY, '.vesper') },
    });
  });

  test('options are read after a space or an equals sign, and those given are named', () => {
    expect(parseArguments(words('night --visits=3 --cadence 2.5 --keep-running --json'))).toMatchObject({
      options: { visits: 3, cadence: 2.5, keepRunning: true, json: true },
      given: ['visits', 'cadence', 'keepRunning', 'json'],
    });
  });

  test('paths are taken from where the user stands', () => {
    const parsed = parseArguments(words('series frames --data-dir ../d --reference r.fits'), { directory: '/home/u' });
    expect(parsed).toMatchObject({
      positionals: { directory: '/home/u/frames' }, options: { dataDir: '/home/d', reference: 'r.fits' },
    });
    expect(userDirectory({ npm_lifecycle_event: 'start', INIT_CWD: '/home/u' })).toBe('/home/u');
    expect(userDirectory({ npm_lifecycle_event: 'npx', INIT_CWD: '/home/u' })).toBe(process.cwd());
  });

  test('ids keep all 64 bits and nights are numbers', () => {
    expect(parseArguments(words('alerts get 9223372036854775807 --raw')))
      .toMatchObject({ command: 'alerts get', positionals: { diaSourceId: '9223372036854775807' } });
    expect(parseArguments(words('replay 20260228'))).toMatchObject({ positionals: { night: 20260228 } });
    expect(parseArguments(words('replay last'))).toMatchObject({ positionals: { night: 'last' } });
  });

  test.each([
    ['', 'name a command'],
    ['nigth', 'no command nigth'],
    ['night --visit 3', 'no option --visit'],
    ['night -v', 'no option -v'],
    ['night --visits 0', '--visits must be a whole number from 1'],
    ['night --visits 2.5', '--visits must be a whole number'],
    ['night --visits 1e3', '--visits must be a whole number'],
    ['night --cadence NaN', '--cadence must be a number from'],
    ['night --seed -1', '--seed must be a whole number from 0'],
    ['night --visits', '--visits needs a value'],
    ['night --visits --json', '--visits needs a value'],
    ['night --visits 1 --visits 2', '--visits is given twice'],
    ['night --json=yes', '--json takes no value'],
    ['night --camera hubble', '--camera must be one of minicam, '],
    ['night tonight', 'does not take "tonight"'],
    ['night --dashboard-port 65536', '--dashboard-port must be'],
    ['series', 'series needs DIR'],
    ['replay', 'replay needs last|DAYOBS'],
    ['replay 20260230', 'a date YYYYMMDD'],
    ['verify --night yesterday', '--night must be a date'],
    ['verify --instrument a/b', '--instrument must be'],
    ['alerts', 'alerts needs one of: tail, get, export, replay, release, quality, voevent'],
    ['alerts send', 'not send'],
    ['alerts get', 'alerts get needs DIASOURCEID'],
    ['alerts get 9223372036854775808', 'below 2⁶³'],
    ['alerts get 12x', 'a decimal number'],
    ['alerts export', 'alerts export needs --out DIR'],
    ['filter', 'filter needs one of: list, explain, status, create, edit, activate, deactivate, deliver, test'],
    ['filter explain bright', 'filter explain needs DIASOURCEID'],
    ['filter test', 'filter test needs FILTER'],
    ['filter test bright --share-max 2', '--share-max must be'],
    ['filter create mine', 'filter create needs --expression CEL'],
    ['access', 'access needs one of: grant, revoke, list'],
    ['access grant a/b', 'USER must be letters'],
    ['clean', 'clean needs --older-than DAYS'],
    ['bench day', 'must be one of night, simulator, ephemerides'],
  ])('`vesper %s` is refused in one line', (line, reason) => {
    const parsed = parseArguments(words(line));
    expect(parsed.kind).toBe('usage');
    const message = parsed.kind === 'usage' ? parsed.message : '';
    expect(message).toContain(reason);
    expect(message).not.toContain('\n');
  });

  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    '`vesper %s --help` names every option and gives an example that parses', (name, command) => {
      const parsed = parseArguments([...words(name), '--nonsense', '--help']);
      const text = parsed.kind === 'help' ? parsed.text : '';
      for (const option of command.options) expect(text).toContain(`--${option.name}`);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const example of command.examples) {
        expect(text).toContain(`Example: ${example}`);
        const line = example.replace(/^npm start (--silent )?--/, 'night').replace(/^vesper /, '').replace(/ > .*/, '');
        expect(parseArguments(words(line))).toMatchObject({ kind: 'run', command: name });
      }
      for (const row of text.split('\n')) expect(row.length).toBeLessThanOrEqual(120);
    },
  );
});

describe('vesper before anything is installed', () => {
  const vesper = (checkout: string, line: string) => spawnSync(
    SYSTEM_NODE, [join(checkout, 'engine', 'setup', 'vesper.mjs'), ...words(line)], { encoding: 'utf8' },
  );

  test('help and version answer with exit 0 and install nothing', () => {
    const checkout = bareCheckout();
    for (const line of ['--help', 'night --help', 'alerts --help', 'help replay', 'version', '--version']) {
      const { status, stdout, stderr } = vesper(checkout, line);
      expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: '' });
      expect(stdout).toContain('vesper');
    }
    expect(existsSync(join(checkout, 'node_modules'))).toBe(false);
    expect(existsSync(join(checkout, '.vesper'))).toBe(false);
  });

  test('usage errors are one line on stderr with exit 2 and install nothing', () => {
    const checkout = bareCheckout();
    for (const line of ['', 'nigth', 'night --visits none', 'series']) {
      const { status, stdout, stderr } = vesper(checkout, line);
      expect({ line, status, stdout }).toEqual({ line, status: 2, stdout: '' });
      expect(stderr).toMatch(/^vesper: [^\n]+\n$/);
    }
    expect(existsSync(join(checkout, 'node_modules'))).toBe(false);
  });

  test('doctor names the packages that are not installed, exits 1 and changes nothing', () => {
    const checkout = bareCheckout();
    const { status, stdout } = vesper(checkout, 'doctor --json');
    expect(status).toBe(1);
    expect(JSON.parse(stdout).problems).toContain('the npm packages are not those of package-lock.json: npm ci');
    expect(existsSync(join(checkout, '.vesper'))).toBe(false);
  });

  test('`npm test -- --help` answers', () => {
    const checkout = bareCheckout();
    const script = join(checkout, 'engine', 'setup', 'test.mjs');
    const { status, stdout } = spawnSync(SYSTEM_NODE, [script, '--help'], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toContain('N passed, N failed');
    expect(existsSync(join(checkout, 'node_modules'))).toBe(false);
  });
});
