// Command lines that cannot be used, each with its exact and complete message and exit code 2.
// Whatever is wrong, nothing of the agent may have started.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/probes/index.ts';
import { cli } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'rxscope-bad-usage-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** As a message lists the probes. */
const KNOWN = new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(
  CATALOGUE.map(({ id }) => id),
);

interface Row {
  readonly title: string;
  readonly argv: readonly string[];
  readonly lines: readonly string[];
}

const ADDRESS =
  'expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535';

const COMMANDS: readonly Row[] = [
  {
    title: 'a command of a later release is as unknown as any',
    argv: ['top'],
    lines: ["rxscope: unknown command 'top'", 'See `rxscope --help`.'],
  },
  {
    title: 'a mistyped command is guessed',
    argv: ['recrod', '--json'],
    lines: ["rxscope: unknown command 'recrod'; did you mean record?", 'See `rxscope --help`.'],
  },
  {
    title: 'a command with an underscore is guessed',
    argv: ['check_config', 'rxscope.yaml'],
    lines: [
      "rxscope: unknown command 'check_config'; did you mean check-config?",
      'See `rxscope --help`.',
    ],
  },
  {
    title: 'an empty command',
    argv: [''],
    lines: ["rxscope: unknown command ''", 'See `rxscope --help`.'],
  },
  {
    title: 'an unknown option in place of a command',
    argv: ['--frobnicate'],
    lines: ["rxscope: unknown option '--frobnicate'", 'See `rxscope --help`.'],
  },
  {
    title: 'a mistyped option in place of a command is guessed',
    argv: ['--versoin'],
    lines: [
      "rxscope: unknown option '--versoin'; did you mean --version?",
      'See `rxscope --help`.',
    ],
  },
  {
    title: 'an option of a command in front of it',
    argv: ['--config.file', 'rxscope.yaml', 'run'],
    lines: [
      "rxscope: option '--config.file' belongs behind a command, as in rxscope run --config.file",
      'See `rxscope --help`.',
    ],
  },
  {
    title: 'an option of a command with its value in front of it',
    argv: ['--duration=60s', 'record'],
    lines: [
      "rxscope: option '--duration' belongs behind a command, as in rxscope record --duration",
      'See `rxscope --help`.',
    ],
  },
];

const OPTIONS: readonly Row[] = [
  {
    title: 'a mistyped option with dots is guessed',
    argv: ['run', '--web.listen-adress', ':10750'],
    lines: [
      "rxscope run: unknown option '--web.listen-adress'; did you mean --web.listen-address?",
      'See `rxscope run --help`.',
    ],
  },
  {
    title: 'a dot instead of a hyphen is guessed',
    argv: ['run', '--web.listen.address=:10750'],
    lines: [
      "rxscope run: unknown option '--web.listen.address=:10750'; did you mean --web.listen-address?",
      'See `rxscope run --help`.',
    ],
  },
  {
    title: 'an unknown short option',
    argv: ['run', '-v'],
    lines: ["rxscope run: unknown option '-v'", 'See `rxscope run --help`.'],
  },
  {
    title: 'an option of another command',
    argv: ['run', '--exact'],
    lines: ["rxscope run: unknown option '--exact'", 'See `rxscope run --help`.'],
  },
  {
    title: 'an option without its value',
    argv: ['run', '--config.file'],
    lines: [
      "rxscope run: option '--config.file <file>' argument missing",
      'See `rxscope run --help`.',
    ],
  },
  {
    title: 'a probe option without its value',
    argv: ['record', '--probe'],
    lines: [
      "rxscope record: option '--probe <id>' argument missing",
      'See `rxscope record --help`.',
    ],
  },
  {
    title: 'a switch with a value',
    argv: ['run', '--strict=1'],
    lines: [
      "rxscope run: unknown option '--strict=1'; did you mean --strict?",
      'See `rxscope run --help`.',
    ],
  },
  {
    title: 'a value without an option',
    argv: ['run', 'eth0'],
    lines: ["rxscope run: unexpected argument 'eth0'", 'See `rxscope run --help`.'],
  },
  {
    title: 'a value behind a switch',
    argv: ['probes', '--json', 'true'],
    lines: ["rxscope probes: unexpected argument 'true'", 'See `rxscope probes --help`.'],
  },
  {
    title: 'check-config without a file',
    argv: ['check-config'],
    lines: [
      'rxscope check-config: expected a configuration file, or --web with one',
      'See `rxscope check-config --help`.',
    ],
  },
  {
    title: 'check-config with two files',
    argv: ['check-config', 'a.yaml', 'b.yaml'],
    lines: [
      "rxscope check-config: unexpected argument 'b.yaml'",
      'See `rxscope check-config --help`.',
    ],
  },
];

