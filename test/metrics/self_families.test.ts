// The families about the agent itself: probes, losses, collectors, cost.

import { describe, expect, test } from 'vitest';
import type { Family, Labels } from '../../src/metrics/model.ts';
import { type SelfInput, selfFamilies } from '../../src/metrics/self_families.ts';
import { PROBES } from '../../src/probes/index.ts';
import { reading } from './readings.ts';

const BUILD = { version: '1.2.3', revision: 'abc', kernel: '6.18.0', nodeversion: 'v20.20.2' };

function input(changes: Partial<SelfInput> = {}): SelfInput {
  return {
    probes: [
      {
        id: 'irq_to_softirq',
        up: true,
        reason: '',
        programs: [
          {
            hook: 'softirq_entry',
            program: 'softirq_entry__raw_tp',
            attach: 'raw_tp',
            target: 'softirq_entry',
            refusals: ['tp_btf: EPERM'],
          },
          { hook: 'drop', refusals: ['tp_btf: ENOENT'] },
        ],
      },
      { id: 'receive_to_socket', up: false, reason: 'no permission', programs: [] },
    ],
    packets: undefined,
    collectors: [],
    reloadSucceeded: true,
    lostLogLines: 0,
    build: BUILD,
    ...changes,
  };
}

function samples(families: readonly Family[], name: string): [Labels, number][] {
  const family = families.find((candidate) => candidate.name === name);
  if (family === undefined || family.type === 'histogram') throw new Error(`no scalars ${name}`);
  return family.samples.map(({ labels, value }) => [labels, value]);
}

test('the names and types are those that dashboards build on', () => {
  expect(selfFamilies(input()).map(({ type, name }) => [type, name])).toEqual([
    ['gauge', 'rxscope_probe_up'],
    ['gauge', 'rxscope_probe_info'],
    ['counter', 'rxscope_events_total'],
    ['counter', 'rxscope_events_lost_total'],
    ['gauge', 'rxscope_collector_success'],
    ['gauge', 'rxscope_collector_duration_seconds'],
    ['gauge', 'rxscope_config_last_reload_successful'],
    ['counter', 'rxscope_log_lines_lost_total'],
    ['gauge', 'rxscope_build_info'],
  ]);
});

test('when the certificate expires is there with TLS only', () => {
  const name = 'rxscope_web_certificate_expiry_timestamp_seconds';
  const families = selfFamilies(input({ certificateExpiresAt: 1_790_000_000 }));
  expect(samples(families, name)).toEqual([[{}, 1_790_000_000]]);
  expect(selfFamilies(input()).some((family) => family.name === name)).toBe(false);
});

test('a probe is up or not, and has a row for each program that stands', () => {
  const families = selfFamilies(input());
  expect(samples(families, 'rxscope_probe_up')).toEqual([
    [{ probe: 'irq_to_softirq' }, 1],
    [{ probe: 'receive_to_socket' }, 0],
  ]);
  const program = 'softirq_entry__raw_tp';
  expect(samples(families, 'rxscope_probe_info')).toEqual([
    [{ probe: 'irq_to_softirq', program, backend: 'libbpf', attach: 'raw_tp' }, 1],
  ]);
});

describe('events', () => {
  test('sent and lost are by probe, each from its own place in the reading', () => {
    const counted = reading({
      events: {
        ...Object.fromEntries(PROBES.map(({ id }, i) => [id, { sent: 101 + i, lost: 211 + i }])),
        drops: { sent: 17, lost: 19 },
      },
    });
    const last = PROBES.length - 1;
    const more = [PROBES[last]?.id ?? '', 'drops'].map((id) => ({
      ...{ id, up: true, reason: '', programs: [] },
    }));
    const { probes } = input();
    const families = selfFamilies(input({ packets: counted, probes: [...probes, ...more] }));
    expect(samples(families, 'rxscope_events_total')).toEqual([
      [{ probe: 'irq_to_softirq' }, 101],
      [{ probe: 'receive_to_socket' }, 103],
      [{ probe: 'softirq_duration' }, 101 + last],
      [{ probe: 'drops' }, 17],
    ]);
    expect(samples(families, 'rxscope_events_lost_total')).toEqual([
      [{ probe: 'irq_to_softirq' }, 211],
      [{ probe: 'receive_to_socket' }, 213],
      [{ probe: 'softirq_duration' }, 211 + last],
      [{ probe: 'drops' }, 19],
    ]);
  });

  test('are 0 from the start, also when nothing can be read', () => {
    for (const name of ['rxscope_events_total', 'rxscope_events_lost_total']) {
      expect(samples(selfFamilies(input()), name).map(([, value]) => value)).toEqual([0, 0]);
    }
  });
});

test('each collector has its success and its time', () => {
  const collectors = [
    { collector: 'kernel', success: true, seconds: 0.001 },
    { collector: 'devices', success: false, seconds: 0.002 },
  ];
  const families = selfFamilies(input({ collectors }));
  expect(samples(families, 'rxscope_collector_success')).toEqual([
    [{ collector: 'kernel' }, 1],
    [{ collector: 'devices' }, 0],
  ]);
  expect(samples(families, 'rxscope_collector_duration_seconds')).toEqual([
    [{ collector: 'kernel' }, 0.001],
    [{ collector: 'devices' }, 0.002],
  ]);
});

test.each([
  [true, 1],
  [false, 0],
])('a reload that succeeded (%s) is %d', (reloadSucceeded, value) => {
  const families = selfFamilies(input({ reloadSucceeded }));
  expect(samples(families, 'rxscope_config_last_reload_successful')).toEqual([[{}, value]]);
});

test('the build is in the labels of one sample', () => {
  expect(samples(selfFamilies(input()), 'rxscope_build_info')).toEqual([[BUILD, 1]]);
});

test("the programs' own cost is there while BPF statistics are on, in seconds", () => {
  const program = 'receive__tp_btf';
  const programs = [{ program, runTimeNs: 1_500_000, runs: 1009 }];
  const families = selfFamilies(input({ programs, programShare: 0.0625 }));
  expect(samples(families, 'rxscope_programs_cpu_ratio')).toEqual([[{}, 0.0625]]);
  expect(samples(families, 'rxscope_program_run_seconds_total')).toEqual([[{ program }, 0.0015]]);
  expect(samples(families, 'rxscope_program_runs_total')).toEqual([[{ program }, 1009]]);
});

test("the programs' cost is left out while nothing counts it", () => {
  const names = selfFamilies(input()).map(({ name }) => name);
  expect(names.filter((name) => name.startsWith('rxscope_program'))).toEqual([]);
});
