// Configurations that are good: defaults, profiles, what wins over what, and reading again.
// Bad ones are in bad_config.test.ts.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { PROFILE_BUDGETS_NS, PROFILE_NAMES } from '../../src/config/profiles.ts';
import { PROBES } from '../../src/probes/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'rxscope-config-'));
afterAll(() => rmSync(dir, { recursive: true }));

const DEFAULTS = {
  probes: {
    irq_to_softirq: { enabled: true, budget_ns: 100_000 },
    softirq_to_socket: { enabled: true, budget_ns: 500_000 },
    receive_to_socket: { enabled: true, budget_ns: 100_000 },
  },
  backend: 'auto',
  labels: { cpu: 'auto' },
  devices_max: 16,
  series_max: 2000,
  events: { per_cpu_per_second: 100, pages_per_cpu: 8 },
  outliers_kept: 100,
  web: { listen_address: { host: '127.0.0.1', port: 10750 }, requests_in_flight_max: 40 },
  log: { level: 'info', format: 'auto' },
  process_metrics: true,
  bpf_stats: false,
  strict: false,
};

describe('defaults', () => {
  test('hold without any file', () => {
    expect(effectiveConfig()).toEqual(DEFAULTS);
  });

  test.each([
    ['is empty', ''],
    ['holds only comments', '# nothing yet\n'],
    ['holds an empty document', '---\n'],
    ['holds sections whose settings are all commented out', 'probes:\n  irq_to_softirq:\nweb:\n'],
    ['begins with a byte order mark', '\ufeff# saved on another system\n'],
  ])('hold when the file %s', (_title, yaml) => {
    expect(effectiveConfig({ configFile: file(yaml) })).toEqual(DEFAULTS);
  });

  test('are what they are when a file states them', () => {
    const yaml = `
probes:
  irq_to_softirq: { enabled: true, budget: 100us }
  softirq_to_socket: { budget: 0.5 ms }
  receive_to_socket: { budget: 100µs }
backend: auto
labels: { cpu: auto }
devices_max: 16
series_max: 2000
events: { per_cpu_per_second: 100, pages_per_cpu: 8 }
outliers_kept: 100
web: { listen_address: "127.0.0.1:10750", requests_in_flight_max: 40 }
log: { level: info, format: auto }
process_metrics: true
bpf_stats: false
strict: false
`;
    expect(effectiveConfig({ configFile: file(yaml) })).toEqual(DEFAULTS);
  });
});

describe('a file', () => {
  test('may be a pipe', async () => {
    const pipe = join(dir, 'pipe.yaml');
    execFileSync('mkfifo', [pipe]);
    const writer = spawn('sh', ['-c', `echo 'series_max: 10007' > ${pipe}`]);
    const config = effectiveConfig({ configFile: pipe });
    await once(writer, 'close');
    expect(config.series_max).toBe(10_007);
  });

  test('may use anchors', () => {
    const yaml = 'probes:\n  irq_to_softirq: &tight { budget: 7us }\n  receive_to_socket: *tight\n';
    expect(budgets({ configFile: file(yaml) })).toEqual([7_000, 500_000, 7_000]);
  });

  test.each([
    ['":10750"', { host: '', port: 10750 }],
    ['"[::1]:0"', { host: '::1', port: 0 }],
    ['"[fe80::1%eth0]:65535"', { host: 'fe80::1%eth0', port: 65535 }],
    ['0.0.0.0:9100', { host: '0.0.0.0', port: 9100 }],
    ['metrics-1.example.org:443', { host: 'metrics-1.example.org', port: 443 }],
  ])('may listen on %s', (address, parsed) => {
    const { web } = effectiveConfig({ configFile: file(`web: { listen_address: ${address} }\n`) });
    expect(web.listen_address).toEqual(parsed);
  });

  test.each([
    ['the lowest', 'devices_max: 4\nseries_max: 10\noutliers_kept: 1\n'],
    ['the highest', 'devices_max: 64\nseries_max: 100000\noutliers_kept: 10000\n'],
  ])('may state %s limits', (_title, yaml) => {
    expect(() => effectiveConfig({ configFile: file(yaml) })).not.toThrow();
  });
});

