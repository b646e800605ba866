// One reading for any number of consumers: whoever reads, and however often, changes nobody else's.

import { availableParallelism } from 'node:os';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Agent } from '../../src/agent/agent.ts';
import { checkSettings } from '../../src/config/schema.ts';
import type { Snapshot } from '../../src/metrics/model.ts';
import type { NamedReading } from '../../src/readings/named_reading.ts';
import { scalars } from '../metrics/readings.ts';
import { Lab, RECEIVER, run } from './lab.ts';

const DEVICE = `rxe${process.pid % 100_000}`;
let lab: Lab;
let agent: Agent;
beforeAll(async () => {
  lab = new Lab();
  const checked = checkSettings({ bpf_stats: true });
  if (!('config' in checked)) throw new Error(checked.problems[0]?.message);
  agent = new Agent(checked.config, pino({ level: 'silent' }));
  await agent.start();
});
afterAll(async () => {
  await agent?.stop();
  lab?.close();
  try {
    run('ip', 'link', 'del', DEVICE);
  } catch {
    // It was never made.
  }
});

const forever = () => new AbortController().signal;
const everything = (): Promise<NamedReading> => agent.read('all', forever());
const counters = (): Promise<NamedReading> => agent.read('counters', forever());
const scrape = (): Promise<Snapshot> => agent.gather(forever());

async function receive(datagrams: number, port: number): Promise<void> {
  const receiver = lab.receive('udp', RECEIVER, port, datagrams);
  await receiver.ready;
  await lab.send('udp', RECEIVER, port, datagrams, { 'gap-us': 200 });
  expect((await receiver.result).received).toBe(datagrams);
}

/** As text, maps and typed arrays included. */
function textOf(reading: NamedReading): string {
  return JSON.stringify(reading, (_, value: unknown) => {
    if (typeof value === 'bigint') return String(value);
    if (value instanceof Map) return [...value];
    return value instanceof Float64Array ? [...value] : value;
  });
}

function receivedBy({ packets }: NamedReading, name: string): number | undefined {
  return packets?.received.find(({ device }) => device === name)?.packets;
}

test('who asks at the same time has the same reading, who asks later a fresh one', async () => {
  const [first, ...others] = await Promise.all([everything(), counters(), everything()]);
  expect(others.every((other) => other === first)).toBe(true);
  expect(await everything()).not.toBe(first);
  const [one, two] = await Promise.all([scrape(), scrape()]);
  expect(two).toBe(one);
});

test('a reading stays as it is while packets arrive and others read', async () => {
  const reading = await everything();
  const before = textOf(reading);
  const here = receivedBy(reading, '(other netns)') ?? 0;
  await receive(211, 5401);
  const later = [await counters(), await everything()];
  await scrape();
  expect(textOf(reading)).toBe(before);
  for (const one of later)
    expect((receivedBy(one, '(other netns)') ?? 0) - here).toBeGreaterThanOrEqual(211);
});

test('a reading of the counters names a device that came since, and looks at nothing else', async () => {
  await everything();
  run('ip', 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', 'vd', 'netns', lab.receiver);
  run('ip', 'addr', 'add', '10.79.0.1/24', 'dev', DEVICE);
  run('ip', 'link', 'set', DEVICE, 'up');
  run('ip', '-n', lab.receiver, 'addr', 'add', '10.79.0.2/24', 'dev', 'vd');
  run('ip', '-n', lab.receiver, 'link', 'set', 'vd', 'up');
  await lab.sendLocally('udp', '10.79.0.1', 9, 101);
  const reading = await counters();
  expect(receivedBy(reading, DEVICE)).toBeGreaterThanOrEqual(101);
  expect(reading.host).toBeUndefined();
  expect(reading.collectors.map(({ collector }) => collector)).toEqual(['kernel']);
});

test('what a scrape tells since the last one does not depend on who reads in between', async () => {
  const ranSeconds = (snapshot: Snapshot): number =>
    scalars(snapshot, 'rxscope_program_run_seconds_total').reduce((sum, [, n]) => sum + n, 0);
  const earliest = performance.now();
  const before = ranSeconds(await scrape());
  const read = performance.now();
  await receive(307, 5403);
  for (let i = 0; i < 5; i++) await Promise.all([everything(), counters()]);
  const until = performance.now();
  const snapshot = await scrape();
  const latest = performance.now();
  const ran = ranSeconds(snapshot) - before;
  const [[, share] = [{}, Number.NaN]] = scalars(snapshot, 'rxscope_programs_cpu_ratio');
  expect(ran).toBeGreaterThan(0);
  expect(share).toBeGreaterThanOrEqual((ran / (latest - earliest)) * 1000 * 0.999);
  expect(share).toBeLessThanOrEqual((ran / (until - read)) * 1000 * 1.001);
});

test('a scrape has the CPUs of this machine, of which none is folded here', async () => {
  const processed = scalars(await scrape(), 'rxscope_softnet_processed_total');
  const cpus = Array.from({ length: availableParallelism() }, (_, cpu) => ({ cpu: String(cpu) }));
  expect(processed.map(([labels]) => labels)).toEqual(cpus);
});

test('a caller who gives up is told so at once; the others have their reading', async () => {
  const impatient = new AbortController();
  const gone = agent.read('all', impatient.signal);
  const stays = everything();
  impatient.abort(new Error('no longer wanted'));
  await expect(gone).rejects.toThrow('no longer wanted');
  expect((await stays).host).toBeDefined();
});
