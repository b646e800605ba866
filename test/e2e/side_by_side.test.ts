// The agent beside node_exporter, softirqs and hardirqs over the same traffic: all count the same.
// beside.ts says why that is exact, and names the counters.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import { startAgent } from './agent_process.ts';
import { by, type Counts, only, PAIRS, type Reads, rise, sum } from './beside.ts';
import { sendOverLoopback } from './loopback.ts';
import type { Numbers } from './numbers.ts';
import { CORRESPONDING, IrqTool, NodeExporter } from './others.ts';
import { scratch } from './scratch.ts';

const files = scratch();
const DATAGRAMS = 4_001;
const UNWANTED = 307;
const BLOCKS = 1_009;

let shorter: Reads;
let longer: Reads;
/** Of the agent: within the tools' time, and around it. */
let inside: Reads;
let around: Reads;
let softirqs: ReadonlyMap<string, number>;
let hardirqs: ReadonlyMap<string, number>;

beforeAll(async () => {
  const lab = new Lab();
  const folder = mkdtempSync('/var/tmp/rxscope-beside-');
  const config = files.write(
    'durations.yaml',
    'probes: { softirq_duration: { enabled: true }, hardirq_duration: { enabled: true } }\n',
  );
  const agent = await startAgent(['--config.file', config]);
  const exporter = await NodeExporter.start(CORRESPONDING);
  try {
    const outer = await agent.numbers();
    const tools = [await IrqTool.start('softirqs'), await IrqTool.start('hardirqs')];
    const reads = [
      await exporter.numbers(),
      await agent.numbers(),
      await exporter.numbers(),
      await work(lab, folder).then(() => exporter.numbers()),
      await agent.numbers(),
      await exporter.numbers(),
    ] as const;
    [softirqs, hardirqs] = (await Promise.all(tools.map((tool) => tool.stop()))) as [
      Map<string, number>,
      Map<string, number>,
    ];
    longer = { before: reads[0], after: reads[5] };
    inside = { before: reads[1], after: reads[4] };
    shorter = { before: reads[2], after: reads[3] };
    around = { before: outer, after: await agent.numbers() };
  } finally {
    await exporter.stop();
    await agent.stop();
    rmSync(folder, { recursive: true, force: true });
    lab.close();
  }
}, 120_000);

/** Softirqs, interrupts of the disk, packets of three kinds, drops. */
async function work(lab: Lab, folder: string): Promise<void> {
  const file = join(folder, 'blocks');
  writeFileSync(file, Buffer.alloc(16_384 * BLOCKS, 1), { flush: true });
  await sendOverLoopback(DATAGRAMS);
  const receiver = lab.receive('udp', RECEIVER, 5901, DATAGRAMS);
  await receiver.ready;
  await lab.send('udp', RECEIVER, 5901, DATAGRAMS, { 'gap-us': 20 });
  await receiver.result;
  execFileSync('dd', [`if=${file}`, 'of=/dev/null', 'bs=16k', 'iflag=direct', 'status=none']);
  const script = `for ((i = 0; i < ${UNWANTED}; i++)); do echo > /dev/udp/127.0.0.1/9; done`;
  execFileSync('bash', ['-c', script], { stdio: 'ignore' });
}

/** What the work makes of each, in all; of what is not here, it may make nothing. */
const LEAST: Readonly<Record<string, number>> = {
  'softirqs by vector': 2 * DATAGRAMS,
  'interrupts in all': BLOCKS / 2,
  'softnet processed by CPU': 2 * DATAGRAMS,
  'packets received by device': DATAGRAMS,
  'context switches': DATAGRAMS / 10,
  'drops that protocols count': UNWANTED,
};

describe('node_exporter', () => {
  test.each(PAIRS)('agrees on $what', ({ what, of, as }) => {
    const mine = rise(inside, of);
    const atLeast = rise(shorter, as);
    const atMost = rise(longer, as);
    expect([...atLeast.keys()]).toEqual(expect.arrayContaining([...mine.keys()]));
    for (const [key, value] of mine) {
      expect(value, key).toBeGreaterThanOrEqual(atLeast.get(key) ?? Number.NaN);
      expect(value, key).toBeLessThanOrEqual(atMost.get(key) ?? Number.NaN);
    }
    expect(sum(mine)).toBeGreaterThanOrEqual(LEAST[what] ?? 0);
  });
});

/** What a tool counted is no less than the agent did while it ran, and no more than around that. */
function expectBetween(tool: Counts, of: (agent: Numbers) => Counts): void {
  const [least, most] = [rise(inside, of), rise(around, of)];
  for (const [key, value] of tool) {
    expect(value, key).toBeGreaterThanOrEqual(least.get(key) ?? Number.NaN);
    expect(value, key).toBeLessThanOrEqual(most.get(key) ?? Number.NaN);
  }
  for (const [key, value] of least) if (!tool.has(key)) expect(value, key).toBe(0);
}

describe('softirqs', () => {
  test.each([
    ['softirq_duration', 'rxscope_softirq_duration_seconds_count'],
    ['/proc/softirqs', 'rxscope_softirqs_total'],
  ])('counts each vector as %s does', (_, name) => {
    expect(sum(softirqs)).toBeGreaterThan(2 * DATAGRAMS);
    const tool = new Map(Array.from(softirqs, ([vector, n]) => [vector.toUpperCase(), n]));
    expectBetween(tool, (agent) => by(agent, name, 'vector'));
  });
});

describe('hardirqs', () => {
  test('counts as many handlers of devices as hardirq_duration does', () => {
    expect(sum(hardirqs)).toBeGreaterThan(BLOCKS / 2);
    expectBetween(new Map([['', sum(hardirqs)]]), (agent) =>
      by(agent, 'rxscope_hardirq_duration_seconds_count'),
    );
  });

  test('counts each interrupt of a network device as rxscope_interrupts_total does', () => {
    const of = (agent: Numbers): Map<string, number> => {
      const lines = only(by(agent, 'rxscope_interrupts_total', 'irq'), (irq) => irq !== '');
      return new Map(Array.from(lines, ([irq, n]) => [nameOf(irq), n]));
    };
    const names = new Set(of(inside.after).keys());
    expectBetween(
      only(hardirqs, (name) => names.has(name)),
      of,
    );
  });
});

/** The name of the handler of an interrupt. */
function nameOf(irq: string): string {
  const text = readFileSync('/proc/interrupts', 'utf8');
  return new RegExp(`^ *${irq}:.*? (\\S+)$`, 'm').exec(text)?.[1] ?? '';
}
