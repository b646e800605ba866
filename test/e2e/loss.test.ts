// Outlier events that are lost: in a ring that nobody empties, and to the rate limit. The loss is
// read back from /metrics, and no count is lost with the events.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import { type AgentProcess, startAgent } from './agent_process.ts';
import { LATENCIES } from './catalogue.ts';
import type { Numbers } from './numbers.ts';
import { scratch } from './scratch.ts';

const files = scratch();

/** The lowest budgets there are: on the fastest machines, too, some datagrams take longer. */
const TIGHT = `
probes:
  irq_to_softirq: { budget: 1us }
  softirq_to_socket: { budget: 1us }
  receive_to_socket: { budget: 1us }
`;
const DATAGRAMS = 30_011;
/** Several times what a ring of one page holds of each CPU, or what the rate's burst lets through. */
const MANY = 300;
/** Other packets may be between two counters of one read: then the next scrape is in order. */
const SOON = { timeout: 20_000, interval: 100 };

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab?.close());

describe('a ring of one page that nobody empties', () => {
  let agent: AgentProcess;
  let numbers: Numbers;

  beforeAll(async () => {
    const settings = `${TIGHT}events: { per_cpu_per_second: 100000, pages_per_cpu: 1 }\n`;
    agent = await startAgent(['--config.file', files.write('ring.yaml', settings)]);
    // Stopped, the agent reads nothing, while the kernel's programs go on.
    agent.child.kill('SIGSTOP');
    await sendDatagrams();
    agent.child.kill('SIGCONT');
    numbers = await settled(agent);
  });

  test('loses nearly all events, and /metrics has the number', () => {
    const overBudget = total(numbers, 'over_budget_total');
    expect(overBudget).toBeGreaterThan(MANY);
    expect(total(numbers, 'events_lost_total')).toBeGreaterThan(overBudget / 2);
    // What fits into one page of each CPU arrived.
    expect(total(numbers, 'events_total')).toBeGreaterThan(0);
  });

  test.each(LATENCIES)('%s: over_budget_total = events_total + events_lost_total', (probe) => {
    expectBalance(numbers, probe);
  });

  test('loses no observation', () => {
    for (const probe of ['softirq_to_socket', 'receive_to_socket']) {
      const labels = { device: '(other netns)', protocol: 'udp' };
      const count = numbers.total(`rxscope_${probe}_seconds_count`, labels);
      expect(count).toBeGreaterThanOrEqual(DATAGRAMS);
    }
  });

  test('goes on sending once the agent reads again', async () => {
    const before = total(numbers, 'events_total');
    await vi.waitFor(async () => {
      await sendDatagrams();
      const after = await agent.numbers();
      expect(total(after, 'events_total')).toBeGreaterThan(before);
    }, SOON);
  });
});

describe('a rate limit of one event a second and CPU', () => {
  let numbers: Numbers;

  beforeAll(async () => {
    const settings = `${TIGHT}events: { per_cpu_per_second: 1, pages_per_cpu: 1024 }\n`;
    const agent = await startAgent(['--config.file', files.write('rate.yaml', settings)]);
    await sendDatagrams();
    numbers = await settled(agent);
  });

  test('sends a burst and gives up the rest, and /metrics has the number', () => {
    const overBudget = total(numbers, 'over_budget_total');
    expect(overBudget).toBeGreaterThan(MANY);
    expect(total(numbers, 'events_lost_total')).toBeGreaterThan(overBudget * 0.9);
    expect(total(numbers, 'events_total')).toBeGreaterThan(0);
  });

  test.each(LATENCIES)('%s: over_budget_total = events_total + events_lost_total', (probe) => {
    expectBalance(numbers, probe);
  });
});

/** One each 50 µs: far fewer than the rate of the first agent allows, so only its ring loses. */
async function sendDatagrams(): Promise<void> {
  const receiver = lab.receive('udp', RECEIVER, 5401, DATAGRAMS, { cpu: 1 });
  await receiver.ready;
  await lab.send('udp', RECEIVER, 5401, DATAGRAMS, { cpu: 0, 'gap-us': 50 });
  expect((await receiver.result).received).toBe(DATAGRAMS);
}

function total(numbers: Numbers, name: string): number {
  return numbers.total(`rxscope_${name}`);
}

function expectBalance(numbers: Numbers, probe: string): void {
  const of = (name: string): number => numbers.total(`rxscope_${name}`, { probe });
  expect(of('events_total') + of('events_lost_total')).toBe(of('over_budget_total'));
}

/** A scrape in which no packet was under way between two counters that belong together. */
function settled(agent: AgentProcess): Promise<Numbers> {
  return vi.waitFor(async () => {
    const numbers = await agent.numbers();
    for (const probe of LATENCIES) expectBalance(numbers, probe);
    return numbers;
  }, SOON);
}