const VALUES: readonly Row[] = [
  {
    title: 'a mistyped log level is guessed',
    argv: ['run', '--log.level', 'wran'],
    lines: [
      '--log.level: got "wran", expected fatal, error, warn, info, debug or trace; did you mean warn?',
    ],
  },
  {
    title: 'an empty log level',
    argv: ['run', '--log.level='],
    lines: ['--log.level: got "", expected fatal, error, warn, info, debug or trace'],
  },
  {
    title: 'a numeric log level',
    argv: ['run', '--log.level=30'],
    lines: ['--log.level: got 30, expected fatal, error, warn, info, debug or trace'],
  },
  {
    title: 'an unknown log format',
    argv: ['run', '--log.format=logfmt'],
    lines: ['--log.format: got "logfmt", expected auto, json or pretty'],
  },
  {
    title: 'an address without a port',
    argv: ['run', '--web.listen-address', '127.0.0.1'],
    lines: [`--web.listen-address: got "127.0.0.1", ${ADDRESS}`],
  },
  {
    title: 'a port alone',
    argv: ['run', '--web.listen-address', '10750'],
    lines: [`--web.listen-address: got 10750, ${ADDRESS}`],
  },
  {
    title: 'a port too high',
    argv: ['run', '--web.listen-address=:70000'],
    lines: [`--web.listen-address: got ":70000", ${ADDRESS}`],
  },
  {
    title: 'an IPv6 address without brackets',
    argv: ['run', '--web.listen-address=::1:10750'],
    lines: [`--web.listen-address: got "::1:10750", ${ADDRESS}`],
  },
  {
    title: 'a negative number of requests',
    argv: ['run', '--web.max-requests', '-5'],
    lines: ['--web.max-requests: got -5, expected a whole number from 1 to 1000'],
  },
  {
    title: 'a number of requests in words',
    argv: ['run', '--web.max-requests', 'forty'],
    lines: ['--web.max-requests: got "forty", expected a whole number from 1 to 1000'],
  },
  {
    title: 'an unknown rung',
    argv: ['probes', '--try', 'kprob'],
    lines: [
      "rxscope probes: option '--try <rung>' argument 'kprob' is invalid. expected fentry, kprobe, tp_btf, raw_tp, tracepoint or bpftrace; did you mean kprobe?",
      'See `rxscope probes --help`.',
    ],
  },
  {
    title: 'an unknown backend',
    argv: ['run', '--backend', 'bpftrac'],
    lines: ['--backend: got "bpftrac", expected auto, libbpf or bpftrace; did you mean bpftrace?'],
  },
  {
    title: 'an unknown profile',
    argv: ['run', '--profile', 'database'],
    lines: ['--profile: got "database", expected hft, gaming, voip or web'],
  },
  {
    title: 'a mistyped probe beside a good one',
    argv: ['run', '--probe', 'irq_to_softirq', '--probe', 'recieve_to_socket'],
    lines: ['--probe: unknown probe "recieve_to_socket"; did you mean receive_to_socket?'],
  },
  {
    title: 'a word for all probes',
    argv: ['run', '--probe', 'all'],
    lines: [`--probe: unknown probe "all", expected one of ${KNOWN}`],
  },
  {
    title: 'a file that does not exist',
    argv: ['run', '--config.file', '/nonexistent/rxscope.yaml'],
    lines: [
      '/nonexistent/rxscope.yaml: cannot be read (ENOENT): there is no such file; check the path',
    ],
  },
  {
    title: 'an empty file name',
    argv: ['probes', '--config.file='],
    lines: ['--config.file: expected the path of a YAML file, got an empty one'],
  },
  {
    title: 'a switch swallowed as a file name',
    argv: ['probes', '--config.file', '--json'],
    lines: ['--json: cannot be read (ENOENT): there is no such file; check the path'],
  },
  {
    title: 'a duration without a unit',
    argv: ['record', '--duration', '10'],
    lines: [
      '--duration: got "10", expected a duration with its unit, such as 100us or 10s: a plain number does not say whether ns, us, ms or s is meant',
    ],
  },
  {
    title: 'a duration with an unknown unit',
    argv: ['record', '--duration', '5min'],
    lines: [
      '--duration: got "5min", expected a duration such as 100us: a number with one of ns, us, µs, ms or s',
    ],
  },
  {
    title: 'a duration that is too short',
    argv: ['record', '--duration=99ms'],
    lines: ['--duration: got "99ms", expected a duration from 100ms to 3600s'],
  },
  {
    title: 'a duration that is too long',
    argv: ['record', '--duration=3601s'],
    lines: ['--duration: got "3601s", expected a duration from 100ms to 3600s'],
  },
  {
    title: 'everything wrong at once',
    argv: [
      ...['record', '--duration', 'soon', '--probe', 'irq2softirq'],
      ...['--config.file', '/nonexistent.yaml'],
    ],
    lines: [
      '--duration: got "soon", expected a duration such as 100us: a number with one of ns, us, µs, ms or s',
      '/nonexistent.yaml: cannot be read (ENOENT): there is no such file; check the path',
      '--probe: unknown probe "irq2softirq"; did you mean irq_to_softirq?',
    ],
  },
];

