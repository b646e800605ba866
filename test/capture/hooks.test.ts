// The ladders: they name the programs of the BPF object and the hooks of the probes, and can be
// narrowed to one way of attaching.

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { ATTACHES, forceRung, HOOKS } from '../../src/capture/hooks.ts';
import { CATALOGUE } from '../../src/probes/index.ts';
import { hooksOf } from '../../src/probes/probe.ts';

const OBJECT = fileURLToPath(new URL('../../dist/bpf/rxscope.bpf.o', import.meta.url));

test('every program of the object is a rung of one ladder, and every rung is a program', () => {
  const object = loadAddon().openObject(OBJECT);
  const programs = object.programs().map(({ name }) => name);
  object.close();
  const rungs = HOOKS.flatMap((hook) => hook.rungs.map(({ program }) => program));
  expect([...rungs].sort()).toEqual([...programs].sort());
});

test('a program is named after its hook', () => {
  for (const { name, rungs } of HOOKS) {
    for (const { program } of rungs) expect(program.split('__')[0]).toBe(name);
  }
});

test('every hook serves a probe, and every probe finds its hooks', () => {
  const used = CATALOGUE.flatMap(hooksOf);
  expect([...new Set(used)].sort()).toEqual(HOOKS.map(({ name }) => name).sort());
});

test.each(['tp_btf', 'raw_tp', 'tracepoint'] as const)(
  'forced to %s, every tracepoint that can stands on it and all else is left out',
  (attach) => {
    const forced = forceRung(HOOKS, attach);
    expect(new Set(forced.flatMap(({ rungs }) => rungs.map((rung) => rung.attach)))).toEqual(
      new Set([attach]),
    );
    const functions = ['udp_read', 'napi_poll_begin', 'udp_queue', 'raw_queue', 'tcp_data'];
    // Their classic ones name no task by its address.
    const modern = attach === 'tracepoint' ? ['task_switch', 'task_waking'] : [];
    expect(forced.map(({ name }) => name)).toEqual(
      HOOKS.map(({ name }) => name).filter((name) => ![...functions, ...modern].includes(name)),
    );
  },
);

test.each(['fentry', 'kprobe'] as const)(
  'forced to %s, functions stand on it and hooks without one keep their ladder',
  (attach) => {
    const forced = forceRung(HOOKS, attach);
    expect(forced.map(({ name }) => name)).toEqual(HOOKS.map(({ name }) => name));
    for (const [i, hook] of forced.entries()) {
      const hasFunction = HOOKS[i]?.rungs.some((rung) => rung.attach === attach) === true;
      if (hasFunction) expect(hook.rungs.every((rung) => rung.attach === attach)).toBe(true);
      else expect(hook).toEqual(HOOKS[i]);
    }
  },
);

test('every way of attaching that can be forced is a rung of some ladder', () => {
  const used = new Set(HOOKS.flatMap(({ rungs }) => rungs.map(({ attach }) => attach)));
  expect([...ATTACHES].sort()).toEqual([...used].sort());
});
