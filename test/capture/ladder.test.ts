// How the ladder tells a refusal that holds from one that passes. The objects stand in for the kernel's,
// which cannot be made to refuse for a moment.

import { expect, test } from 'vitest';
import type { BpfError, BpfObject } from '../../src/addon/addon.ts';
import type { Hook } from '../../src/capture/hooks.ts';
import { climb } from '../../src/capture/ladder.ts';

const HOOKS: readonly Hook[] = ['first', 'second'].map((name) => ({
  name,
  rungs: [
    { program: `${name}__tp_btf`, attach: 'tp_btf', target: name },
    { program: `${name}__raw_tp`, attach: 'raw_tp', target: name },
  ],
}));

type Step = 'load' | 'attach';

function refusal(code: string, operation: Step, program?: string): BpfError {
  const said = { code, errno: 1, operation, ...(program === undefined ? {} : { program }) };
  return Object.assign(new Error(`cannot ${operation} ${program}`), said) as BpfError;
}

/** Objects that refuse one program, any, or themselves as a whole, for so many times. */
class Machine {
  opened = 0;
  closed = 0;
  readonly #code: string;
  readonly #step: Step;
  readonly #what: string;
  #left: number;

  constructor(code: string, times: number, step: Step = 'load', what = 'first__tp_btf') {
    this.#code = code;
    this.#left = times;
    this.#step = step;
    this.#what = what;
  }

  open(): BpfObject {
    this.opened++;
    const wanted: string[] = [];
    const refuse = (program: string | undefined): void => {
      if (this.#left === 0) return;
      this.#left--;
      throw refusal(this.#code, this.#step, program);
    };
    const programs = HOOKS.flatMap(({ rungs }) => rungs.map(({ program }) => ({ name: program })));
    const object: Partial<BpfObject> = {
      programs: () => programs as ReturnType<BpfObject['programs']>,
      setAutoload: (name, on) => void (on && wanted.push(name)),
      load: () => {
        if (this.#step !== 'load') return;
        if (this.#what === 'a map') refuse(undefined);
        else if (this.#what === 'any') refuse(wanted[0]);
        else if (wanted.includes(this.#what)) refuse(this.#what);
      },
      attach: (program) => {
        if (this.#step === 'attach' && program === this.#what) refuse(program);
      },
      close: () => void this.closed++,
    };
    return object as BpfObject;
  }

  climb() {
    return climb({ open: () => this.open(), fill: () => {} }, HOOKS);
  }
}

test.each([
  ['EAGAIN', 'load'],
  ['EINTR', 'load'],
  ['EBUSY', 'load'],
  ['ENOMEM', 'load'],
  ['EBUSY', 'attach'],
  ['ENOMEM', 'attach'],
] as const)('%s at the %s, twice: the best rung stands all the same', (code, step) => {
  const machine = new Machine(code, 2, step);
  const { object, states, failure } = machine.climb();
  expect(object).toBeDefined();
  expect(failure).toBeUndefined();
  expect(states.map(({ rung, refusals }) => [rung?.attach, refusals])).toEqual([
    ['tp_btf', []],
    ['tp_btf', []],
  ]);
  expect([machine.opened, machine.closed]).toEqual([3, 2]);
});

test('what does not pass in five tries costs the rung, and the reason says how often it was tried', () => {
  const { states } = new Machine('EAGAIN', 5).climb();
  expect(states.map(({ rung }) => rung?.attach)).toEqual(['raw_tp', 'tp_btf']);
  expect(states[0]?.refusals).toEqual([expect.stringMatching(/EAGAIN.*, after 5 tries$/)]);
});

test('what holds is tried once', () => {
  const machine = new Machine('EINVAL', 1);
  expect(machine.climb().states[0]?.refusals).toEqual([expect.not.stringContaining('tries')]);
});

test.each(['ENOMEM', 'EBUSY'])('%s for a map, twice: everything stands', (code) => {
  const { object, failure } = new Machine(code, 2, 'load', 'a map').climb();
  expect(object).toBeDefined();
  expect(failure).toBeUndefined();
});

test('a map that cannot be had is the failure of all, after five tries', () => {
  const { object, failure } = new Machine('ENOMEM', 5, 'load', 'a map').climb();
  expect(object).toBeUndefined();
  expect(failure).toMatch(/^ENOMEM: .*, after 5 tries$/);
});

test('where no descriptor is left, no rung is given up: the limit is told', () => {
  const { object, states, failure } = new Machine('EMFILE', Number.POSITIVE_INFINITY).climb();
  expect(object).toBeUndefined();
  expect(states.flatMap(({ refusals }) => refusals)).toEqual([]);
  expect(failure).toMatch(/^EMFILE: .*ulimit -n/);
});

test('what never passes delays the start by a bounded time, however many are refused', () => {
  const hooks = Array.from({ length: 40 }, (_, n) => ({
    name: `hook${n}`,
    rungs: [{ program: `hook${n}__fentry`, attach: 'fentry', target: 'f' } as const],
  }));
  const machine = new Machine('EBUSY', Number.POSITIVE_INFINITY, 'load', 'any');
  const startedMs = performance.now();
  const { states } = climb({ open: () => machine.open(), fill: () => {} }, hooks);
  expect(performance.now() - startedMs).toBeLessThan(3000);
  expect(states[0]?.refusals[0]).toMatch(/, after 5 tries$/);
  expect(states.at(-1)?.refusals).toEqual([expect.not.stringContaining('tries')]);
});
