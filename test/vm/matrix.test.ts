// The three probes on every kernel of kernels.ts: each rung that can be had there, over the same
// packets; network cards' own interrupts, held, and behind a real-time task; NAPI threads and busy
// polling. Prints the matrix at the end. `npm run test:vm` runs all of it, `npm test` three kernels.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTACHES } from '../../src/capture/hooks.ts';
import { CATALOGUE } from '../../src/probes/index.ts';
import { GUEST_TIMEOUT_MS } from './guest.ts';
import {
  checkHistograms,
  checkHold,
  checkInterrupts,
  checkNotStarved,
  checkOldestWins,
  checkPackets,
  checkRaises,
  checkServedRaises,
  checkStarved,
  irqLine,
} from './irq_checks.ts';
import { HOLD_IRQ_NS, type KernelRun, runKernel } from './kernel_run.ts';
import { chosenKernels, type Kernel } from './kernels.ts';
import { cellsOf, printMatrix } from './matrix.ts';
import { checkPhase } from './napi_checks.ts';
import {
  checkAgreement,
  checkForced,
  checkHeldCounts,
  checkIrqAgreement,
  checkOtherWays,
  checkVethBooks,
  rungLine,
  rungsUp,
} from './rung_checks.ts';

const runs: { kernel: Kernel; run: KernelRun }[] = [];
afterAll(() => console.log(printMatrix(runs)));

describe.each(chosenKernels())('on $name', (kernel) => {
  let run: KernelRun;
  beforeAll(async () => {
    run = await runKernel(kernel);
    runs.push({ kernel, run });
  }, GUEST_TIMEOUT_MS);

  test.each(ATTACHES)('the rung %s carries all hooks that it can, or says why not', (rung) => {
    checkForced(run, rung, kernel.mayRefuse.includes(rung));
  });

  test('each datagram and each message on loopback is observed, on every rung', () => {
    for (const rung of rungsUp(run)) checkHeldCounts(run, rung);
  });

  test('all rungs tell the same latencies of the same packets', () => {
    checkAgreement(run);
  });

  test('behind RPS and on the socket’s backlog too, every packet is accounted for, on every rung', () => {
    checkOtherWays(run, kernel.backlogThreads);
    for (const rung of rungsUp(run)) checkVethBooks(run, rung);
  });

  test('no cell of the matrix is missing', () => {
    expect(cellsOf(kernel, run).filter(({ missing }) => missing)).toEqual([]);
  });

  if (kernel.cards) describeCards(kernel, () => run);
  if (kernel.napiThreads) describeNapi(kernel, () => run);
  if (kernel.confidential) describeLockdown(() => run);
});

/** Network cards that this process sends to: only a guest has them. */
function describeCards(kernel: Kernel, run: () => KernelRun): void {
  const { starves, threadedInterrupts } = kernel;
  const phases = ['plain', 'held', 'calm', 'hog'];

  describe('network cards’ interrupts', () => {
    test.each(phases)('%s: each served raise of the kernel’s trace is one observation', (phase) => {
      checkServedRaises(irqLine(run(), phase));
    });

    test.each(phases)('%s: histograms hold what was observed of the cards in use', (phase) => {
      checkHistograms(irqLine(run(), phase));
    });

    test.each(phases)('%s: observations agree with /proc/interrupts', (phase) => {
      checkInterrupts(irqLine(run(), phase));
    });

    test.each(['plain', 'held'])(
      '%s: packets carry their device, and the books balance',
      (phase) => {
        checkPackets(irqLine(run(), phase));
      },
    );

    test(`handlers that are held for ${HOLD_IRQ_NS / 1e6} ms delay their softirqs by as much`, () => {
      checkHold(irqLine(run(), 'held'), threadedInterrupts);
    });

    test('all rungs tell the same latencies of the same interrupts', () => {
      // The classic tracepoints do not name the thread that an interrupt is left to.
      checkIrqAgreement(run(), threadedInterrupts ? ['tracepoint'] : []);
    });

    // Threads of one CPU and of one priority do not come between each other's raise and softirq.
    if (!threadedInterrupts) {
      test('an interrupt that raises while another waits is counted, and the oldest wins', () => {
        checkOldestWins(irqLine(run(), 'held'));
      });
    }

    test('no softirq waits long where no real-time task runs', () => {
      checkNotStarved(irqLine(run(), 'calm'));
    });

    if (starves === 'nothing') {
      test('a real-time task delays no softirq: they run when an interrupt ends', () => {
        checkNotStarved(irqLine(run(), 'hog'));
      });
    } else {
      test(`a real-time task that starves ${starves} delays softirqs until it sleeps`, () => {
        checkStarved(irqLine(run(), 'hog'));
      });
    }

    // Where interrupts have threads, the raise comes from the thread, and has nothing to wait for.
    test('softirq_raise_to_entry tells the wait for ksoftirqd, if there is one', () => {
      checkRaises(irqLine(run(), 'calm'), false);
      checkRaises(irqLine(run(), 'hog'), starves === 'ksoftirqd');
    });

    if (threadedInterrupts) {
      test('a real-time task below the interrupt threads delays nothing', () => {
        checkNotStarved(irqLine(run(), 'meek_hog'));
      });
    }
  });
}

/** NAPI threads and busy polling, over veth. */
function describeNapi(kernel: Kernel, run: () => KernelRun): void {
  describe('NAPI of a veth pair', () => {
    test('polled in the softirq: packets are samples of both probes', () => {
      checkPhase(run(), 'softirq');
    });

    test('polled by a thread: packets are samples of receive_to_socket only, and counted', () => {
      checkPhase(run(), 'threaded');
    });

    if (kernel.busyPolling) {
      test('polled by the receiver: packets are samples of receive_to_socket only, and counted', () => {
        checkPhase(run(), 'busy_poll');
      });
    }
  });
}

/** A kernel that lets no program copy its memory. */
function describeLockdown(run: () => KernelRun): void {
  describe('locked down to confidentiality', () => {
    test('all probes that are on are up: on what the kernel still allows', () => {
      expect(run().locked?.lockdown).toContain('[confidentiality]');
      const probes = run().locked?.probes.map(({ id, up }) => ({ id, up }));
      expect(probes).toEqual(CATALOGUE.map(({ id, enabled }) => ({ id, up: enabled })));
      expect(rungsUp(run())).toEqual(['fentry', 'tp_btf']);
    });

    test.each([
      ['kprobe', /^kprobe\/\S+: (EPERM|EINVAL): .*lock/],
      ['raw_tp', /^raw_tp\/\S+: EINVAL: .*lockdown=confidentiality/],
      ['tracepoint', /^tracepoint\/\S+: (ENOENT: .*tracefs|EINVAL: .*lockdown=confidentiality)/],
    ] as const)('each hook that %s would need says why it is refused', (rung, why) => {
      const { states } = rungLine(run(), 'held', rung).captured;
      const refused = states.filter((state) => state.rung?.attach !== rung);
      const reasons = refused.flatMap(({ refusals }) =>
        refusals.filter((text) => text.startsWith(`${rung}/`)),
      );
      expect(reasons.length).toBeGreaterThan(0);
      expect(reasons.filter((text) => !why.test(text))).toEqual([]);
    });

    test('bpftrace refuses to run at all, and so cannot be fallen back upon', () => {
      expect(run().locked?.bpftrace.status).not.toBe(0);
      expect(run().locked?.bpftrace.output).toMatch(/lockdown/i);
    });
  });
}
