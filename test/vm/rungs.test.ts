// The attachment ladder on other kernels: whatever rung the programs stand on, they measure the
// same. On the machine's own kernel most rungs may be refused; in a guest none is.

import { beforeAll, describe, expect, test } from 'vitest';
import type { Measurement } from '../../src/agent/measure.ts';
import { type Attach, HOOKS, type Hook } from '../../src/capture/hooks.ts';
import { booksOf, observedOf, printBooks } from '../kernel/books.ts';
import { captureAll } from '../kernel/options.ts';
import { GUEST_TIMEOUT_MS, measurementOf, runInGuest } from './guest.ts';

const DATAGRAMS = 307;
const MESSAGES = 101;
const LOOPBACK_IFINDEX = 1;

interface Rungs {
  /** All hooks but the next stand on this rung. */
  readonly attach: Attach;
  readonly dataReady: Attach;
  /** A hook that this kernel has no such rung for; it is one that a probe can do without. */
  readonly missing?: string;
}

interface Kernel {
  readonly series: string;
  /** Where data_ready stands when every rung may be tried. */
  readonly best: Attach;
  readonly forced: readonly Rungs[];
}

const KERNELS: readonly Kernel[] = [
  {
    // Has the tracepoint sk_data_ready, and lets every function be hooked.
    series: '6.12-cloud',
    best: 'tp_btf',
    forced: [
      { attach: 'raw_tp', dataReady: 'raw_tp' },
      { attach: 'tracepoint', dataReady: 'tracepoint' },
    ],
  },
  {
    // Has no such tracepoint; and its classic tcp_probe names neither socket nor packet.
    series: '6.1-cloud',
    best: 'fentry',
    forced: [
      { attach: 'raw_tp', dataReady: 'kprobe' },
      { attach: 'tracepoint', dataReady: 'fentry', missing: 'tcp_segment' },
    ],
  },
];

/** Hooks that may stand on one rung only. */
function forcedHooks({ attach, dataReady }: Rungs): Hook[] {
  return HOOKS.map((hook) => {
    const only = hook.name === 'data_ready' ? dataReady : attach;
    return { ...hook, rungs: hook.rungs.filter((rung) => rung.attach === only) };
  });
}

/** Where each hook stands. */
function standing({ states }: Measurement): Record<string, Attach | undefined> {
  return Object.fromEntries(states.map(({ hook, rung }) => [hook, rung?.attach]));
}

function expected({ attach, dataReady, missing }: Rungs): Record<string, Attach | undefined> {
  return Object.fromEntries(
    HOOKS.map(({ name }) => {
      if (name === missing) return [name, undefined];
      return [name, name === 'data_ready' ? dataReady : attach];
    }),
  );
}

describe.each(KERNELS)('on a $series kernel', ({ series, best, forced }) => {
  const runs: Rungs[] = [{ attach: 'tp_btf', dataReady: best }, ...forced];
  let measurements: Measurement[] = [];
  beforeAll(async () => {
    const options = [captureAll(), ...forced.map((one) => captureAll({ hooks: forcedHooks(one) }))];
    const args = [DATAGRAMS, MESSAGES, ...options.map((one) => JSON.stringify(one))].map(String);
    const lines = await runInGuest({ series, script: 'loopback_guest.mjs', args });
    measurements = lines.map(measurementOf);
  }, GUEST_TIMEOUT_MS);

  test(`the ladder's best rungs are tp_btf, and ${best} for data_ready`, () => {
    const [measurement] = measurements;
    if (measurement === undefined) throw new Error('the guest reported nothing');
    expect(standing(measurement)).toEqual(expected({ attach: 'tp_btf', dataReady: best }));
    const refusals = measurement.states.find(({ hook }) => hook === 'data_ready')?.refusals;
    expect(refusals).toHaveLength(best === 'tp_btf' ? 0 : 3);
  });

  test.each(runs.map((rungs, i) => ({ ...rungs, i })))(
    'on $attach, with data_ready on $dataReady, every packet is accounted for',
    ({ i, ...rungs }) => {
      const measurement = measurements[i];
      if (measurement === undefined) throw new Error('the guest did not report this measurement');
      expect(standing(measurement)).toEqual(expected(rungs));
      const devices = measurement.reading?.received.map(({ device }) => device);
      expect(devices).toEqual([LOOPBACK_IFINDEX]);
      for (const probe of ['softirq_to_socket', 'receive_to_socket'] as const) {
        expect(observedOf(measurement, probe, 'udp'), printBooks(measurement)).toBe(DATAGRAMS);
        // Each message and its answer; a FIN may be queued too, and one from each side is.
        const segments = observedOf(measurement, probe, 'tcp');
        expect(segments, printBooks(measurement)).toBeGreaterThanOrEqual(2 * MESSAGES);
        expect(segments, printBooks(measurement)).toBeLessThanOrEqual(2 * MESSAGES + 2);
        const { difference, pending } = booksOf(measurement, probe);
        expect({ difference, pending }, printBooks(measurement)).toEqual({
          difference: 0,
          pending: 0,
        });
      }
    },
  );
});
