// The probes beside the mission's three on other kernels than this machine's, where functions can be
// hooked: they attach on each rung, and all rungs count the same packets.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Captured } from '../../src/capture/capture_once.ts';
import { ATTACHES, type Attach } from '../../src/capture/hooks.ts';
import { PROBES } from '../../src/probes/index.ts';
import { observedOf } from '../kernel/books.ts';
import { captureAll } from '../kernel/options.ts';
import { ALL_PROBES, countsBy, flawsOf } from '../kernel/path.ts';
import { capturedOf, GUEST_TIMEOUT_MS, runInGuest } from './guest.ts';
import { rungHooks } from './kernel_run.ts';
import { chosenKernels } from './kernels.ts';
import { leastOf } from './rung_checks.ts';

const COUNT = 307;
/** Nothing but the test's own traffic, and a listener report now and then. */
const NOISE_MAX = 16;
/** Rungs that hook functions where there are any. */
const FUNCTIONS: readonly Attach[] = ['fentry', 'kprobe'];

interface Line {
  readonly rung: Attach;
  readonly phase: string;
  /** What the application read: datagrams, or bytes of the stream. */
  readonly received: number;
  /** Of the whole run: softirqs by the kernel's count, while all was attached, while anything was. */
  readonly least: Readonly<Record<string, number>>;
  readonly most: Readonly<Record<string, number>>;
  readonly captured: Captured;
}

const kernels = chosenKernels().filter(
  ({ series, confidential, threadedInterrupts }) =>
    series !== undefined && !confidential && !threadedInterrupts,
);

