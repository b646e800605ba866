// Dropping capabilities, on real processes with threads of every kind: each thread is looked at in
// /proc, those included that are created later, and the programs that the process starts.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { CAPABILITIES, capabilitiesIn } from '../../src/capture/capabilities.ts';
import { failureOf } from './fixture.ts';

/** The sets of a thread as /proc writes them, less leading zeros. */
interface Standing {
  readonly inheritable: string;
  readonly permitted: string;
  readonly effective: string;
  readonly bounding: string;
  readonly ambient: string;
  readonly noNewPrivs: boolean;
}

interface Told {
  readonly before: readonly Standing[];
  readonly steps: readonly {
    readonly dropped: { readonly threads: number; readonly boundingSet: boolean };
    readonly threads: readonly Standing[];
  }[];
  readonly later: readonly Standing[];
  readonly child: Standing;
}

const { CAP_BPF, CAP_PERFMON } = CAPABILITIES;
const BPF_AND_PERFMON = 'c000000000';
const NOTHING: Standing = {
  inheritable: '0',
  permitted: '0',
  effective: '0',
  bounding: '0',
  ambient: '0',
  noNewPrivs: true,
};

describe('as root', () => {
  test('no thread keeps anything, none that is created later, and no program that is started', async () => {
    const { before, steps, later, child } = await tellOf<Told>([], 'dropped', '-');
    expect(before.length).toBeGreaterThan(5);
    const [step] = steps;
    expect(step?.dropped).toEqual({ threads: step?.threads.length, boundingSet: true });
    expect(step?.threads).toEqual(before.map(() => NOTHING));
    expect(later.length).toBeGreaterThan(before.length);
    expect(later).toEqual(later.map(() => NOTHING));
    expect(child).toEqual(NOTHING);
  });

  test('what is to be kept stays in effect, and can be dropped later', async () => {
    const keep = `${CAP_BPF},${CAP_PERFMON}`;
    const { before, steps, later } = await tellOf<Told>([], 'dropped', keep, '-');
    const kept = {
      ...NOTHING,
      permitted: BPF_AND_PERFMON,
      effective: BPF_AND_PERFMON,
      bounding: BPF_AND_PERFMON,
    };
    expect(steps[0]?.threads).toEqual(before.map(() => kept));
    // CAP_SETPCAP is gone by then; without it the bounding set stays as it is.
    expect(steps[1]?.dropped).toEqual({ threads: before.length, boundingSet: false });
    const nothing = { ...NOTHING, bounding: BPF_AND_PERFMON };
    expect(steps[1]?.threads).toEqual(before.map(() => nothing));
    expect(later).toEqual(later.map(() => nothing));
  });

  test('a program that root starts gets what is kept, and no more', async () => {
    const { child } = await tellOf<Told>([], 'dropped', `${CAP_BPF}`);
    const bpf = '8000000000';
    expect(child).toEqual({ ...NOTHING, permitted: bpf, effective: bpf, bounding: bpf });
  });
});

test('a user with two capabilities loses the one that is not kept, ambient set included', async () => {
  const list = '-all,+bpf,+perfmon';
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const sets = [`--inh-caps=${list}`, `--ambient-caps=${list}`, `--bounding-set=${list}`];
  const setpriv = ['setpriv', ...user, ...sets];
  const { before, steps, later, child } = await tellOf<Told>(setpriv, 'dropped', `${CAP_BPF}`);
  expect(new Set(before.map(({ ambient }) => ambient))).toEqual(new Set([BPF_AND_PERFMON]));
  const bpf = '8000000000';
  const kept = {
    inheritable: bpf,
    permitted: bpf,
    effective: bpf,
    bounding: BPF_AND_PERFMON,
    ambient: bpf,
    noNewPrivs: true,
  };
  expect(steps[0]?.dropped.boundingSet).toBe(false);
  expect(steps[0]?.threads).toEqual(before.map(() => kept));
  expect(later).toEqual(later.map(() => kept));
  expect(child).toEqual(kept);
});

test('threads that come and go meanwhile are not missed', async () => {
  const told = await tellOf<{ started: number; left: number[] }>([], 'dropped_amid');
  expect(told.left).toEqual([0, 0, 0, 0]);
  expect(told.started).toBeGreaterThanOrEqual(5 * (1 + told.left.length));
});

test.each([
  ['nothing', undefined, 'must be a Uint8Array'],
  ['a list', [CAP_BPF], 'must be a Uint8Array'],
  ['words of another size', Uint32Array.of(CAP_BPF), 'must be a Uint8Array'],
  ['a number that no kernel has', Uint8Array.of(CAP_BPF, 64), 'keep capability 64'],
])('%s is refused and nothing is dropped', (_, keep, reason) => {
  const failure = failureOf(() => loadAddon().dropCapabilities(keep as Uint8Array));
  expect(failure).toMatchObject({ operation: 'capabilities', code: 'EINVAL' });
  expect(failure.message).toContain(reason);
});

test('the effective capabilities are read from a status of /proc', () => {
  const status = 'Name:\tnode\nCapInh:\t0000000000000000\nCapEff:\t000000c000200004\nThreads:\t7\n';
  expect([...capabilitiesIn(status)].sort()).toEqual([
    'CAP_BPF',
    'CAP_DAC_READ_SEARCH',
    'CAP_PERFMON',
    'CAP_SYS_ADMIN',
  ]);
  expect(capabilitiesIn('')).toEqual(new Set());
});

/** What a child tells that ends well. `before` are words that run it, such as setpriv's. */
function tellOf<T>(before: readonly string[], child: string, ...args: string[]): Promise<T> {
  const script = fileURLToPath(new URL(`children/${child}.mjs`, import.meta.url));
  const [program = '', ...words] = [...before, process.execPath, script, ...args];
  return new Promise((resolve, reject) => {
    execFile(program, words, { timeout: 30_000 }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`${error.message}\n${stderr}`));
      else resolve(JSON.parse(stdout) as T);
    });
  });
}
