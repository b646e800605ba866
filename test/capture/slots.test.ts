// How TypeScript and the programs number things: the same on both sides. By the headers' text, and by
// the sizes that the BPF object's own type information tells.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { FATES, POLL_BOUNDS, PROBE_INDEX } from '../../src/capture/reading.ts';
import {
  DEVICE_FIRST,
  deviceSlots,
  histogramPlaces,
  histogramsPerCpu,
  IRQ_FIRST,
  IRQ_SLOTS,
  PROTOCOLS,
  REASON_SLOTS,
  type Shape,
  slotsOf,
  VECTORS,
} from '../../src/capture/slots.ts';
import { PROBES } from '../../src/probes/index.ts';
import type { By } from '../../src/probes/probe.ts';
import { textOf } from '../repo/project_files.ts';
import { defineOf, definesOf, enumOf } from './bpf_header.ts';

const OBJECT = fileURLToPath(new URL('../../dist/bpf/rxscope.bpf.o', import.meta.url));
const object = loadAddon().openObject(OBJECT);
afterAll(() => object.close());

/** Members of an enum, without what stands for their number, in lower case. */
function members(name: string, prefix = ''): string[] {
  return [...enumOf('state.h', name).keys()]
    .filter((constant) => !/^[A-Z]+S(_ALL)?$/.test(constant))
    .map((constant) => constant.slice(prefix.length).toLowerCase());
}

/** How many there is room for in an array of the programs. */
function roomFor(struct: string, member: string, bytes: number): number {
  const field = object.layout(struct).fields[member];
  if (field === undefined) throw new Error(`struct ${struct} has no member ${member}`);
  return field.size / bytes;
}

describe('the order of', () => {
  test('probes is that of enum probe_index', () => {
    expect(PROBE_INDEX).toEqual(members('probe_index'));
    expect(enumOf('state.h', 'probe_index').get('PROBES')).toBe(PROBES.length);
  });

  test('protocols is that of enum protocol_class', () => {
    expect(PROTOCOLS).toEqual(members('protocol_class', 'PROTOCOL_'));
  });

  test('fates is that of enum fate', () => {
    const named = members('fate', 'FATE_').map((name) =>
      name === 'other_cpu' ? 'queued_by_other_cpu' : name,
    );
    expect(FATES).toEqual(named);
  });

  test('vectors is that of this machine’s kernel', () => {
    const lines = readFileSync('/proc/softirqs', 'utf8').trim().split('\n').slice(1);
    expect(VECTORS).toEqual(lines.map((line) => line.split(':')[0]?.trim()));
  });

  test('softirq_to_socket’s own causes is that of enum origin', () => {
    const causes: Readonly<Record<string, string>> = {
      softirq: 'socket_backlog',
      midway: 'attached_midway',
    };
    const named = members('origin', 'ORIGIN_').map((name) => causes[name] ?? name);
    expect(PROBES.find(({ id }) => id === 'softirq_to_socket')?.causes).toEqual(named);
  });
});

describe('a probe’s own causes are as many as its header has flaws', () => {
  const others = PROBES.filter(({ id }) => id !== 'softirq_to_socket');
  test.each(others.map(({ id, causes }) => ({ id, causes })))('$id', ({ id, causes }) => {
    expect(definesOf(`${id}.h`, 'FLAW_')).toHaveLength(causes.length);
  });
});

