// `rxscope probes --try RUNG` on this machine's kernel: what stands, stands on that rung, and what
// the kernel refuses comes with its reason.

import { describe, expect, test } from 'vitest';
import type { ProbeStatus } from '../../src/capture/status.ts';
import { CATALOGUE } from '../../src/probes/index.ts';
import { hooksOf } from '../../src/probes/probe.ts';
import { runRxscope } from './agent_process.ts';
import { ENABLED, standings } from './catalogue.ts';

async function tried(rung: string): Promise<{ exitCode: number | null; statuses: ProbeStatus[] }> {
  const { code, stdout } = await runRxscope(['probes', '--json', '--try', rung]);
  return { exitCode: code, statuses: JSON.parse(stdout) as ProbeStatus[] };
}

describe.each(['tp_btf', 'raw_tp'])('forced to %s', (rung) => {
  test('all probes that are on are up, each program on that rung', async () => {
    const { exitCode, statuses } = await tried(rung);
    expect(exitCode).toBe(0);
    expect(statuses.map(({ id, up }) => [id, up])).toEqual(standings(ENABLED, true));
    const attaches = statuses.flatMap(({ programs }) => programs.map(({ attach }) => attach));
    expect(new Set(attaches)).toEqual(new Set([rung]));
  });
});

describe.each(['fentry', 'kprobe'])('forced to %s', (rung) => {
  test('functions stand on it, or the kernel’s refusal is told', async () => {
    const { exitCode, statuses } = await tried(rung);
    const dataReady = statuses.flatMap(({ programs }) =>
      programs.filter(({ hook }) => hook === 'data_ready'),
    );
    const using = CATALOGUE.filter(
      (one) => ENABLED.includes(one.id) && hooksOf(one).includes('data_ready'),
    );
    expect(dataReady).toHaveLength(using.length);
    for (const { attach, refusals } of dataReady) {
      if (attach !== undefined) expect(attach).toBe(rung);
      else expect(refusals[0]).toMatch(new RegExp(`^${rung}/sock_def_readable.*: E[A-Z]+: `));
    }
    const refused = dataReady.some(({ attach }) => attach === undefined);
    expect(exitCode).toBe(refused ? 1 : 0);
    // Interrupts have tracepoints only: they are not concerned.
    expect(statuses.find(({ id }) => id === 'irq_to_softirq')?.up).toBe(true);
  });
});

test('a rung that does not exist is wrong usage', async () => {
  const { code, stderr } = await runRxscope(['probes', '--try', 'uprobe']);
  expect(code).toBe(2);
  expect(stderr).toContain("'uprobe' is invalid");
  expect(stderr).toContain('fentry, kprobe, tp_btf, raw_tp, tracepoint');
});
