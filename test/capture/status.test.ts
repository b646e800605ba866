// Which probes stand and why not, from the states of their hooks.

import { describe, expect, test } from 'vitest';
import type { ScriptStatus } from '../../src/capture/bpftrace/backend.ts';
import { type Attach, HOOKS } from '../../src/capture/hooks.ts';
import type { HookState } from '../../src/capture/ladder.ts';
import { probeStatuses, withScripts } from '../../src/capture/status.ts';
import { CATALOGUE, PROBES } from '../../src/probes/index.ts';
import { hooksOf } from '../../src/probes/probe.ts';

const ALL = CATALOGUE.map(({ id }) => id);

/** Every hook on its best rung, except for these. */
function states(changes: Readonly<Record<string, HookState>> = {}): HookState[] {
  return HOOKS.map(({ name, rungs: [rung] }) => {
    if (rung === undefined) throw new Error(`${name} has no rung`);
    return changes[name] ?? { hook: name, rung, refusals: [] };
  });
}

function refused(hook: string, ...refusals: string[]): HookState {
  return { hook, refusals };
}

describe('a probe', () => {
  test('is up without a reason when every hook has a program', () => {
    const statuses = probeStatuses(ALL, states());
    expect(statuses.map(({ id, up, reason }) => [id, up, reason])).toEqual(
      ALL.map((id) => [id, true, '']),
    );
    expect(statuses[0]?.programs[0]).toEqual({
      hook: 'irq_handler_entry',
      program: 'irq_handler_entry__tp_btf',
      attach: 'tp_btf',
      target: 'irq_handler_entry',
      refusals: [],
    });
  });

  test('that is switched off is not up and says so, whatever its hooks do', () => {
    const [irq, ...others] = probeStatuses(ALL.slice(1), states());
    expect(irq).toEqual({
      id: 'irq_to_softirq',
      up: false,
      off: true,
      reason: 'switched off by the configuration',
      programs: [],
    });
    expect(others.every(({ up }) => up)).toBe(true);
  });

  test('is not up without a hook that it needs; each reason is given once', () => {
    const raise = refused(
      'softirq_raise',
      'EPERM: not permitted',
      'EPERM: not permitted',
      'ENOENT',
    );
    const statuses = probeStatuses(ALL, states({ softirq_raise: raise }));
    expect(statuses[0]).toMatchObject({
      up: false,
      reason: 'cannot attach softirq_raise: EPERM: not permitted; ENOENT',
    });
    // Only the probes that use the hook suffer.
    const using = CATALOGUE.filter((one) => hooksOf(one).includes('softirq_raise'));
    expect(statuses.filter(({ up }) => !up).map(({ id }) => id)).toEqual(using.map(({ id }) => id));
    expect(statuses.filter(({ up, reason }) => up && reason !== '')).toEqual([]);
  });

  test('is up with less detail without a hook that it can do without', () => {
    const drop = refused('drop', 'tp_btf/kfree_skb: ENOENT: this kernel does not have it');
    const statuses = probeStatuses(ALL, states({ drop }));
    const [irq, softirq, receive] = statuses;
    expect(irq?.reason).toBe('');
    for (const status of [softirq, receive]) {
      expect(status).toMatchObject({
        up: true,
        reason:
          'measures with less detail: cannot attach drop: tp_btf/kfree_skb: ENOENT: this kernel does not have it',
      });
    }
    // Where drops themselves are counted, it is needed.
    expect(statuses.find(({ id }) => id === 'drops')).toMatchObject({
      up: false,
      reason: 'cannot attach drop: tp_btf/kfree_skb: ENOENT: this kernel does not have it',
    });
  });

  test('on a lower rung is up, without a reason, and keeps the refusals', () => {
    const attach: Attach = 'raw_tp';
    const rung = { program: 'receive__raw_tp', attach, target: 'netif_receive_skb' };
    const receive = { hook: 'receive', rung, refusals: ['tp_btf/netif_receive_skb: EPERM'] };
    const status = probeStatuses(ALL, states({ receive })).find(
      ({ id }) => id === 'receive_to_socket',
    );
    expect(status).toMatchObject({ up: true, reason: '' });
    expect(status?.programs.find(({ hook }) => hook === 'receive')).toEqual({
      hook: 'receive',
      ...rung,
      refusals: ['tp_btf/netif_receive_skb: EPERM'],
    });
  });
});

test('what kept everything from being tried is the reason of every enabled probe', () => {
  const statuses = probeStatuses(ALL.slice(1), [], 'cannot load the native addon');
  expect(statuses.map(({ up, reason }) => [up, reason])).toEqual([
    [false, 'switched off by the configuration'],
    ...ALL.slice(1).map(() => [false, 'cannot load the native addon']),
  ]);
});

describe('a probe that is left to bpftrace', () => {
  const refusedOnes = probeStatuses(ALL, [], 'EPERM: not permitted');
  const script = (state: ScriptStatus['state']): ScriptStatus => ({
    probe: 'receive_to_socket',
    program: 'receive_to_socket.bt',
    version: '0.17.0',
    state,
  });

  test('is up when its script is, and says why it is not libbpf that measures', () => {
    const up = withScripts(refusedOnes, [script({ phase: 'up', attach: 'tracepoint' })], false);
    expect(up[2]).toEqual({
      id: 'receive_to_socket',
      up: true,
      reason: 'measures by bpftrace, with less detail: EPERM: not permitted',
      programs: [
        {
          hook: 'script',
          backend: 'bpftrace',
          program: 'receive_to_socket.bt',
          attach: 'tracepoint',
          target: 'receive_to_socket.bt (bpftrace 0.17.0)',
          refusals: [],
        },
      ],
    });
    expect(up.filter(({ id }) => id !== 'receive_to_socket')).toEqual(
      refusedOnes.filter(({ id }) => id !== 'receive_to_socket'),
    );
  });

  test('by choice is up without a reason', () => {
    const [, , status] = withScripts(
      refusedOnes,
      [script({ phase: 'up', attach: 'kprobe' })],
      true,
    );
    expect(status).toMatchObject({ up: true, reason: '', programs: [{ attach: 'kprobe' }] });
  });

  test('by choice leaves out what has no script, and that is no defect', () => {
    const scripted = PROBES.filter((probe) => probe.script).map(({ id }) => id);
    for (const { id, up, off, reason } of withScripts(refusedOnes, [], true)) {
      if (scripted.includes(id)) continue;
      expect({ id, up, off, reason }).toEqual({
        ...{ id, up: false, off: true },
        reason: 'no bpftrace script measures it',
      });
    }
    // Where bpftrace only stands in, such a probe keeps its own reason.
    expect(withScripts(refusedOnes, [], false)).toEqual(refusedOnes);
  });

  test.each([
    { state: { phase: 'down', reason: 'no tracefs' }, chosen: true, reason: 'no tracefs' },
    {
      state: { phase: 'down', reason: 'no tracefs' },
      chosen: false,
      reason: 'EPERM: not permitted; nor by bpftrace: no tracefs',
    },
    { state: { phase: 'starting' }, chosen: true, reason: 'bpftrace is starting' },
    { state: { phase: 'restarting', reason: 'killed' }, chosen: true, reason: 'killed' },
  ] as const)('is not up while its script is $state.phase', ({ state, chosen, reason }) => {
    const [, , status] = withScripts(refusedOnes, [script(state)], chosen);
    expect(status).toMatchObject({ up: false, reason });
    expect(status?.programs[0]?.attach).toBeUndefined();
    expect(status?.programs[0]?.refusals.at(-1)).toMatch(/^receive_to_socket\.bt: /);
  });
});
