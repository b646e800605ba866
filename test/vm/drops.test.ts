// Drops on this kernel and others, counted on each way of attaching: by the kernel's own reasons, and
// on 5.10, which has none, by the function that dropped them.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Attach, forceRung, HOOKS } from '../../src/capture/hooks.ts';
import type { DropCount } from '../../src/capture/reading.ts';
import type { DropRecord } from '../../src/capture/records.ts';
import { captureAll, USUAL_PROBES } from '../kernel/options.ts';
import { GUEST_TIMEOUT_MS, runInGuest, runOnThisMachine } from './guest.ts';
import { chosenKernels } from './kernels.ts';

const RUNGS: readonly Attach[] = ['tp_btf', 'raw_tp', 'tracepoint'];
const COUNT = 211;
/** Names of what happens here: with reasons, and without, where the compiler may inline a function. */
const NAMES = {
  'full buffer': ['SOCKET_RCVBUFF', /^(__)?udp_queue_rcv(_one)?_skb$/],
  'no socket': ['NO_SOCKET', /^__udp4_lib_rcv$/],
} as const;
type Phase = keyof typeof NAMES;
const PHASES = Object.keys(NAMES) as Phase[];

interface Named {
  readonly name: string;
  /** Of the veth device here. */
  readonly ofDevice: boolean;
}

interface Line {
  readonly phase: Phase;
  readonly rung: Attach;
  readonly program: string;
  /** The kernel has reasons. */
  readonly known: boolean;
  readonly received: number;
  /** Drops by the kernel's own counter. */
  readonly kernel: number;
  readonly rows: readonly (DropCount & Named)[];
  readonly counted: { readonly sent: number; readonly lost: number };
  readonly events: readonly (Omit<DropRecord, 'location'> &
    Named & {
      readonly symbol: string;
      /** The same from /proc/kallsyms by other code. */
      readonly function: string;
      readonly lowIsReason: boolean;
    })[];
}

const CHOSEN = chosenKernels().map(({ name }) => name);
/** All but the one without reasons run whatever is chosen. */
const KERNELS = chosenKernels('all').filter(
  ({ name }) =>
    ['this machine', '6.1', '6.12 cloud'].includes(name) ||
    (name === '5.10 cloud' && CHOSEN.includes(name)),
);

// On the root file system, the only one that a guest sees.
const folder = mkdtempSync('/var/tmp/rxscope-drops-');
const traffic = join(folder, 'traffic');
beforeAll(() => {
  const source = fileURLToPath(new URL('../kernel/traffic/traffic.cc', import.meta.url));
  execFileSync('g++', ['-O2', '-std=c++20', '-Wall', '-Werror', '-o', traffic, source]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(KERNELS)('$name', ({ name, series }) => {
  let lines: readonly Line[] = [];
  beforeAll(async () => {
    const rungs = RUNGS.map((rung) => ({
      rung,
      options: captureAll({
        probes: [...USUAL_PROBES, 'drops'],
        hooks: forceRung(HOOKS, rung),
        perCpuPerSecond: 1e6,
        pagesPerCpu: 64,
      }),
    }));
    const args = [traffic, `${COUNT}`, JSON.stringify(rungs)];
    const task = { script: 'drops_guest.mjs', args };
    const reported = await (series === undefined
      ? runOnThisMachine(task)
      : runInGuest({ ...task, series }));
    lines = reported as unknown as Line[];
  }, GUEST_TIMEOUT_MS);

  function lineOf(phase: Phase, rung: Attach): Line {
    const line = lines.find((one) => one.phase === phase && one.rung === rung);
    if (line === undefined) throw new Error(`the guest did not report ${phase} on ${rung}`);
    return line;
  }

  function isNamed(line: Line, of: { readonly name: string }): boolean {
    const [reason, code] = NAMES[line.phase];
    return line.known ? of.name === reason : code.test(of.name);
  }

  test('it has reasons since 5.17', () => {
    expect(lineOf('no socket', 'tp_btf').known).toBe(name !== '5.10 cloud');
  });

  describe.each(RUNGS)('on %s', (rung) => {
    test.each(PHASES)('%s: the kernel counts the same, of that device', (phase) => {
      const line = lineOf(phase, rung);
      expect(line.program).toMatch(rung === 'tracepoint' ? /__tp$/ : new RegExp(`__${rung}`));
      const counted = line.rows
        .filter((row) => row.ofDevice && isNamed(line, row))
        .reduce((sum, { packets }) => sum + packets, 0);
      expect(counted, JSON.stringify(line, null, 1)).toBe(line.kernel);
      expect(counted + line.received).toBe(COUNT);
    });

    test.each(PHASES)('%s: events tell the code that dropped the packet', (phase) => {
      const line = lineOf(phase, rung);
      const all = line.rows.reduce((sum, { packets }) => sum + packets, 0);
      expect(line.counted.sent + line.counted.lost).toBe(all);
      const about = JSON.stringify(line, null, 1);
      expect(line.events.length, about).toBeGreaterThan(0);
      for (const event of line.events) {
        expect(isNamed(line, event), about).toBe(true);
        expect(event.ofDevice, about).toBe(true);
        expect(event.transport).toBe(17);
        expect(event.function.replace(/\.(cold|isra|part|constprop).*$/, '')).toBe(event.symbol);
        if (!line.known) expect(event.lowIsReason).toBe(true);
      }
    });
  });
});