describe('profiles', () => {
  test.each([
    ['hft', [20_000, 50_000, 20_000]],
    ['gaming', [50_000, 250_000, 50_000]],
    ['voip', [250_000, 1_000_000, 250_000]],
    ['web', [500_000, 2_000_000, 500_000]],
  ])('%s sets the budgets that it states, and nothing else', (profile, expected) => {
    const config = effectiveConfig({ configFile: file(`profile: ${profile}\n`) });
    expect(Object.values(config.probes).map((probe) => probe.budget_ns)).toEqual(expected);
    expect({ ...config, probes: undefined }).toEqual({ ...DEFAULTS, profile, probes: undefined });
  });

  test('state a budget for each probe of a packet’s way, and for no unknown one', () => {
    const ids = PROBES.map((probe) => probe.id);
    for (const name of PROFILE_NAMES) {
      const stated = Object.keys(PROFILE_BUDGETS_NS[name]);
      expect(stated).toEqual(
        expect.arrayContaining(['irq_to_softirq', 'softirq_to_socket', 'receive_to_socket']),
      );
      expect(ids).toEqual(expect.arrayContaining(stated));
    }
  });
});

describe('what wins', () => {
  test('a budget in the file over the profile in the file', () => {
    const yaml = 'profile: hft\nprobes: { receive_to_socket: { budget: 31us } }\n';
    expect(budgets({ configFile: file(yaml) })).toEqual([20_000, 50_000, 31_000]);
  });

  test('a profile flag over the profile in the file, but not over a budget in the file', () => {
    const yaml = 'profile: hft\nprobes: { receive_to_socket: { budget: 31us } }\n';
    expect(budgets({ configFile: file(yaml), profile: 'voip' })).toEqual([
      250_000, 1_000_000, 31_000,
    ]);
  });

  test('every flag over its setting in the file, which keeps the settings beside it', () => {
    const yaml = `
backend: auto
web: { listen_address: "127.0.0.1:1", requests_in_flight_max: 7 }
log: { level: error, format: json }
series_max: 997
`;
    const config = effectiveConfig({
      configFile: file(yaml),
      profile: 'web',
      backend: 'libbpf',
      listenAddress: '[::]:10751',
      logLevel: 'trace',
      processMetrics: false,
      bpfStats: true,
      strict: true,
    });
    expect(config).toMatchObject({
      profile: 'web',
      backend: 'libbpf',
      web: { listen_address: { host: '::', port: 10751 }, requests_in_flight_max: 7 },
      log: { level: 'trace', format: 'json' },
      process_metrics: false,
      bpf_stats: true,
      strict: true,
      series_max: 997,
    });
  });

  test('a flag over a section that the file leaves empty', () => {
    const config = effectiveConfig({ configFile: file('web:\n'), requestsInFlightMax: '13' });
    expect(config.web.requests_in_flight_max).toBe(13);
  });

  test('the probes that flags name over what the file enables, budgets kept', () => {
    const yaml =
      'probes:\n  irq_to_softirq: { enabled: true }\n  receive_to_socket: { enabled: false, budget: 31us }\n';
    const { probes } = effectiveConfig({ configFile: file(yaml), probes: ['receive_to_socket'] });
    expect(probes).toEqual({
      irq_to_softirq: { enabled: false, budget_ns: 100_000 },
      softirq_to_socket: { enabled: false, budget_ns: 500_000 },
      receive_to_socket: { enabled: true, budget_ns: 31_000 },
    });
  });
});

describe('reading again', () => {
  test('takes what the file says now, under the same flags', () => {
    const flags = { configFile: file('series_max: 11\nlog: { level: warn }\n'), logLevel: 'debug' };
    expect(effectiveConfig(flags)).toMatchObject({ series_max: 11, log: { level: 'debug' } });
    writeFileSync(flags.configFile, 'series_max: 13\nlog: { format: json }\n');
    expect(effectiveConfig(flags)).toMatchObject({
      series_max: 13,
      log: { level: 'debug', format: 'json' },
    });
  });

  test('throws on a bad file and recovers with a good one', () => {
    const flags = { configFile: file('strict: true\n') };
    effectiveConfig(flags);
    writeFileSync(flags.configFile, 'strict: maybe\n');
    expect(() => effectiveConfig(flags)).toThrow(ConfigError);
    rmSync(flags.configFile);
    expect(() => effectiveConfig(flags)).toThrow(ConfigError);
    writeFileSync(flags.configFile, 'strict: true\n');
    expect(effectiveConfig(flags).strict).toBe(true);
  });

  test('hands out a configuration of its own each time', () => {
    const first = effectiveConfig();
    const second = effectiveConfig();
    expect(first).toEqual(second);
    expect(first.web).not.toBe(second.web);
  });
});

function file(yaml: string): string {
  const path = join(dir, 'rxscope.yaml');
  writeFileSync(path, yaml);
  return path;
}

function budgets(flags: Parameters<typeof effectiveConfig>[0]): number[] {
  return Object.values(effectiveConfig(flags).probes).map((probe) => probe.budget_ns);
}
