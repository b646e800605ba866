// Configuration files that cannot be used, each with its exact and complete message.
// Real files in a temporary directory, read the way that `rxscope run` reads them.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { CATALOGUE } from '../../src/probes/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'rxscope-bad-config-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** As a message lists the probes. */
const KNOWN = new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(
  CATALOGUE.map(({ id }) => id),
);

interface Row {
  readonly title: string;
  readonly yaml: string;
  /** Each without the file's name and the colon behind it, which begin every line. */
  readonly problems: readonly string[];
}

const SETTINGS: readonly Row[] = [
  {
    title: 'a mistyped section is guessed',
    yaml: 'prbes: {}\n',
    problems: ['prbes: unknown setting; did you mean probes?'],
  },
  {
    title: 'an unknown setting without a likely guess lists what there is',
    yaml: 'web: { tls: true }\n',
    problems: [
      'web.tls: unknown setting, expected one of listen_address, config_file or requests_in_flight_max',
    ],
  },
  {
    title: 'hyphens instead of underscores are guessed',
    yaml: 'web: { listen-address: ":10750" }\n',
    problems: ['web.listen-address: unknown setting; did you mean listen_address?'],
  },
  {
    title: 'a merge key is an unknown setting',
    yaml: '<<: { strict: true }\n',
    problems: [
      '"<<": unknown setting, expected one of profile, probes, backend, labels, devices_max, series_max, events, outliers_kept, web, log, process_metrics, bpf_stats or strict',
    ],
  },
  {
    title: '__proto__ is an unknown setting',
    yaml: '__proto__: { strict: true }\n',
    problems: [
      '__proto__: unknown setting, expected one of profile, probes, backend, labels, devices_max, series_max, events, outliers_kept, web, log, process_metrics, bpf_stats or strict',
    ],
  },
  {
    title: 'keys that every object inherits are unknown, too',
    yaml: 'constructor: 1\nprobes: { __proto__: {}, toString: {} }\nprofile: constructor\n',
    problems: [
      'profile: got "constructor", expected hft, gaming, voip or web',
      ...['__proto__', 'toString'].map(
        (key) => `probes.${key}: unknown probe, expected one of ${KNOWN}`,
      ),
      'constructor: unknown setting, expected one of profile, probes, backend, labels, devices_max, series_max, events, outliers_kept, web, log, process_metrics, bpf_stats or strict',
    ],
  },
  {
    title: 'a budget whose unit every object inherits',
    yaml: 'probes: { irq_to_softirq: { budget: 5 constructor } }\n',
    problems: [
      'probes.irq_to_softirq.budget: got "5 constructor", expected a duration such as 100us: a number with one of ns, us, µs, ms or s',
    ],
  },
  {
    title: 'a mistyped probe is guessed',
    yaml: 'probes:\n  recieve_to_socket: { enabled: true }\n',
    problems: ['probes.recieve_to_socket: unknown probe; did you mean receive_to_socket?'],
  },
  {
    title: 'an unknown probe without a likely guess lists the catalogue',
    yaml: 'probes: { tcp_retransmits: {} }\n',
    problems: [`probes.tcp_retransmits: unknown probe, expected one of ${KNOWN}`],
  },
  {
    title: 'a budget for drops, which are no latency',
    yaml: 'probes: { drops: { budget: 100us } }\n',
    problems: ['probes.drops.budget: unknown setting, expected one of enabled'],
  },
  {
    title: 'a mistyped setting of a probe is guessed',
    yaml: 'probes: { irq_to_softirq: { buget: 50us } }\n',
    problems: ['probes.irq_to_softirq.buget: unknown setting; did you mean budget?'],
  },
  {
    title: 'a probe switched off by a bare false',
    yaml: 'probes: { irq_to_softirq: false }\n',
    problems: ['probes.irq_to_softirq: got false, expected a mapping of settings'],
  },
  {
    title: 'probes as a list',
    yaml: 'probes: [irq_to_softirq]\n',
    problems: ['probes: got ["irq_to_softirq"], expected a mapping of settings'],
  },
  {
    title: 'a budget without a unit',
    yaml: 'probes: { irq_to_softirq: { budget: 100 } }\n',
    problems: [
      'probes.irq_to_softirq.budget: got 100, expected a duration with its unit, such as 100us or 10s: a plain number does not say whether ns, us, ms or s is meant',
    ],
  },
  {
    title: 'a budget without a unit, in quotes',
    yaml: 'probes: { irq_to_softirq: { budget: "100" } }\n',
    problems: [
      'probes.irq_to_softirq.budget: got "100", expected a duration with its unit, such as 100us or 10s: a plain number does not say whether ns, us, ms or s is meant',
    ],
  },
  {
    title: 'a budget with an unknown unit',
    yaml: 'probes: { irq_to_softirq: { budget: 100usec } }\n',
    problems: [
      'probes.irq_to_softirq.budget: got "100usec", expected a duration such as 100us: a number with one of ns, us, µs, ms or s',
    ],
  },
  {
    title: 'a negative budget',
    yaml: 'probes: { softirq_to_socket: { budget: -5us } }\n',
    problems: [
      'probes.softirq_to_socket.budget: got "-5us", expected a duration such as 100us: a number with one of ns, us, µs, ms or s',
    ],
  },
  {
    title: 'a budget just below the lowest',
    yaml: 'probes: { softirq_to_socket: { budget: 999ns } }\n',
    problems: ['probes.softirq_to_socket.budget: got "999ns", expected a duration from 1us to 16s'],
  },
  {
    title: 'a budget just above the highest',
    yaml: 'probes: { receive_to_socket: { budget: 16.000000001s } }\n',
    problems: [
      'probes.receive_to_socket.budget: got "16.000000001s", expected a duration from 1us to 16s',
    ],
  },
  {
    title: 'a budget without a value',
    yaml: 'probes:\n  irq_to_softirq:\n    budget:\n',
    problems: [
      'probes.irq_to_softirq.budget: got nothing, expected a duration such as 100us: a number with one of ns, us, µs, ms or s',
    ],
  },
  {
    title: 'yes is not a boolean in YAML 1.2',
    yaml: 'probes: { irq_to_softirq: { enabled: yes } }\n',
    problems: ['probes.irq_to_softirq.enabled: got "yes", expected true or false'],
  },
  {
    title: 'an unknown profile',
    yaml: 'profile: voice\n',
    problems: ['profile: got "voice", expected hft, gaming, voip or web; did you mean voip?'],
  },
  {
    title: 'a mistyped profile is guessed',
    yaml: 'profile: gamming\n',
    problems: ['profile: got "gamming", expected hft, gaming, voip or web; did you mean gaming?'],
  },
  {
    title: 'a profile without a value',
    yaml: 'profile:\n',
    problems: ['profile: got nothing, expected hft, gaming, voip or web'],
  },
  {
    title: 'an unknown backend',
    yaml: 'backend: libpbf\n',
    problems: ['backend: got "libpbf", expected auto, libbpf or bpftrace; did you mean libbpf?'],
  },
  {
    title: 'a label choice as a boolean',
    yaml: 'labels: { cpu: true }\n',
    problems: ['labels.cpu: got true, expected auto, always or never'],
  },
  {
    title: 'device slots that are no power of two',
    yaml: 'devices_max: 12\n',
    problems: ['devices_max: got 12, expected a power of two from 4 to 64'],
  },
  {
    title: 'device slots beyond the highest power',
    yaml: 'devices_max: 128\n',
    problems: ['devices_max: got 128, expected a power of two from 4 to 64'],
  },
  {
    title: 'a cap that is neither whole nor in range is said once',
    yaml: 'series_max: 1.5\n',
    problems: ['series_max: got 1.5, expected a whole number from 1000 to 1000000'],
  },
  {
    title: 'a cap just below the lowest',
    yaml: 'series_max: 999\n',
    problems: ['series_max: got 999, expected a whole number from 1000 to 1000000'],
  },
  {
    title: 'a cap just above the highest',
    yaml: 'series_max: 1000001\n',
    problems: ['series_max: got 1000001, expected a whole number from 1000 to 1000000'],
  },
  {
    title: 'a cap in words',
    yaml: 'series_max: many\n',
    problems: ['series_max: got "many", expected a whole number from 1000 to 1000000'],
  },
  {
    title: 'a cap with digit separators, which YAML does not know',
    yaml: 'series_max: 10_000\n',
    problems: ['series_max: got "10_000", expected a whole number from 1000 to 1000000'],
  },
  {
    title: 'an endless rate',
    yaml: 'events: { per_cpu_per_second: .inf }\n',
    problems: ['events.per_cpu_per_second: got Infinity, expected a whole number from 1 to 100000'],
  },
  {
    title: 'a rate of nothing',
    yaml: 'events: { per_cpu_per_second: 0 }\n',
    problems: ['events.per_cpu_per_second: got 0, expected a whole number from 1 to 100000'],
  },
  {
    title: 'ring pages that are no power of two',
    yaml: 'events: { pages_per_cpu: 3 }\n',
    problems: ['events.pages_per_cpu: got 3, expected a power of two from 1 to 1024'],
  },
  {
    title: 'no outliers kept',
    yaml: 'outliers_kept: 0\n',
    problems: ['outliers_kept: got 0, expected a whole number from 1 to 10000'],
  },
  {
    title: 'a port alone as the address',
    yaml: 'web: { listen_address: 10750 }\n',
    problems: [
      'web.listen_address: got 10750, expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535',
    ],
  },
  {
    title: 'an address without a port',
    yaml: 'web: { listen_address: localhost }\n',
    problems: [
      'web.listen_address: got "localhost", expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535',
    ],
  },
  {
    title: 'a port beyond 65535',
    yaml: 'web: { listen_address: "127.0.0.1:65536" }\n',
    problems: [
      'web.listen_address: got "127.0.0.1:65536", expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535',
    ],
  },
  {
    title: 'an IPv6 address without brackets',
    yaml: 'web: { listen_address: "::1:10750" }\n',
    problems: [
      'web.listen_address: got "::1:10750", expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535',
    ],
  },
  {
    title: 'brackets around what is no IPv6 address',
    yaml: 'web: { listen_address: "[localhost]:10750" }\n',
    problems: [
      'web.listen_address: got "[localhost]:10750", expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535',
    ],
  },
  {
    title: 'an impossible IPv4 address',
    yaml: 'web: { listen_address: "127.0.0.256:10750" }\n',
    problems: [
      'web.listen_address: got "127.0.0.256:10750", expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535',
    ],
  },
  {
    title: 'a URL as the address',
    yaml: 'web: { listen_address: "http://127.0.0.1:10750" }\n',
    problems: [
      'web.listen_address: got "http://127.0.0.1:10750", expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535',
    ],
  },
  {
    title: 'too many requests in flight',
    yaml: 'web: { requests_in_flight_max: 1001 }\n',
    problems: ['web.requests_in_flight_max: got 1001, expected a whole number from 1 to 1000'],
  },
  {
    title: 'a mistyped log level is guessed',
    yaml: 'log: { level: inof }\n',
    problems: [
      'log.level: got "inof", expected fatal, error, warn, info, debug or trace; did you mean info?',
    ],
  },
  {
    title: 'an unknown log format',
    yaml: 'log: { format: logfmt }\n',
    problems: ['log.format: got "logfmt", expected auto, json or pretty'],
  },
  {
    title: 'a switch as a number',
    yaml: 'strict: 1\n',
    problems: ['strict: got 1, expected true or false'],
  },
  {
    title: 'a section that is a word',
    yaml: 'log: debug\n',
    problems: ['log: got "debug", expected a mapping of settings'],
  },
  {
    title: 'a long value is cut',
    yaml: `profile: ${'x'.repeat(200)}\n`,
    problems: [
      'profile: got "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…, expected hft, gaming, voip or web',
    ],
  },
  {
    title: 'a mapping that contains itself',
    yaml: 'web: &web { listen_address: *web }\n',
    problems: [
      'web.listen_address: got a mapping that contains itself, expected HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535',
    ],
  },
  {
    title: 'a file that is a word',
    yaml: 'rxscope\n',
    problems: ['got "rxscope", expected a mapping of settings'],
  },
  {
    title: 'a file that is a list',
    yaml: '- strict: true\n',
    problems: ['got [{"strict":true}], expected a mapping of settings'],
  },
  {
    title: 'all problems at once, in the order of their sections',
    yaml: 'profile: fast\nprobes:\n  irq_to_softirq: { budget: 5 }\n  irq: {}\nlog: { level: 3 }\nstirct: true\n',
    problems: [
      'profile: got "fast", expected hft, gaming, voip or web',
      'probes.irq_to_softirq.budget: got 5, expected a duration with its unit, such as 100us or 10s: a plain number does not say whether ns, us, ms or s is meant',
      'probes.irq: unknown probe; did you mean irq_to_softirq?',
      'log.level: got 3, expected fatal, error, warn, info, debug or trace',
      'stirct: unknown setting; did you mean strict?',
    ],
  },
];