// On the root file system, the only one that a guest sees.
const folder = mkdtempSync('/var/tmp/rxscope-path-');
const traffic = join(folder, 'traffic');
beforeAll(() => {
  const source = fileURLToPath(new URL('../kernel/traffic/traffic.cc', import.meta.url));
  execFileSync('g++', ['-O2', '-std=c++20', '-Wall', '-Werror', '-o', traffic, source]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(kernels)('on $name', (kernel) => {
  let lines: Line[] = [];
  beforeAll(async () => {
    const rungs = ATTACHES.map((rung) => ({
      rung,
      options: captureAll({ probes: ALL_PROBES, hooks: rungHooks(rung) }),
    }));
    const reported = await runInGuest({
      series: kernel.series ?? '',
      script: 'path_guest.mjs',
      args: [traffic, `${COUNT}`, JSON.stringify(rungs)],
    });
    lines = reported.map((line) => ({ ...line, captured: capturedOf(line) }) as unknown as Line);
    console.log(summary(lines));
  }, GUEST_TIMEOUT_MS);

  const lineOf = (phase: string, rung: Attach): Line => {
    const line = lines.find((one) => one.phase === phase && one.rung === rung);
    if (line === undefined) throw new Error(`the guest did not report ${phase} on ${rung}`);
    return line;
  };
  const expectAbout = (rung: Attach, observed: number, wanted: number): void => {
    expect(observed).toBeGreaterThanOrEqual(leastOf(rung, wanted));
    expect(observed).toBeLessThanOrEqual(wanted + NOISE_MAX);
  };

  describe.each(ATTACHES)('%s', (rung) => {
    test('all probes attach, but the one that needs a task by its address', () => {
      const { states } = lineOf('all', rung).captured;
      const standing = states.filter((state) => state.rung !== undefined).map(({ hook }) => hook);
      const up = PROBES.filter(({ hooks }) => hooks.every((hook) => standing.includes(hook)));
      // Classic tracepoints name no task so.
      const wanted = ALL_PROBES.filter((id) => rung !== 'tracepoint' || id !== 'wakeup_to_run');
      const why = states.map(({ hook, refusals }) => `${hook}: ${refusals.join('; ')}`).join('\n');
      expect(
        up.map(({ id }) => id),
        why,
      ).toEqual(wanted);
      if (!FUNCTIONS.includes(rung)) return;
      // Until 5.12 the function had another name.
      const begin = kernel.napiThreads ? ['napi_poll_begin'] : [];
      for (const hook of ['backlog_enqueue', 'udp_read', ...begin]) {
        expect(states.find((state) => state.hook === hook)?.rung?.attach, why).toBe(rung);
      }
    });

    test('each datagram waits on the backlog once', () => {
      const { captured, received } = lineOf('udp', rung);
      expect(received).toBe(COUNT);
      const waited = countsBy(captured, 'backlog_wait', 'device');
      expectAbout(
        rung,
        [...waited.values()].reduce((a, b) => a + b, 0),
        COUNT,
      );
      const { dropped, lost, table_full } = flawsOf(captured, 'backlog_wait');
      expect({ dropped, lost, table_full }).toEqual({ dropped: 0, lost: 0, table_full: 0 });
    });

    test('each datagram is read once, or counted as not followed', () => {
      const { captured } = lineOf('udp', rung);
      const read = observedOf(captured, 'socket_to_read', 'udp');
      const { not_followed = 0, not_read } = flawsOf(captured, 'socket_to_read');
      expect(not_read).toBe(0);
      expectAbout(rung, FUNCTIONS.includes(rung) ? read : not_followed, COUNT);
      expect(FUNCTIONS.includes(rung) ? not_followed : read).toBe(0);
    });

    test('each TCP delivery is read, merged, or one that nobody reads', () => {
      const { captured, received } = lineOf('tcp', rung);
      expect(received).toBe(COUNT * 16);
      const delivered = observedOf(captured, 'receive_to_socket', 'tcp');
      const read = observedOf(captured, 'socket_to_read', 'tcp');
      const { merged = 0, not_read = 0, table_full } = flawsOf(captured, 'socket_to_read');
      const says = JSON.stringify({ delivered, read, merged, not_read });
      expect(table_full).toBe(0);
      expect(delivered, says).toBeGreaterThanOrEqual(leastOf(rung, COUNT));
      // The FIN of either side is queued and has nothing to copy.
      const open = delivered - read - merged - not_read;
      expect(open, says).toBeGreaterThanOrEqual(delivered - leastOf(rung, delivered) > 0 ? -4 : 0);
      expect(open, says).toBeLessThanOrEqual(6);
    });

    if (rung !== 'tracepoint') {
      test('most datagrams wake their reader, and it is seen to run', () => {
        const { captured } = lineOf('udp', rung);
        const woken = observedOf(captured, 'wakeup_to_run', 'udp');
        expect(woken).toBeGreaterThanOrEqual(COUNT * 0.8);
        expect(woken).toBeLessThanOrEqual(COUNT);
      });
    }

    test('polls of the backlog hand over each datagram', () => {
      const { captured } = lineOf('udp', rung);
      const backlog = captured.reading?.polls.find(({ device }) => device === 'none');
      expectAbout(rung, backlog?.packets ?? 0, COUNT);
      const polls = backlog?.polls.reduce((a, b) => a + b, 0) ?? 0;
      const timed = countsBy(captured, 'napi_poll', 'device').get('none') ?? 0;
      expect(timed).toBeGreaterThanOrEqual(leastOf(rung, polls));
      expect(timed).toBeLessThanOrEqual(polls);
    });

    test('each run of a softirq is one of softirq_duration and, but for a few, of softirq_raise_to_entry', () => {
      const { captured, least, most } = lineOf('all', rung);
      const lasted = countsBy(captured, 'softirq_duration', 'vector');
      const raised = countsBy(captured, 'softirq_raise_to_entry', 'vector');
      const { no_raise = 0 } = flawsOf(captured, 'softirq_raise_to_entry');
      for (const vector of ['NET_RX', 'TIMER', 'SCHED', 'RCU']) {
        const wanted = leastOf(rung, least[vector] ?? 0);
        const says = `${vector}: no raise ${no_raise}`;
        expect(lasted.get(vector) ?? 0, says).toBeGreaterThanOrEqual(wanted);
        expect(lasted.get(vector) ?? 0, says).toBeLessThanOrEqual(most[vector] ?? 0);
        expect((raised.get(vector) ?? 0) + no_raise, says).toBeGreaterThanOrEqual(wanted);
        expect(raised.get(vector) ?? 0, says).toBeLessThanOrEqual(most[vector] ?? 0);
      }
    });

    // veth has had a NAPI of its own without XDP since 5.13 (d3256efd8e8b).
    if (kernel.napiThreads) {
      test('what RPS moves from a NAPI waits on the backlog, and only functions tell', () => {
        const { captured, received } = lineOf('rps', rung);
        expect(received).toBe(COUNT);
        const waited = countsBy(captured, 'backlog_wait', 'device');
        const all = [...waited.values()].reduce((a, b) => a + b, 0);
        if (FUNCTIONS.includes(rung)) expectAbout(rung, all, COUNT);
        else expect(all).toBeLessThanOrEqual(NOISE_MAX);
      });
    }
  });
});

/** What each rung counted, for the reader of a failure. */
function summary(lines: readonly Line[]): string {
  return lines
    .map(({ phase, rung, captured }) => {
      const observed = ALL_PROBES.map((probe) => {
        const n = observedOf(captured, probe);
        return `${probe} ${n}`;
      });
      return `${phase} ${rung}: ${observed.join(', ')}`;
    })
    .join('\n');
}
