// The families about the agent itself: probes, losses, collectors, cost.

import { describe, expect, test } from 'vitest';
import type { Family, Labels } from '../../src/metrics/model.ts';
import { type SelfInput, selfFamilies } from '../../src/metrics/self_families.ts';

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
    reading: undefined,
    dropped: new Map(),
    collectors: [],
    reloadSucceeded: true,
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
    ['counter', 'rxscope_series_dropped_total'],
    ['gauge', 'rxscope_collector_success'],
    ['gauge', 'rxscope_collector_duration_seconds'],
    ['gauge', 'rxscope_config_last_reload_successful'],
    ['gauge', 'rxscope_build_info'],
  ]);
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
    const reading = {
      packets: [],
      irqs: [],
      received: [],
      unmatched: {},
      deliveriesWithoutStart: 0,
      pending: 0,
      events: [2, 3, 5],
      eventsLost: [7, 11, 13],
    };
    const families = selfFamilies(input({ reading }));
    expect(samples(families, 'rxscope_events_total')).toEqual([
      [{ probe: 'irq_to_softirq' }, 2],
      [{ probe: 'receive_to_socket' }, 5],
    ]);
    expect(samples(families, 'rxscope_events_lost_total')).toEqual([
      [{ probe: 'irq_to_softirq' }, 7],
      [{ probe: 'receive_to_socket' }, 13],
    ]);
  });

  test('are 0 from the start, also when nothing can be read', () => {
    for (const name of ['rxscope_events_total', 'rxscope_events_lost_total']) {
      expect(samples(selfFamilies(input()), name).map(([, value]) => value)).toEqual([0, 0]);
    }
  });
});

test('label sets that were left out are counted by family, 0 where there are none', () => {
  const dropped = new Map([['rxscope_receive_to_socket_seconds', new Set(['a', 'b', 'c'])]]);
  expect(samples(selfFamilies(input({ dropped })), 'rxscope_series_dropped_total')).toEqual([
    [{ family: 'rxscope_irq_to_softirq_seconds' }, 0],
    [{ family: 'rxscope_receive_to_socket_seconds' }, 3],
  ]);
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
  const families = selfFamilies(input({ programs }));
  expect(samples(families, 'rxscope_program_run_seconds_total')).toEqual([[{ program }, 0.0015]]);
  expect(samples(families, 'rxscope_program_runs_total')).toEqual([[{ program }, 1009]]);
});