const SYNTAX: readonly Row[] = [
  {
    title: 'a key that stands twice',
    yaml: 'strict: true\nlog: { level: info }\nstrict: false\n',
    problems: ['line 3, column 1: the key stands twice; remove one of them, in "strict: false"'],
  },
  {
    title: 'a key that stands twice beside settings that are wrong too',
    yaml: 'strict: true\nstrict: 1\n',
    problems: [
      'line 2, column 1: the key stands twice; remove one of them, in "strict: 1"',
      'strict: got 1, expected true or false',
    ],
  },
  {
    title: 'an unclosed quote',
    yaml: 'web:\n  listen_address: "127.0.0.1:10750\n',
    problems: [
      'line 3, column 1: missing closing "quote, after "listen_address: \\"127.0.0.1:10750"',
    ],
  },
  {
    title: 'an unclosed list, once for its line',
    yaml: 'probes: [1, 2\n',
    problems: [
      'line 2, column 1: flow sequence in block collection must be sufficiently indented and end with a ], after "probes: [1, 2"',
    ],
  },
  {
    title: 'a tab as indentation',
    yaml: 'log:\n\tlevel: info\n',
    problems: ['line 2, column 1: tabs are not allowed as indentation, in "level: info"'],
  },
  {
    title: 'an IPv6 address that YAML takes for a list',
    yaml: 'web:\n  listen_address: [::1]:10750\n',
    problems: [
      'line 2, column 24: unexpected scalar at node end, in "listen_address: [::1]:10750"',
    ],
  },
  {
    title: 'a missing space behind the colon',
    yaml: 'strict: true\nprofile:web\n',
    problems: [
      'line 2, column 1: implicit map keys need to be followed by map values, in "profile:web"',
    ],
  },
  {
    title: 'an unknown anchor',
    yaml: 'log: { level: *level }\n',
    problems: [
      'line 1, column 15: unknown anchor level; define it with &level further up, in "log: { level: *level }"',
    ],
  },
  {
    title: 'a tag that means nothing here',
    yaml: 'profile: !env PROFILE\n',
    problems: ['line 1, column 10: unresolved tag: !env, in "profile: !env PROFILE"'],
  },
  {
    title: 'a second document',
    yaml: 'strict: true\n---\nstrict: false\n',
    problems: ['line 2, column 1: a second document begins; expected a single one, in "---"'],
  },
  {
    title: 'a directive that YAML does not know, without a document',
    yaml: '%PROFILE web\n',
    problems: ['line 1, column 1: unknown directive %PROFILE, in "%PROFILE web"'],
  },
  {
    title: 'aliases that unfold into gigabytes',
    yaml: `a: &a [x, x, x, x, x, x, x, x, x]\n${[...'bcdefghi']
      .map((key, i) => `${key}: &${key} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(', ')}]\n`)
      .join('')}`,
    problems: ['too many aliases; write the values out'],
  },
  {
    title: 'two broken lines',
    yaml: 'profile: @web\nstrict: `true`\n',
    problems: [
      'line 1, column 10: plain value cannot start with reserved character @, in "profile: @web"',
      'line 2, column 9: plain value cannot start with reserved character `, in "strict: `true`"',
    ],
  },
];