describe('a command line is refused with its exact message:', () => {
  test.each([...COMMANDS, ...OPTIONS, ...VALUES])('$title', async ({ argv, lines }) => {
    expect(await cli(argv)).toEqual({
      code: 2,
      out: '',
      err: lines.map((line) => `${line}\n`).join(''),
      run: [],
      record: [],
      probes: [],
      trace: [],
    });
  });
});

describe('a bad configuration file is refused', () => {
  const file = join(dir, 'rxscope.yaml');

  test.each([
    { command: 'run', argv: ['run', '--config.file', file] },
    { command: 'record', argv: ['record', '--config.file', file] },
    { command: 'probes', argv: ['probes', `--config.file=${file}`] },
    { command: 'check-config', argv: ['check-config', file] },
  ])('by $command, with every problem', async ({ argv }) => {
    writeFileSync(file, 'stirct: true\nweb: { requests_in_flight_max: 0 }\n');
    expect(await cli(argv)).toEqual({
      code: 2,
      out: '',
      err:
        `${file}: web.requests_in_flight_max: got 0, expected a whole number from 1 to 1000\n` +
        `${file}: stirct: unknown setting; did you mean strict?\n`,
      run: [],
      record: [],
      probes: [],
      trace: [],
    });
  });

  test('together with the flags that are wrong too', async () => {
    writeFileSync(file, 'strict: 1\n');
    const { code, err } = await cli(['run', '--config.file', file, '--log.level', 'loud']);
    expect({ code, err }).toEqual({
      code: 2,
      err:
        `${file}: strict: got 1, expected true or false\n` +
        '--log.level: got "loud", expected fatal, error, warn, info, debug or trace\n',
    });
  });

  test('even where a flag would override what is wrong in it', async () => {
    writeFileSync(file, 'log: { level: loud }\n');
    const { code, err } = await cli(['run', '--config.file', file, '--log.level', 'warn']);
    expect({ code, err }).toEqual({
      code: 2,
      err: `${file}: log.level: got "loud", expected fatal, error, warn, info, debug or trace\n`,
    });
  });
});

test('without a command the help goes to stderr and the exit code is 2', async () => {
  const { code, out, err } = await cli([]);
  const help = await cli(['--help']);
  expect({ code, out, err }).toEqual({ code: 2, out: '', err: help.out });
});