describe('numbers that both sides state', () => {
  test.each([
    ['DEVICE_FIRST', DEVICE_FIRST],
    ['IRQ_FIRST', IRQ_FIRST],
    ['IRQS', IRQ_SLOTS - IRQ_FIRST],
    ['REASONS', REASON_SLOTS],
    ['POLL_BUCKETS', POLL_BOUNDS.length + 1],
  ])('%s is %d', (name, value) => {
    expect(defineOf('state.h', name)).toBe(value);
  });

  test.each([
    ['kernel_capture', 'WAIT_SETS', defineOf('state.h', 'WAIT_SETS')],
    ['kernel_capture', 'WOKEN_TASKS', defineOf('state.h', 'WOKEN_TASKS')],
    ['kernel_capture', 'PROBES_ALL', enumOf('state.h', 'probe_index').get('PROBES_ALL')],
    ['records', 'DEVICE_OTHER_NETNS', defineOf('state.h', 'DEVICE_OTHER_NETNS')],
    ['records', 'NO_DEVICE', defineOf('state.h', 'NO_DEVICE')],
    ['records', 'RECORD_OUTLIER', enumOf('records.h', 'record_kind').get('RECORD_OUTLIER')],
    ['records', 'RECORD_OBSERVATION', enumOf('records.h', 'record_kind').get('RECORD_OBSERVATION')],
    ['records', 'RECORD_DROP', enumOf('records.h', 'record_kind').get('RECORD_DROP')],
  ])('src/capture/%s.ts keeps %s at the header’s %d', (file, name, value) => {
    const stated = new RegExp(`^const ${name} = (\\w+);$`, 'm').exec(
      textOf(`src/capture/${file}.ts`),
    );
    expect(Number(stated?.[1])).toBe(value);
  });

  test.each([
    ['device_keys', 4, 64],
    ['irq_keys', 4, IRQ_SLOTS - IRQ_FIRST],
    ['reason_keys', 8, REASON_SLOTS],
    ['vector_raised_ns', 8, 16],
    // FLAW_CLOCK, and eight of a probe's own.
    ['flaws', 8, PROBES.length * 9],
  ])('the programs have %s of %d bytes for %d', (member, bytes, room) => {
    expect(roomFor('cpu_state', member, bytes)).toBe(room);
  });

  test('there is room for every probe, fate, reason and bucket of polls', () => {
    expect(roomFor('cpu_state', 'events', 8)).toBeGreaterThanOrEqual(PROBES.length);
    expect(roomFor('cpu_state', 'events_lost', 8)).toBeGreaterThanOrEqual(PROBES.length);
    expect(roomFor('config', 'budget_ns', 8)).toBeGreaterThanOrEqual(PROBES.length);
    expect(roomFor('cpu_state', 'fates', 8)).toBeGreaterThanOrEqual(FATES.length);
    expect(roomFor('drop_row', 'packets', 8)).toBe(REASON_SLOTS);
    expect(roomFor('poll_work', 'buckets', 8)).toBe(POLL_BOUNDS.length + 1);
    // With the most devices that the configuration allows; that without a device receives nothing.
    const most = deviceSlots({ cpus: 1, devices: 64, probes: [] }) - 1;
    expect(roomFor('cpu_state', 'received', 8)).toBeGreaterThanOrEqual(most);
  });
});

describe('histograms of one CPU', () => {
  const all = PROBES.map(({ id }) => id);
  const shape = (probes: readonly string[], devices = 4): Shape => ({ cpus: 2, devices, probes });

  test('are as many as what a probe is by', () => {
    const of = (by: By) => slotsOf(by, shape(all));
    // Overflow, other namespaces, four devices, none.
    expect(of('device')).toBe(7);
    expect(of('device_protocol')).toBe(21);
    expect(of('protocol')).toBe(3);
    expect(of('irq')).toBe(17);
    expect(of('vector')).toBe(16);
  });

  test('follow each other in the catalogue’s order', () => {
    expect([...histogramPlaces(shape(all))]).toEqual([
      ['irq_to_softirq', 0],
      ['softirq_to_socket', 17],
      ['receive_to_socket', 38],
      ['softirq_raise_to_entry', 59],
      ['backlog_wait', 75],
      ['socket_to_read', 82],
      ['wakeup_to_run', 85],
      ['napi_poll', 88],
      ['hardirq_duration', 95],
      ['softirq_duration', 112],
    ]);
    expect(histogramsPerCpu(shape(all))).toBe(128);
  });

  test('take no room for what is off, nor for drops', () => {
    const some = shape(['drops', 'receive_to_socket', 'irq_to_softirq'], 16);
    expect([...histogramPlaces(some)]).toEqual([
      ['irq_to_softirq', 0],
      ['receive_to_socket', 17],
    ]);
    expect(histogramsPerCpu(some)).toBe(17 + 19 * 3);
    expect(histogramsPerCpu(shape(['drops']))).toBe(0);
  });
});