describe('a configuration file is refused with its exact message:', () => {
  test.each([...SETTINGS, ...SYNTAX])('$title', ({ yaml, problems }) => {
    const file = join(dir, 'bad.yaml');
    writeFileSync(file, yaml);
    expect(messageOf(file)).toBe(problems.map((problem) => `${file}: ${problem}`).join('\n'));
  });
});

describe('a path that leads to no configuration is refused with its exact message:', () => {
  const path = (name: string) => join(dir, name);

  test('a file that does not exist', () => {
    expect(messageOf(path('absent.yaml'))).toBe(
      `${path('absent.yaml')}: cannot be read (ENOENT): there is no such file; check the path`,
    );
  });

  test('a directory', () => {
    expect(messageOf(dir)).toBe(
      `${dir}: cannot be read (EISDIR): it is a directory; name the file in it`,
    );
  });

  test('a path through a file', () => {
    writeFileSync(path('file'), '');
    expect(messageOf(path('file/rxscope.yaml'))).toBe(
      `${path('file/rxscope.yaml')}: cannot be read (ENOTDIR): a part of the path is not a directory; check the path`,
    );
  });

  test('a symbolic link to itself', () => {
    symlinkSync('loop.yaml', path('loop.yaml'));
    expect(messageOf(path('loop.yaml'))).toBe(
      `${path('loop.yaml')}: cannot be read (ELOOP): check the path`,
    );
  });

  test('a file one byte larger than 1 MiB, while one of exactly 1 MiB is read', () => {
    writeFileSync(path('large.yaml'), '#'.repeat(1024 * 1024));
    expect(messageOf(path('large.yaml'))).toBe('the file was accepted');
    writeFileSync(path('large.yaml'), '#'.repeat(1024 * 1024 + 1));
    expect(messageOf(path('large.yaml'))).toBe(
      `${path('large.yaml')}: larger than 1 MiB, expected a configuration file; check the path`,
    );
  });

  test('an endless device', () => {
    expect(messageOf('/dev/zero')).toBe(
      '/dev/zero: larger than 1 MiB, expected a configuration file; check the path',
    );
  });

  test('a pipe that nobody writes to, or that somebody holds open and says nothing', () => {
    const pipe = path('pipe.yaml');
    execFileSync('mkfifo', [pipe]);
    const why =
      'it gave nothing more for 1.5 s; name a regular file, or a pipe that is written and closed';
    expect(messageOf(pipe)).toBe(`${pipe}: ${why}`);
    // Open for both, it needs no other end.
    const holder = openSync(pipe, 'r+');
    writeSync(holder, 'series_max: 10007\n');
    expect(messageOf(pipe)).toBe(`${pipe}: ${why}`);
    closeSync(holder);
  });

  test('a socket', async () => {
    const server = createServer().listen(path('socket'));
    await once(server, 'listening');
    expect(messageOf(path('socket'))).toBe(
      `${path('socket')}: cannot be read (ENXIO): it is a socket; name a regular file`,
    );
    server.close();
  });

  test('a file that is not UTF-8', () => {
    writeFileSync(path('latin1.yaml'), Buffer.from('# für\n', 'latin1'));
    expect(messageOf(path('latin1.yaml'))).toBe(
      `${path('latin1.yaml')}: not UTF-8 text, expected a YAML file; check the path`,
    );
  });

  test('an empty path', () => {
    expect(messageOf('')).toBe('--config.file: expected the path of a YAML file, got an empty one');
  });
});

function messageOf(configFile: string): string {
  try {
    effectiveConfig({ configFile });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  return 'the file was accepted';
}
