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
import { PROBES } from '../../src/probes/index.ts';
import type { ProfileName } from '../../src/probes/profiles.ts';

const dir = mkdtempSync(join(tmpdir(), 'rxscope-config-'));
afterAll(() => rmSync(dir, { recursive: true }));

const DEFAULTS = {
  probes: {
    irq_to_softirq: { enabled: true, budget_ns: 100_000 },
    softirq_to_socket: { enabled: true, budget_ns: 500_000 },
    receive_to_socket: { enabled: true, budget_ns: 100_000 },
    softirq_raise_to_entry: { enabled: true, budget_ns: 1_000_000 },
    backlog_wait: { enabled: false, budget_ns: 500_000 },
    socket_to_read: { enabled: false, budget_ns: 10_000_000 },
    wakeup_to_run: { enabled: false, budget_ns: 1_000_000 },
    napi_poll: { enabled: false, budget_ns: 1_000_000 },
    hardirq_duration: { enabled: true, budget_ns: 100_000 },
    softirq_duration: { enabled: false, budget_ns: 5_000_000 },
    drops: { enabled: true, budget_ns: 0 },
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

/** The usual budgets behind those of a packet's way, in the catalogue's order. */
const OTHERS_NS = Object.values(DEFAULTS.probes)
  .slice(3)
  .map(({ budget_ns }) => budget_ns);

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
  backlog_wait: { enabled: false, budget: 500us }
  drops: { enabled: true }
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
    expect(budgets({ configFile: file(yaml) })).toEqual([7_000, 500_000, 7_000, ...OTHERS_NS]);
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
    ['the lowest', 'devices_max: 4\nseries_max: 1000\noutliers_kept: 1\n'],
    ['the highest', 'devices_max: 64\nseries_max: 1000000\noutliers_kept: 10000\n'],
  ])('may state %s limits', (_title, yaml) => {
    expect(() => effectiveConfig({ configFile: file(yaml) })).not.toThrow();
  });
});

describe('profiles', () => {
  test.each([
    ['hft', [20, 50, 20, 50, 50, 100, 50, 100, 20, 500]],
    ['gaming', [50, 250, 50, 250, 250, 1000, 250, 500, 50, 2000]],
    ['voip', [250, 1000, 250, 1000, 1000, 5000, 1000, 2000, 100, 5000]],
    ['web', [500, 2000, 500, 2000, 2000, 20_000, 2000, 2000, 250, 10_000]],
  ])('%s sets the budgets that it states, and nothing else', (profile, expectedUs) => {
    const config = effectiveConfig({ configFile: file(`profile: ${profile}\n`) });
    const stated = Object.values(config.probes).map((probe) => probe.budget_ns);
    // Drops have none.
    expect(stated).toEqual([...expectedUs.map((us) => us * 1000), 0]);
    expect({ ...config, probes: undefined }).toEqual({ ...DEFAULTS, profile, probes: undefined });
  });
});

function profileBudgets(name: ProfileName): Record<string, number> {
  return Object.fromEntries(PROBES.map((probe) => [probe.id, probe.profileBudgets_ns[name]]));
}

describe('what wins', () => {
  test('a budget in the file over the profile in the file', () => {
    const yaml = 'profile: hft\nprobes: { receive_to_socket: { budget: 31us } }\n';
    const probes = { ...profileBudgets('hft'), receive_to_socket: 31_000, drops: 0 };
    expect(budgetsById({ configFile: file(yaml) })).toEqual(probes);
  });

  test('a profile flag over the profile in the file, but not over a budget in the file', () => {
    const yaml = 'profile: hft\nprobes: { receive_to_socket: { budget: 31us } }\n';
    const probes = { ...profileBudgets('voip'), receive_to_socket: 31_000, drops: 0 };
    expect(budgetsById({ configFile: file(yaml), profile: 'voip' })).toEqual(probes);
  });

  test('every flag over its setting in the file, which keeps the settings beside it', () => {
    const yaml = `
backend: auto
web: { listen_address: "127.0.0.1:1", requests_in_flight_max: 7 }
log: { level: error, format: json }
series_max: 1009
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
      series_max: 1009,
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
    const off = Object.entries(DEFAULTS.probes).map(([id, { budget_ns }]) => [
      id,
      { enabled: false, budget_ns },
    ]);
    expect(probes).toEqual({
      ...Object.fromEntries(off),
      irq_to_softirq: { enabled: false, budget_ns: 100_000 },
      softirq_to_socket: { enabled: false, budget_ns: 500_000 },
      receive_to_socket: { enabled: true, budget_ns: 31_000 },
    });
  });
});

describe('reading again', () => {
  test('takes what the file says now, under the same flags', () => {
    const flags = {
      configFile: file('series_max: 1013\nlog: { level: warn }\n'),
      logLevel: 'debug',
    };
    expect(effectiveConfig(flags)).toMatchObject({ series_max: 1013, log: { level: 'debug' } });
    writeFileSync(flags.configFile, 'series_max: 1019\nlog: { format: json }\n');
    expect(effectiveConfig(flags)).toMatchObject({
      series_max: 1019,
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

function budgetsById(flags: Parameters<typeof effectiveConfig>[0]): Record<string, number> {
  const { probes } = effectiveConfig(flags);
  return Object.fromEntries(Object.entries(probes).map(([id, { budget_ns }]) => [id, budget_ns]));
}

function budgets(flags: Parameters<typeof effectiveConfig>[0]): number[] {
  return Object.values(budgetsById(flags));
}
