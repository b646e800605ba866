// Command lines that are good: what reaches the agent, the exit codes, help, colours,
// and the built executable in a process of its own.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, describe, expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/load.ts';
import { cli } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'rxscope-cli-'));
const file = join(dir, 'rxscope.yaml');
afterAll(() => rmSync(dir, { recursive: true }));

describe('run', () => {
  test('hands over the defaults when nothing is said', async () => {
    const { code, err, run } = await cli(['run']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(run.map(({ config }) => config)).toEqual([effectiveConfig()]);
  });

  test.each([
    { form: 'with blanks', join: (flag: string, value: string) => [flag, value] },
    { form: 'with equals signs', join: (flag: string, value: string) => [`${flag}=${value}`] },
  ])('takes every option $form', async ({ join }) => {
    const { code, run } = await cli([
      'run',
      ...join('--web.listen-address', '[::1]:0'),
      ...join('--web.config.file', 'web.yml'),
      ...join('--web.max-requests', '7'),
      ...join('--log.level', 'debug'),
      ...join('--log.format', 'json'),
      ...join('--backend', 'libbpf'),
      ...join('--profile', 'hft'),
      ...join('--probe', 'irq_to_softirq'),
      ...join('--probe', 'receive_to_socket'),
      '--no-process-metrics',
      '--bpf-stats',
      '--strict',
    ]);
    expect(code).toBe(0);
    expect(run[0]?.config).toMatchObject({
      profile: 'hft',
      backend: 'libbpf',
      probes: {
        irq_to_softirq: { enabled: true, budget_ns: 20_000 },
        softirq_to_socket: { enabled: false },
        receive_to_socket: { enabled: true },
      },
      web: {
        listen_address: { host: '::1', port: 0 },
        config_file: 'web.yml',
        requests_in_flight_max: 7,
      },
      log: { level: 'debug', format: 'json' },
      process_metrics: false,
      bpf_stats: true,
      strict: true,
    });
  });

  test('leaves to the file what no flag says', async () => {
    writeFileSync(file, 'process_metrics: false\nbpf_stats: true\nstrict: true\nprofile: voip\n');
    const { run } = await cli(['run', '--config.file', file]);
    expect(run[0]?.config).toEqual(effectiveConfig({ configFile: file }));
  });

  test('hands over flags that a reload can lay over the changed file', async () => {
    writeFileSync(file, 'log: { level: error, format: json }\n');
    const { run } = await cli(['run', '--config.file', file, '--log.level', 'debug']);
    writeFileSync(file, 'log: { level: fatal, format: pretty }\n');
    expect(effectiveConfig(run[0]?.flags).log).toEqual({ level: 'debug', format: 'pretty' });
  });
});

describe('record and probes', () => {
  test('record measures for ten seconds unless told otherwise', async () => {
    const { record } = await cli(['record']);
    expect(record).toEqual([
      { config: effectiveConfig(), durationMs: 10_000, json: false, exact: false },
    ]);
  });

  test('record takes all of its options', async () => {
    writeFileSync(file, 'probes: { receive_to_socket: { budget: 31us } }\n');
    const { record } = await cli([
      ...['record', '--duration', '1.5s', '--json', '--exact'],
      ...['--probe', 'receive_to_socket', '--config.file', file],
    ]);
    const config = effectiveConfig({ configFile: file, probes: ['receive_to_socket'] });
    expect(record).toEqual([{ config, durationMs: 1_500, json: true, exact: true }]);
  });

  test('probes takes all of its options', async () => {
    writeFileSync(file, 'strict: true\n');
    const { probes } = await cli(['probes', '--json', '--config.file', file]);
    expect(probes).toEqual([{ config: effectiveConfig({ configFile: file }), json: true }]);
  });
});

describe('check-config', () => {
  test('prints the settings in effect', async () => {
    const yaml = `
profile: hft
probes:
  softirq_to_socket: { enabled: false }
  receive_to_socket: { budget: 1.5ms }
  wakeup_to_run: { enabled: true }
web: { listen_address: "[::1]:9100" }
strict: true
`;
    writeFileSync(file, yaml);
    expect(await cli(['check-config', file])).toMatchObject({
      code: 0,
      err: '',
      out: `${file}: ok
  profile                 hft
  irq_to_softirq          on, budget 20us
  softirq_to_socket       off
  receive_to_socket       on, budget 1.5ms
  softirq_raise_to_entry  on, budget 50us
  backlog_wait            off
  socket_to_read          off
  wakeup_to_run           on, budget 50us
  napi_poll               off
  hardirq_duration        on, budget 20us
  softirq_duration        off
  drops                   on
  backend                 auto
  labels                  cpu auto
  limits                  2000 series, 16 devices
  outliers                100 a second and CPU, 8 pages a CPU, 100 kept
  web                     [::1]:9100, 40 requests in flight
  log                     info, auto
  extras                  process metrics, strict
`,
    });
  });
});

describe('exit codes', () => {
  test.each(['run', 'record', 'probes'])('%s ends with the code of its action', async (command) => {
    expect((await cli([command], async () => 0)).code).toBe(0);
    expect((await cli([command], async () => 1)).code).toBe(1);
  });

  test('a refusal by the system is one line and 1', async () => {
    const error = Object.assign(new Error('listen EADDRINUSE: 127.0.0.1:10750'), {
      code: 'EADDRINUSE',
    });
    const { code, err } = await cli(['run'], () => Promise.reject(error));
    expect({ code, err }).toEqual({
      code: 1,
      err: 'rxscope: listen EADDRINUSE: 127.0.0.1:10750\n',
    });
  });

  test('a bug shows where it is, and is 1', async () => {
    const { code, err } = await cli(['run'], () => Promise.reject(new TypeError('no such thing')));
    expect(code).toBe(1);
    expect(err).toMatch(/^rxscope: TypeError: no such thing\n {4}at .*program\.test\.ts/);
  });
});

describe('help', () => {
  test('names every command, with examples', async () => {
    const { code, out, err } = await cli(['--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const command of ['run', 'record', 'probes', 'trace', 'check-config', 'rules']) {
      expect(out).toMatch(new RegExp(`^ {2}${command} `, 'm'));
      expect(out).toContain(`rxscope ${command}`);
    }
    expect(out).not.toMatch(/\b(top|doctor)\b/);
  });

  const COMMANDS = ['run', 'record', 'probes', 'trace', 'check-config', 'rules'];
  test.each(COMMANDS)('of %s has examples', async (command) => {
    const { code, out } = await cli([command, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: rxscope ${command} `);
    expect(out).toContain(`\nExamples:\n  rxscope ${command}`);
  });

  test.each(['run', 'record', 'probes'])('of %s states a default for each option', async (name) => {
    const options = (await cli([name, '--help'])).out.split(/^Options:\n|\n\n/m)[3] ?? '';
    const described = options.split(/\n(?= {2}-)/).filter((text) => !/--help|--no-/.test(text));
    expect(described.length).toBeGreaterThan(1);
    for (const text of described) expect(text.replaceAll(/\s+/g, ' ')).toMatch(/\(default: .+\)$/);
  });

  test('states the defaults that hold', async () => {
    const { out } = await cli(['run', '--help']);
    const text = out.replaceAll(/\s+/g, ' ');
    expect(text).toContain('(default: 127.0.0.1:10750)');
    expect(text).toContain('more get a 503 (default: 40)');
    expect(text).toContain('(default: info)');
  });
});

describe('colours', () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are the point.
  const ESCAPE = /\x1b\[/;

  test('appear where they are welcome', async () => {
    writeFileSync(file, '');
    expect((await cli(['run', '--help'], undefined, true)).out).toMatch(ESCAPE);
    expect((await cli(['check-config', file], undefined, true)).out).toMatch(ESCAPE);
    expect((await cli(['run', '--log.level=x'], undefined, true)).err).toMatch(ESCAPE);
  });

  test('appear nowhere else', async () => {
    for (const argv of [
      ['run', '--help'],
      ['check-config', file],
      ['run', '--log.level=x'],
      ['x'],
    ]) {
      const { out, err } = await cli(argv);
      expect(out + err).not.toMatch(ESCAPE);
    }
  });
});

describe('the built executable', () => {
  const main = fileURLToPath(new URL('../../dist/commands/main.js', import.meta.url));
  const rxscope = (argv: readonly string[], env: Record<string, string> = {}) =>
    execa(process.execPath, [main, ...argv], { reject: false, env, stripFinalNewline: false });

  const bash = (line: string) =>
    execa({
      reject: false,
      shell: '/bin/bash',
      stripFinalNewline: false,
      stdin: 'ignore',
    })`${line}`;

  test('is there: npm test builds it first', () => {
    expect(existsSync(main)).toBe(true);
  });

  test('prints its version', async () => {
    const { exitCode, stdout } = await rxscope(['--version']);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^rxscope \d+\.\d+\.\d+\n$/),
    });
  });

  test('ends with 2 on wrong usage, and says so on stderr only', async () => {
    const { exitCode, stdout, stderr } = await rxscope(['run', '--strct']);
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        "rxscope run: unknown option '--strct'; did you mean --strict?\nSee `rxscope run --help`.\n",
    });
  });

  test('ends with 2 on a bad configuration and with 0 on a good one', async () => {
    writeFileSync(file, 'strict: maybe\n');
    expect(await rxscope(['check-config', file])).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: `${file}: strict: got "maybe", expected true or false\n`,
    });
    writeFileSync(file, 'strict: false\n');
    expect(await rxscope(['check-config', file])).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('colours a pipe only when forced, and never against NO_COLOR', async () => {
    const green = `${file}: \x1b[32mok\x1b[39m`;
    const firstLine = async (env: Record<string, string>) =>
      (
        await rxscope(['check-config', file], { FORCE_COLOR: '', NO_COLOR: '', ...env })
      ).stdout.split('\n')[0];
    expect(await firstLine({ CI: 'true' })).toBe(`${file}: ok`);
    expect(await firstLine({ FORCE_COLOR: '1' })).toBe(green);
    expect(await firstLine({ FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(`${file}: ok`);
  });

  test.each([
    ['--help'],
    ['--version'],
    ['rules'],
    ['trace'],
    ['check-config', '/dev/null'],
    ['run', '--help'],
  ])('%s %s into a full disk ends with 1 and one sentence', async (...argv) => {
    const { exitCode, stderr } = await bash(
      `${process.execPath} ${main} ${argv.join(' ')} >/dev/full`,
    );
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: 'rxscope: cannot write to standard output: ENOSPC, no space is left on the device\n',
    });
  });

  test('a disk that fills in the middle is a failure, too', async () => {
    const { exitCode, stderr } = await bash(
      `ulimit -f 1; ${process.execPath} ${main} rules > ${join(dir, 'cut.md')}`,
    );
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr:
        'rxscope: cannot write to standard output: EFBIG, the file would be larger than is allowed\n',
    });
  });

  test('an error that nobody can be told of is no second one', async () => {
    expect((await bash(`${process.execPath} ${main} nonsense 2>/dev/full`)).exitCode).toBe(2);
    expect((await bash(`${process.execPath} ${main} rules >/dev/full 2>/dev/full`)).exitCode).toBe(
      1,
    );
  });

  test.each([24, 25])(
    'with %d descriptors it says in one sentence what it lacks',
    async (limit) => {
      for (const command of ['run', 'record', 'probes']) {
        const { exitCode, stderr, stdout } = await bash(
          `ulimit -n ${limit}; exec ${process.execPath} ${main} ${command}`,
        );
        expect({ exitCode, stdout, stderr }).toEqual({
          exitCode: 1,
          stdout: '',
          stderr: expect.stringMatching(/^rxscope: EMFILE: .* `ulimit -n 1024` .*\n$/),
        });
      }
    },
  );

  test('with enough descriptors to load it, each probe says what it lacks', async () => {
    const { exitCode, stdout } = await bash(
      `ulimit -n 40; exec ${process.execPath} ${main} probes`,
    );
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^irq_to_softirq +not up: EMFILE: .* `ulimit -n 1024`/);
  });

  test('does not mind a reader that has seen enough', async () => {
    const { exitCode, stderr } = await execa({
      reject: false,
      shell: '/bin/bash',
    })`set -o pipefail; ${process.execPath} ${main} run --help | true`;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });
});
