// How TypeScript and the programs number things: the same on both sides. By the header that is generated,
// and by the sizes that the BPF object's own type information tells.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { FATES, FLAWS } from '../../src/capture/books.ts';
import { POLL_BOUNDS } from '../../src/capture/reading.ts';
import {
  deviceSlots,
  histogramPlaces,
  histogramsPerCpu,
  IRQ_FIRST,
  IRQ_SLOTS,
  REASON_SLOTS,
  type Shape,
  slotsOf,
  VECTORS,
} from '../../src/capture/slots.ts';
import { PROBES } from '../../src/probes/index.ts';
import type { By } from '../../src/probes/probe.ts';
import { numbersHeader } from '../../tools/generate_numbers.ts';
import { textOf } from '../repo/project_files.ts';

const OBJECT = fileURLToPath(new URL('../../dist/bpf/rxscope.bpf.o', import.meta.url));
const object = loadAddon().openObject(OBJECT);
afterAll(() => object.close());

/** How many there is room for in an array of the programs. */
function roomFor(struct: string, member: string, bytes: number): number {
  const field = object.layout(struct).fields[member];
  if (field === undefined) throw new Error(`struct ${struct} has no member ${member}`);
  return field.size / bytes;
}

test('bpf/numbers.gen.h is what generate_numbers prints', () => {
  const run = 'run: npx tsx tools/generate_numbers.ts > bpf/numbers.gen.h';
  expect(textOf('bpf/numbers.gen.h') === numbersHeader(), run).toBe(true);
});

test('the order of vectors is that of this machine’s kernel', () => {
  const lines = readFileSync('/proc/softirqs', 'utf8').trim().split('\n').slice(1);
  expect(VECTORS).toEqual(lines.map((line) => line.split(':')[0]?.trim()));
});

describe('the programs have room', () => {
  test.each([
    ['device_keys', 4, 64],
    ['irq_keys', 4, IRQ_SLOTS - IRQ_FIRST],
    ['reason_keys', 8, REASON_SLOTS],
    ['vector_raised_ns', 8, 16],
    ['flaws', 8, PROBES.length * FLAWS],
  ])('in %s, of %d bytes, for %d', (member, bytes, room) => {
    expect(roomFor('cpu_state', member, bytes)).toBe(room);
  });

  test('for every probe, cause, fate, reason and bucket of polls', () => {
    expect(roomFor('cpu_state', 'events', 8)).toBeGreaterThanOrEqual(PROBES.length);
    expect(roomFor('cpu_state', 'events_lost', 8)).toBeGreaterThanOrEqual(PROBES.length);
    expect(roomFor('config', 'budget_ns', 8)).toBeGreaterThanOrEqual(PROBES.length);
    for (const { causes } of PROBES) expect(causes.length).toBeLessThan(FLAWS);
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
    const places = [...histogramPlaces(shape(all))];
    expect(places.map(([id]) => id)).toEqual(all);
    const ends = PROBES.map(({ by }, i) => (places[i]?.[1] ?? 0) + slotsOf(by, shape(all)));
    expect(places.map(([, place]) => place)).toEqual([0, ...ends.slice(0, -1)]);
    expect(histogramsPerCpu(shape(all))).toBe(ends.at(-1));
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
