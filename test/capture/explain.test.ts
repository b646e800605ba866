// Refusals in words: a capability is named where it is missing, and only there.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BpfError } from '../../src/addon/addon.ts';
import { type Capability, type Permissions, permissions } from '../../src/capture/capabilities.ts';
import { explainObject, explainRung } from '../../src/capture/explain.ts';
import type { Attach, Rung } from '../../src/capture/hooks.ts';
import { scratch } from '../e2e/scratch.ts';

const files = scratch();

function refusal(
  operation: BpfError['operation'],
  code: string,
  more: { readonly log?: string } = {},
): BpfError {
  return Object.assign(new Error(`cannot ${operation}: ${code}`), {
    code,
    errno: 1,
    operation,
    ...more,
  });
}

function holding(held: readonly Capability[], more: Partial<Permissions> = {}): Permissions {
  return { held: new Set(held), inUserNamespace: false, perfEventParanoid: 2, ...more };
}

function rung(attach: Attach): Rung {
  return { program: `data_ready__${attach}`, attach, target: 'sk_data_ready' };
}

const BOTH = ['CAP_BPF', 'CAP_PERFMON'] as const;

describe('loading is refused with EPERM', () => {
  const eperm = refusal('load', 'EPERM');
  test.each([
    ['neither', [], 'BPF is not permitted here; run as root or with CAP_BPF and CAP_PERFMON'],
    ['only CAP_BPF', ['CAP_BPF'], 'BPF is not permitted here without CAP_PERFMON; add it'],
    ['only CAP_PERFMON', ['CAP_PERFMON'], 'BPF is not permitted here without CAP_BPF; add it'],
  ] as const)('with %s: the missing one is named', (_, held, reason) => {
    expect(explainObject(eperm, holding(held))).toContain(`EPERM: ${reason}`);
    expect(explainRung(rung('tp_btf'), eperm, holding(held))).toContain(reason);
  });

  test.each([BOTH, ['CAP_SYS_ADMIN']] as const)('with enough: %s', (...held) => {
    const whole = explainObject(eperm, holding(held as readonly Capability[]));
    expect(whole).toMatch(/although .* are there; .*RLIMIT_MEMLOCK.*CAP_SYS_RESOURCE/);
    const one = explainRung(rung('fentry'), eperm, holding(held as readonly Capability[]));
    expect(one).toMatch(/^fentry\/sk_data_ready: EPERM: .*locked[- ]down/);
    expect(one).not.toContain('CAP_');
  });

  test('in a user namespace: capabilities do not count there', () => {
    const inside = holding(BOTH, { inUserNamespace: true });
    expect(explainObject(eperm, inside)).toContain('not permitted in a user namespace');
  });

  test('because modules may not be looked through: the hook is not in the kernel itself', () => {
    const log = "libbpf: failed to iterate BTF objects: -1\nlibbpf: prog 'x': failed to load: -1";
    const reason = explainRung(rung('tp_btf'), refusal('load', 'EPERM', { log }), holding(BOTH));
    expect(reason).toContain('itself does not have it');
    expect(reason).toContain('CAP_SYS_ADMIN');
  });
});

describe('attaching is refused with EACCES', () => {
  const eacces = refusal('attach', 'EACCES');

  test('by a paranoid kernel: the sysctl and the capability are named', () => {
    const paranoid = holding(BOTH, { perfEventParanoid: 3 });
    for (const attach of ['kprobe', 'tracepoint'] as const) {
      const reason = explainRung(rung(attach), eacces, paranoid);
      expect(reason).toMatch(/perf_event_paranoid is 3, .* CAP_SYS_ADMIN .*; set it to 2, or/);
    }
  });

  test('by tracefs: the capability that opens it is named, unless it is there', () => {
    expect(explainRung(rung('tracepoint'), eacces, holding(BOTH))).toMatch(
      /EACCES: tracefs is closed to this user; add CAP_DAC_READ_SEARCH$/,
    );
    const held = holding([...BOTH, 'CAP_DAC_READ_SEARCH']);
    expect(explainRung(rung('tracepoint'), eacces, held)).not.toContain('CAP_');
  });

  test('by the verifier, which has the same errno: no capability is named', () => {
    const log = "R1 invalid mem access 'scalar'";
    const reason = explainRung(rung('tp_btf'), refusal('load', 'EACCES', { log }), holding(BOTH));
    expect(reason).toContain(log);
    expect(reason).not.toContain('CAP_');
  });
});

test.each([
  ['EACCES', 3, /^EACCES: kernel\.perf_event_paranoid is 3, which demands CAP_SYS_ADMIN/],
  ['EPERM', 2, /^EPERM: the rings exceed .*RLIMIT_MEMLOCK.*CAP_IPC_LOCK$/],
  ['EMFILE', 2, /^EMFILE: cannot events: EMFILE$/],
])('perf rings are refused with %s and a paranoid of %d', (code, perfEventParanoid, reason) => {
  const told = explainObject(refusal('events', code), holding(BOTH, { perfEventParanoid }));
  expect(told).toMatch(reason);
});

test('statistics take CAP_SYS_ADMIN', () => {
  expect(explainObject(refusal('stats', 'EPERM'), holding(BOTH))).toContain('takes CAP_SYS_ADMIN');
});

describe('what this process may do is read from /proc', () => {
  test('in a user namespace, on a paranoid kernel', () => {
    for (const folder of ['self', 'sys/kernel'])
      mkdirSync(join(files.folder, folder), { recursive: true });
    files.write('self/status', 'CapEff:\t000001ffffffffff\n');
    files.write('self/uid_map', '         0       1000          1\n');
    files.write('sys/kernel/perf_event_paranoid', '3\n');
    const read = permissions(files.folder);
    expect(read).toMatchObject({ inUserNamespace: true, perfEventParanoid: 3 });
    expect(read.held.has('CAP_BPF')).toBe(true);
  });

  test('where nothing can be read, nothing is held', () => {
    const read = permissions('/nonexistent');
    expect(read).toEqual({
      held: new Set(),
      inUserNamespace: false,
      perfEventParanoid: undefined,
    });
  });
});
